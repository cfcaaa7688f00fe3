package kinds

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed kernel_module.sh
var kernelModuleSource string

var kernelModuleKind = &steps.Kind{
	Name: "kernel_module",
	Doc: `A module of the kernel: loaded now and at each boot, or kept from being loaded.

What is read at boot is /etc/modules-load.d/provision-NAME.conf, which systemd and OpenRC obey, and Debian's script for SysV. Options are
in /etc/modprobe.d/provision-NAME.conf: they count when the module is loaded the next time, and one that is loaded
is left alone. Both files belong to the step. Where another file of modprobe.d blacklists the module it would not be loaded at boot: that is an error.

With state = "blacklisted" nobody loads it, neither by name nor for a device: modprobe runs false in its place. With
"absent" the files go. Both unload the module; one in use is an error. A module that is built into the kernel is
loaded, and can be neither kept away nor unloaded.

In a container modules cannot be loaded: that is an error that says so, unless live = false.`,
	Example: `step "kernel_module" "loop" {
  name    = "loop"
  options = { max_loop = "16" }
  live    = false
}

step "kernel_module" "floppy" {
  name  = "floppy"
  live  = false
  state = "blacklisted"
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("name", "live")},
	New: func() (steps.Step, steps.Args) {
		s := &kernelModule{State: "present", Live: true}
		return s, steps.Args{
			kit.ParsedArg("name", &s.Name, "The name of the module, such as br_netfilter. Dashes and underscores are alike.", parseKernelModule).Must(),
			kit.MapArg("options", &s.Options, "Its parameters, such as { max_loop = \"16\" }.", checkModuleOption),
			kit.BoolArg("live", &s.Live, "Load or unload it now; otherwise it takes effect at the next boot."),
			kit.EnumArg("state", &s.State, "Whether it is loaded, nobody cares, or it must not be loaded.", "present", "absent", "blacklisted"),
		}
	},
}

type kernelModule struct {
	Name, State string
	Options     map[string]string
	Live        bool
}

var (
	_ steps.Asker   = (*kernelModule)(nil)
	_ steps.Bringer = (*kernelModule)(nil)
	_ steps.Settler = (*kernelModule)(nil)
)

var (
	moduleName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
	moduleOption = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
)

func parseKernelModule(name string) (string, error) {
	if !moduleName.MatchString(name) {
		return "", fmt.Errorf("%q is no name of a module: letters, digits, _ and - make one, without .ko and a path", name)
	}
	return strings.ReplaceAll(name, "-", "_"), nil
}

func checkModuleOption(key, value string) error {
	switch {
	case !moduleOption.MatchString(key):
		return fmt.Errorf("%q is no name of a parameter; modinfo lists those of a module", key)
	case kit.NoControl(value) != nil || strings.ContainsAny(value, " \"'\\#"):
		return fmt.Errorf("the value of %s holds a blank, a quote, a backslash or a #, which modprobe does not take the same way everywhere; leave it out", key)
	}
	return nil
}

func (s *kernelModule) Validate() []steps.Problem {
	if s.State == "blacklisted" && len(s.Options) > 0 {
		return []steps.Problem{{Arg: "options", Summary: "a module that must not be loaded takes no options", Detail: "Leave the options out."}}
	}
	return nil
}

// files are those of the step, with what they should hold; "" for one that should not be there.
func (s *kernelModule) files() (load, conf steps.Attr) {
	load.Name = "/etc/modules-load.d/provision-" + s.Name + ".conf"
	conf.Name = "/etc/modprobe.d/provision-" + s.Name + ".conf"
	switch s.State {
	case "present":
		load.After = s.Name + "\n"
		if len(s.Options) > 0 {
			conf.After = "options " + s.Name
			for _, k := range slices.Sorted(maps.Keys(s.Options)) {
				conf.After += " " + k + "=" + s.Options[k]
			}
			conf.After += "\n"
		}
	case "blacklisted":
		conf.After = "blacklist " + s.Name + "\ninstall " + s.Name + " /bin/false\n"
	}
	return load, conf
}

// Asks implements steps.Asker: an earlier step may install the module, or remove the file that blacklists it.
func (s *kernelModule) Asks(*steps.Facts) []steps.Thing {
	return []steps.Thing{{Kind: steps.DirectoryThing, Name: "/lib/modules"}, {Kind: steps.DirectoryThing, Name: "/etc/modprobe.d"}}
}

// Brings implements steps.Bringer: with a module come keys of the kernel.
func (s *kernelModule) Brings(steps.Change) steps.Supply {
	load, conf := s.files()
	supply := steps.Supply{May: []string{steps.KeyThing}}
	for _, f := range []steps.Attr{load, conf} {
		if f.After == "" {
			supply.Gone = append(supply.Gone, f.Name)
		} else {
			supply.Things = append(supply.Things, steps.Thing{Kind: steps.FileThing, Name: f.Name})
		}
	}
	return supply
}

func (s *kernelModule) Probe() string {
	load, conf := s.files()
	return shell.Strip(kernelModuleSource) + fmt.Sprintf("module_look %s %s %t || exit 1\nmodule_file load %s\nmodule_file conf %s\n", s.State, s.Name, s.Live, load.Name, conf.Name)
}

// Settled implements steps.Settler.
func (s *kernelModule) Settled(*steps.Facts) []steps.Observation {
	var lines []string
	if s.Live {
		lines = append(lines, "loaded "+yesNo(s.State == "present"))
	}
	load, conf := s.files()
	for key, f := range map[string]steps.Attr{"load": load, "conf": conf} {
		if f.After != "" {
			lines = append(lines, key+" "+oneLine(f.After))
		}
	}
	slices.SortFunc(lines, func(a, b string) int {
		order := []string{"loaded", "load", "conf"}
		rank := func(l string) int { word, _, _ := strings.Cut(l, " "); return slices.Index(order, word) }
		return rank(a) - rank(b)
	})
	return []steps.Observation{steps.Observe(lines...)}
}

// oneLine is a text as a line of a state.
func oneLine(text string) string {
	return strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\x01")
}

func (s *kernelModule) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	loaded, _ := obs.Get("loaded")
	if s.Live && loaded == "builtin" && s.State != "present" {
		return steps.Change{}, fmt.Errorf("%s is built into this kernel, and cannot be unloaded or kept away; leave the step out", s.Name)
	}
	change := steps.Change{Action: steps.NoOp}
	load, conf := s.files()
	write := func(key string, f steps.Attr) {
		had, there := obs.Get(key)
		if there == (f.After != "") && had == oneLine(f.After) {
			return
		}
		attr := steps.Attr{Name: f.Name, Before: strings.ReplaceAll(had, "\x01", "\n"), BeforeMissing: !there, After: strings.TrimSuffix(f.After, "\n"), AfterMissing: f.After == ""}
		if f.After == "" {
			change.Also(attr, steps.Run{Script: "rm -f -- " + f.Name})
			return
		}
		change.Also(attr, steps.Run{Script: "mkdir -p " + f.Name[:strings.LastIndex(f.Name, "/")]},
			steps.Put{Path: f.Name, Content: steps.Content{Text: steps.Plain(f.After)}, Mode: "644"})
	}
	// The options have to be there when the module is loaded, and what cannot be loaded is not tried again at each boot.
	write("conf", conf)
	if s.Live {
		switch {
		case s.State == "present" && loaded == "no":
			change.Also(steps.Attr{Name: "loaded", Before: "no", After: "yes"}, steps.Run{Script: shell.Strip(kernelModuleSource) + "module_load " + s.Name + "\n"})
		case s.State != "present" && loaded == "yes":
			change.Also(steps.Attr{Name: "loaded", Before: "yes", After: "no"}, steps.Run{Script: shell.Strip(kernelModuleSource) + "module_unload " + s.Name + "\n"})
			change.Dangers = append(change.Dangers, "unloads the module "+s.Name)
		}
	}
	write("load", load)
	if obs.Yes("unread") && change.Action != steps.NoOp {
		change.Reason = "nothing reads /etc/modules-load.d on this host: it has no systemd-modules-load"
	}
	return change, nil
}
