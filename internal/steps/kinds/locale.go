package kinds

import (
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed locale.sh
var localeScript string

var localeKind = &steps.Kind{
	Name: "locale",
	Doc: `A locale that programs can use, and the one that is the default of the system.

A locale that the host has already needs nothing, such as C.UTF-8 or one of locales-all. On Debian,
Ubuntu and Arch the step adds a missing one to /etc/locale.gen. localedef makes it from the sources in
/usr/share/i18n, as locale-gen would. locale-gen itself does not run: it makes all locales anew.

Debian and Ubuntu have the sources in the package locales. On Fedora and the family of Red Hat a
package such as glibc-langpack-de brings the locale. A step "package" before this one installs it. A
name that the host does not support is an error of the plan, which lists the names of that language.

utf8, UTF8 and UTF-8 are one spelling. A name without a charset is the locale of that very name: de_DE
is ISO-8859-1.

With default = true the step sets LANG in /etc/default/locale on Debian up to 12 and Ubuntu, and in
/etc/locale.conf on Debian from 13 on and elsewhere. It follows a symbolic link to the file. Other
lines stay: LC_ALL or LC_TIME there win over LANG. Logins have the default from then on. Services
have it after the next boot.

With state = "absent" the step removes the locale from /etc/locale.gen and from the archive of glibc.
It does not remove one that came with a package: that is an error. On Alpine the step is an error
too, because musl has no locales.`,
	Example: `step "package" "locales" {
  name = "locales"
}

step "locale" "german" {
  name = "de_DE.UTF-8"
}

step "locale" "english" {
  name    = "en_US.UTF-8"
  default = true
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("name")},
	New: func() (steps.Step, steps.Args) {
		s := &locale{State: "present"}
		return s, steps.Args{
			kit.ParsedArg("name", &s.Name, "Name of the locale, such as de_DE.UTF-8.", localeName).Must(),
			kit.BoolArg("default", &s.Default, "Make it the default of the system, LANG. With false nothing is said about the default."),
			kit.EnumArg("state", &s.State, "Whether the locale is there.", "present", "absent"),
		}
	},
}

type locale struct {
	Name, State string
	Default     bool
}

var (
	_ steps.Asker   = (*locale)(nil)
	_ steps.Bringer = (*locale)(nil)
	_ steps.Settler = (*locale)(nil)
)

var localePattern = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_]*)(?:\.([A-Za-z0-9][A-Za-z0-9_-]*))?(@[A-Za-z0-9]+)?$`)

// localeName checks a name, and spells UTF-8 as people do.
func localeName(s string) (string, error) {
	m := localePattern.FindStringSubmatch(s)
	if m == nil {
		return "", fmt.Errorf("%q is not the name of a locale; write it as LANGUAGE_COUNTRY.CHARSET, such as de_DE.UTF-8", s)
	}
	name, charset := m[1], m[2]
	if localeCharset(charset) == "utf8" {
		charset = "UTF-8"
	}
	if charset != "" {
		name += "." + charset
	}
	return name + m[3], nil
}

// localeCharset is how glibc compares charsets.
func localeCharset(s string) string {
	s = strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s))
	if s != "" && strings.Trim(s, "0123456789") == "" {
		return "iso" + s
	}
	return s
}

// sameLocale tells whether two names are surely of one locale.
func sameLocale(a, b string) bool {
	x, y := localePattern.FindStringSubmatch(a), localePattern.FindStringSubmatch(b)
	return x != nil && y != nil && x[1] == y[1] && localeCharset(x[2]) == localeCharset(y[2]) && x[3] == y[3]
}

func (s *locale) Validate() []steps.Problem {
	if s.State == "absent" && (s.Name == "C" || s.Name == "POSIX" || s.Name == "C.UTF-8") {
		return []steps.Problem{{Arg: "name", Summary: "every system has the locale " + s.Name, Detail: "Name another locale, or leave the step out."}}
	}
	return nil
}

// Asks implements steps.Asker: what tells which locales there can be.
func (s *locale) Asks(*steps.Facts) []steps.Thing {
	return []steps.Thing{{Kind: steps.FileThing, Name: "/usr/local/share/i18n/SUPPORTED"}, {Kind: steps.FileThing, Name: "/usr/share/i18n/SUPPORTED"}}
}

// Brings implements steps.Bringer. Which of the files it writes is known on the host alone.
func (s *locale) Brings(steps.Change) steps.Supply {
	supply := steps.Supply{Trees: []string{"/etc/locale.gen", "/usr/lib/locale"}}
	if s.Default {
		supply.Trees = append(supply.Trees, "/etc/default/locale", "/etc/locale.conf")
	}
	return supply
}

func (s *locale) Probe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[ \"$F_UID\" = 0 ] || fail \"only root may change locales; set become = true\"\n%s\nname=%s\nprobe_%s\n", shell.Strip(localeScript), shell.Quote(s.Name), s.State)
	if s.Default {
		b.WriteString("default_file\nsay_default\n")
	}
	return b.String()
}

// Settled implements steps.Settler.
func (s *locale) Settled(*steps.Facts) []steps.Observation {
	switch {
	case s.State == "absent":
		return []steps.Observation{steps.Observe("there no")}
	case !s.Default:
		return []steps.Observation{steps.Observe("there yes")}
	}
	return []steps.Observation{
		steps.Observe("there yes", "file /etc/default/locale", "lang "+s.Name),
		steps.Observe("there yes", "file /etc/locale.conf", "lang "+s.Name),
	}
}

func (s *locale) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if s.State == "absent" {
		return s.planAbsent(obs)
	}
	if no, _ := obs.Get("supported"); no == "no" {
		return steps.Change{}, s.unsupported(obs.All("near"))
	}
	var does []string
	change := steps.Change{Action: steps.NoOp}
	if !obs.Yes("there") {
		change.Action = steps.Create
		change.Diff = append(change.Diff, steps.Attr{Name: "locale", BeforeMissing: true, After: s.Name})
		does = append(does, "list_locale", "make_locale")
	}
	if entry, ok := obs.Get("unlisted"); ok {
		change.Diff = append(change.Diff, steps.Attr{Name: "/etc/locale.gen", BeforeMissing: true, After: entry})
		if change.Action == steps.NoOp {
			does = append(does, "list_locale")
		}
	}
	if file, ok := obs.Get("file"); ok && s.Default {
		lang, any := obs.Get("lang")
		if !any || !sameLocale(lang, s.Name) {
			change.Diff = append(change.Diff, steps.Attr{Name: "LANG in " + file, Before: lang, BeforeMissing: !any, After: s.Name})
			does = append(does, "set_default "+shell.Quote(s.Name))
		}
	}
	if len(does) == 0 {
		return steps.Change{Action: steps.NoOp}, nil
	}
	if change.Action == steps.NoOp {
		change.Action = steps.Update
	}
	change.Ops = s.ops(does)
	change.AddNeeds(obs)
	sources := steps.Thing{Kind: steps.LocaleThing, Name: s.Name + " locales"}
	if charset, ok := strings.CutPrefix(path.Ext(s.Name), "."); ok && slices.Contains(change.Needs, sources) {
		// So the package leaves the host, where its list of supported locales has the very name.
		change.Predict = append(change.Predict, obs.Fulfilled().With("there no", "there no\nunlisted "+s.Name+" "+charset))
	}
	return change, nil
}

func (s *locale) unsupported(near []string) error {
	fix := "give one of /usr/share/i18n/SUPPORTED, such as en_US.UTF-8"
	if len(near) > 0 {
		fix = "of this language there are " + strings.Join(near, ", ")
	}
	return fmt.Errorf("this host does not support the locale %s; %s", s.Name, fix)
}

func (s *locale) planAbsent(obs steps.Observation) (steps.Change, error) {
	there := obs.Yes("there")
	entry, listed := obs.Get("listed")
	switch {
	case !there && !listed:
		return steps.Change{Action: steps.NoOp}, nil
	case obs.Yes("packaged"):
		return steps.Change{}, fmt.Errorf("the locale %s came with a package, such as locales-all or a langpack; remove that with a step \"package\"", s.Name)
	case obs.Yes("all"):
		return steps.Change{}, fmt.Errorf("/etc/locale.gen is a link to /usr/share/i18n/SUPPORTED, which asks for all locales; replace it by a file that lists the locales of this host")
	}
	change := steps.Change{Action: steps.Update}
	var does []string
	if listed {
		change.Diff = append(change.Diff, steps.Attr{Name: "/etc/locale.gen", Before: entry, AfterMissing: true})
		does = append(does, "unlist_locale")
	}
	if there {
		change.Action = steps.Delete
		change.Diff = append(change.Diff, steps.Attr{Name: "locale", Before: s.Name, AfterMissing: true})
		change.Dangers = []string{"removes the locale " + s.Name}
		if file, ok := obs.Get("default"); ok {
			change.Dangers = append(change.Dangers, "LANG in "+file+" names "+s.Name+": programs of a login fall back to C")
		}
		does = append(does, "remove_locale")
	}
	change.Ops = s.ops(does)
	return change, nil
}

// ops are calls of functions, of which each does nothing where there is nothing to do.
func (s *locale) ops(calls []string) []steps.Op {
	shown := "name=" + shell.Quote(s.Name) + "\n" + strings.Join(calls, "\n") + "\n"
	return []steps.Op{steps.Run{Script: shell.Strip(localeScript) + "\n" + shown, Shown: shown}}
}
