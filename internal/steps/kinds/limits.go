package kinds

import (
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed limits.sh
var limitsSource string

var limitsKind = &steps.Kind{
	Name: "limits",
	Doc: `A limit that logins get from pam_limits: a line of limits.conf(5).

The line for the domain, the type and the item is set in the file, further ones for the same go, and all
else stays. The file is made if it is not there. It holds from the next login on, and for jobs of cron and su where their
PAM stack has pam_limits; who is logged in keeps the old limit. Services of systemd take none of it:
give them LimitNOFILE= and the like with a step "systemd_unit".

Another file in /etc/security/limits.d that is read later and has another value wins: that is an error
with its place. A number of open files (nofile) above fs.nr_open would end every login that it is for, so that is an
error too, and so is unlimited. "*" is for everybody but root, whose limits need a line of their own.

A host without /etc/security has no pam_limits: that is an error, unless an earlier step brings it.`,
	Example: `step "limits" "files" {
  domain = "www-data"
  item   = "nofile"
  value  = "8192"
}

step "limits" "cores" {
  domain = "*"
  type   = "hard"
  item   = "core"
  value  = "0"
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("domain", "type", "item", "path")},
	New: func() (steps.Step, steps.Args) {
		s := &limits{Type: "both", Edit: kit.Edit{Path: "/etc/security/limits.d/99-provision.conf", State: "present", Create: true}}
		return s, steps.Args{
			kit.ParsedArg("domain", &s.Domain, "For whom: a user, @group, * for everybody, or a range of numbers such as 1000: or @100:200.", parseLimitsDomain).Must(),
			kit.EnumArg("type", &s.Type, "Which limit: the soft one, the hard one up to which a user may raise it, or both.", "both", "soft", "hard"),
			kit.EnumArg("item", &s.Item, "What is limited.", limitsItems...).Must(),
			kit.StringArg("value", &s.Value, "The limit: a number in the item's unit, or unlimited. Required unless state is absent."),
			kit.PathArg("path", &s.Path, "Absolute path of the file.").With("/etc/security/limits.d/99-provision.conf"),
			kit.EnumArg("state", &s.State, "Whether the file has the line.", "present", "absent"),
		}
	},
}

type limits struct {
	kit.Edit
	Domain, Type, Item, Value string
}

var (
	_ steps.Bringer  = (*limits)(nil)
	_ steps.Requirer = (*limits)(nil)
	_ steps.Settler  = (*limits)(nil)
	_ steps.Asker    = (*limits)(nil)
)

var limitsItems = []string{
	"nofile", "nproc", "memlock", "core", "data", "fsize", "rss", "stack", "cpu", "as", "maxlogins", "maxsyslogins", "priority", "locks", "sigpending", "msgqueue", "nice", "rtprio",
}

const (
	limitsConf = "/etc/security/limits.conf"
	limitsDir  = "/etc/security/limits.d"
)

var limitsDomain = regexp.MustCompile(`^(\*|%|[@%]?[A-Za-z0-9_.][A-Za-z0-9_.$\\-]*|@?[0-9]+:[0-9]*|@?:[0-9]+)$`)

func parseLimitsDomain(s string) (string, error) {
	if !limitsDomain.MatchString(s) {
		return "", fmt.Errorf("%q is no domain of limits.conf; write a user, @group, * or a range of numbers such as 1000:2000", s)
	}
	return s, nil
}

// limitsValue is a value in the one form that is compared.
func limitsValue(s string) string {
	s = strings.ToLower(s)
	if s == "infinity" || s == "-1" {
		return "unlimited"
	}
	return s
}

func (s *limits) Validate() []steps.Problem {
	var problems []steps.Problem
	add := func(arg, summary, detail string) {
		problems = append(problems, steps.Problem{Arg: arg, Summary: summary, Detail: detail})
	}
	if !s.Absent() {
		n, err := strconv.Atoi(s.Value)
		signed := s.Item == "nice" || s.Item == "priority"
		switch {
		case s.Value == "":
			add("value", "a limit needs a value", "Give a number, or unlimited.")
		case signed && (err != nil || n < -20 || n > 19):
			add("value", fmt.Sprintf("%s takes a number from -20 to 19", s.Item), "Correct the value.")
		case signed:
		case limitsValue(s.Value) == "unlimited" && s.Item == "nofile":
			add("value", "open files cannot be unlimited: the kernel refuses it, and nobody could log in", "Give a number of at most fs.nr_open, such as 1048576.")
		case limitsValue(s.Value) == "unlimited":
		case err != nil || n < 0:
			add("value", fmt.Sprintf("%q is no limit", s.Value), "Give a whole number, or unlimited.")
		}
	}
	switch {
	case s.Path == limitsConf:
	case path.Dir(s.Path) != limitsDir || !strings.HasSuffix(s.Path, ".conf") || strings.HasPrefix(path.Base(s.Path), "."):
		add("path", "pam_limits does not read this file", "Name one in "+limitsDir+" whose name ends in .conf, or "+limitsConf+".")
	}
	return problems
}

// Asks implements steps.Asker.
func (s *limits) Asks(*steps.Facts) []steps.Thing {
	things := []steps.Thing{{Kind: steps.DirectoryThing, Name: limitsDir}, {Kind: steps.DirectoryThing, Name: "/etc/security"}}
	if s.Item == "nofile" {
		for _, dir := range sysctlDirs {
			things = append(things, steps.Thing{Kind: steps.DirectoryThing, Name: dir})
		}
	}
	return things
}

// short is the type as a file has it.
func (s *limits) short() string {
	if s.Type == "both" {
		return "-"
	}
	return s.Type
}

func (s *limits) Probe() string {
	b := shell.Strip(limitsSource)
	item := shell.Words(s.Domain, s.Item)
	if !s.Absent() {
		b += "[ -d /etc/security ] || fail \"this host has no /etc/security, and so no pam_limits; install Linux-PAM first\"\n"
		if s.Item == "nofile" {
			b += fmt.Sprintf("n=$(cat /proc/sys/fs/nr_open) || exit 1\n[ %[1]s -le \"$n\" ] || fail \"%[1]s open files are more than fs.nr_open, $n, so that nobody they are for could log in; raise that with a step \\\"sysctl\\\", or give less\"\n", s.Value)
		}
		b += "limits_rival " + item + " " + shell.Words(s.short(), limitsValue(s.Value), s.Path) + "\n"
	}
	judge := kit.ProbeLines + "r=$(lines | limits_found " + item + ") || exit 1\ncase $NL$r$NL in\n"
	value := limitsValue(s.Value)
	switch {
	case s.Absent():
		types := map[string]string{"both": `*"${NL}types "*`, "soft": `*" soft$NL"*`, "hard": `*" hard$NL"* | *" hard soft$NL"*`}[s.Type]
		judge += types + ") r=differ ;;\n*) r=same ;;\nesac\n"
	case s.Type == "both":
		judge += fmt.Sprintf("*\"${NL}soft %[1]s${NL}hard %[1]s$NL\"*) r=same ;;\n*) r=differ ;;\nesac\n", value)
	default:
		judge += fmt.Sprintf("*\"${NL}%s %s$NL\"*) r=same ;;\n*) r=differ ;;\nesac\n", s.Type, value)
	}
	return b + s.Edit.Probe(judge)
}

func (s *limits) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	return s.Edit.Plan(obs, s.Same, func(change *steps.Change, before string) (steps.Text, error) {
		return steps.Plain(s.edit(change, before)), nil
	})
}

// typeOf is the type of a line for the domain and the item, or "".
func (s *limits) typeOf(line string) string {
	line, _, _ = strings.Cut(line, "#")
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) < 4 || words[0] != s.Domain || lowerASCII(words[2]) != s.Item {
		return ""
	}
	if t := lowerASCII(words[1]); t == "-" || t == "soft" || t == "hard" {
		return t
	}
	return ""
}

// lowerASCII is tolower of the C locale.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// edit leaves one line for what is wanted, behind every other that would set it, or none.
func (s *limits) edit(change *steps.Change, before string) string {
	lines := kit.ReadLines(before)
	covers := []string{s.Type}
	if s.Type == "both" {
		covers = []string{"-", "soft", "hard"}
	}
	wanted := s.Domain + " " + s.short() + " " + s.Item + " " + s.Value
	at, last := -1, -1 // the line that stays, and the last that sets the same
	for i, l := range lines.All {
		switch t := s.typeOf(l.Text); {
		case t == "":
		case slices.Contains(covers, t):
			at = i
		default:
			last = i
		}
	}
	if s.Absent() || at < last && slices.Contains([]string{"soft", "hard"}, s.Type) && s.beaten(lines, at, last) {
		at = -1
	}
	kept := lines.All[:0:0]
	for i, l := range lines.All {
		attr := steps.Attr{Name: fmt.Sprintf("line %d", i+1), Before: l.Text, After: wanted}
		switch {
		case i == at:
			l.Text = wanted
			kept = append(kept, l)
			if attr.Before != attr.After {
				change.Diff = append(change.Diff, attr)
			}
		case slices.Contains(covers, s.typeOf(l.Text)):
			attr.After, attr.AfterMissing = "", true
			change.Diff = append(change.Diff, attr)
		default:
			kept = append(kept, l)
		}
	}
	lines.All = kept
	if at < 0 && !s.Absent() {
		lines.Insert(len(lines.All), wanted)
		change.Diff = append(change.Diff, steps.Attr{Name: "line", BeforeMissing: true, After: wanted})
	}
	return lines.String()
}

// beaten tells whether a line for both limits stands behind the one at an index.
func (s *limits) beaten(lines *kit.Lines, at, last int) bool {
	for i := max(at, 0); i <= last; i++ {
		if s.typeOf(lines.All[i].Text) == "-" {
			return true
		}
	}
	return false
}
