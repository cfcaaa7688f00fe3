package kinds

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed hostname.sh
var hostnameSource string

var hostnameKind = &steps.Kind{
	Name: "hostname",
	Doc: `The name of the host: now, and after the next boot.

The running kernel gets the name first, then the file that is read at boot: /etc/hostname, or
/etc/conf.d/hostname where OpenRC's script reads that one. Comments in the file stay. Other files that old
distributions take their name from are an error that names the file.

In most containers the engine sets the name and refuses a new one; with live = false only the file
is written. The pretty name of /etc/machine-info is left alone, and so is /etc/hosts: sudo and others look their own host up there, so a
step "hosts_entry" with the new name belongs beside this one. Programs that run keep the old name until they are
restarted. fact.hostname is the name before the run.`,
	Example: `step "hosts_entry" "self" {
  address = "127.0.1.1"
  names   = ["demo.example.com", "demo"]
}

step "hostname" "demo" {
  name = "demo"
}
`,
	New: func() (steps.Step, steps.Args) {
		s := &hostname{Live: true}
		return s, steps.Args{
			kit.ParsedArg("name", &s.Name, "The name, or a fully qualified one such as web1.example.com.", parseHostname).Must(),
			kit.BoolArg("live", &s.Live, "Give it to the running kernel too; otherwise it takes effect at the next boot."),
		}
	},
}

type hostname struct {
	Name string
	Live bool
}

var (
	_ steps.Bringer = (*hostname)(nil)
	_ steps.Settler = (*hostname)(nil)
)

var hostnameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)

func parseHostname(s string) (string, error) {
	switch {
	case strings.Contains(s, "_"):
		return "", fmt.Errorf("%q holds an underscore, which systemd takes out of a host's name; write a hyphen", s)
	case !hostnameForm.MatchString(s):
		return "", fmt.Errorf("%q is no name of a host; its parts between dots are letters, digits and hyphens, and begin and end with none of the hyphens", s)
	case len(s) > 64:
		return "", fmt.Errorf("the name has %d bytes; Linux allows 64", len(s))
	}
	return s, nil
}

func (s *hostname) Validate() []steps.Problem { return nil }

// The files that a host may take its name from.
const (
	hostnameFile = "/etc/hostname"
	hostnameConf = "/etc/conf.d/hostname"
)

func hostnameEdit(path string) *kit.Edit {
	return &kit.Edit{Path: path, State: "present", Create: true}
}

// Brings implements steps.Bringer.
func (s *hostname) Brings(steps.Change) steps.Supply {
	return steps.Supply{Things: []steps.Thing{{Kind: steps.FileThing, Name: hostnameFile}, {Kind: steps.FileThing, Name: hostnameConf}}}
}

// Touches implements steps.Toucher.
func (s *hostname) Touches(steps.Observation) steps.Supply { return steps.Supply{Trees: kernelTrees()} }

func (s *hostname) Probe() string {
	b := shell.Strip(hostnameSource)
	if s.Live {
		b += "n=$(cat /proc/sys/kernel/hostname) || exit 1\nsay kernel \"$n\"\n"
	}
	b += "hostname_source\nsay source \"$SOURCE\"\n"
	judge := func(read string) string {
		return read + " \"$p\" || exit 1\nif [ \"$NAME\" = " + shell.Quote(s.Name) + " ]; then r=same; else r=differ; fi\n"
	}
	b += "if [ \"$SOURCE\" = " + hostnameConf + " ]; then\n" + hostnameEdit(hostnameConf).Probe(judge("hostname_set")) + "exit 0\nfi\n"
	return b + hostnameEdit(hostnameFile).Probe(judge("hostname_of"))
}

// Settled implements steps.Settler.
func (s *hostname) Settled(*steps.Facts) []steps.Observation {
	var settled []steps.Observation
	for _, source := range []string{hostnameFile, hostnameConf} {
		lines := []string{"source " + source, "type file", "text same"}
		if s.Live {
			lines = append([]string{"kernel " + s.Name}, lines...)
		}
		settled = append(settled, steps.Observe(lines...))
	}
	return settled
}

func (s *hostname) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	source, _ := obs.Get("source")
	edit := hostnameEdit(hostnameFile)
	if source == hostnameConf {
		edit = hostnameEdit(hostnameConf)
	}
	change, err := edit.Plan(obs, edit.Same, func(change *steps.Change, before string) (steps.Text, error) {
		return steps.Plain(s.edit(change, source, before)), nil
	})
	if err != nil {
		return steps.Change{}, err
	}
	if kernel, there := obs.Get("kernel"); s.Live && kernel != s.Name {
		file := change.Ops
		change.Also(steps.Attr{Name: "kernel", Before: kernel, BeforeMissing: !there, After: s.Name})
		change.Ops = append([]steps.Op{steps.Run{Script: shell.Strip(hostnameSource) + "hostname_live " + shell.Quote(s.Name) + "\n", Shown: "set the name in the kernel"}}, file...)
	}
	if change.Action != steps.NoOp && f.Init == "" {
		change.Reason = strings.TrimPrefix(change.Reason+"; no service manager was found that reads "+edit.Path+" at boot", "; ")
	}
	return change, nil
}

// edit puts the name into the text of a file.
func (s *hostname) edit(change *steps.Change, source, before string) string {
	lines := kit.ReadLines(before)
	wanted, at := s.Name, -1
	if source == hostnameConf {
		wanted = `hostname="` + s.Name + `"`
	}
	for i, l := range lines.All {
		text := strings.Trim(l.Text, " \t")
		switch {
		case source == hostnameConf:
			if strings.HasPrefix(text, "hostname=") {
				at = i // the last one counts
			}
		case at < 0 && text != "" && !strings.HasPrefix(text, "#"):
			at = i
		}
	}
	if at < 0 {
		change.Diff = append(change.Diff, steps.Attr{Name: source, BeforeMissing: true, After: wanted})
		lines.Insert(len(lines.All), wanted)
		return lines.String()
	}
	change.Diff = append(change.Diff, steps.Attr{Name: source, Before: lines.All[at].Text, After: wanted})
	lines.All[at].Text = wanted
	return lines.String()
}
