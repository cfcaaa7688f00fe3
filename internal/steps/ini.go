package steps

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
)

var iniKind = &Kind{
	Name: "ini",
	Doc: `Keys in a file of sections and keys, or their absence: .repo files, my.cnf, supervisor's and
systemd's files, and the like. Comments, order and everything else stay as they are.

A key that is there is changed in its place, with the spaces that its line has around the "=". If
it is there more than once in its section, one remains. A new key goes to the end of its section,
written like its neighbours; a new section goes to the end of the file. section = "" is what
comes before the first header. Names are compared letter by letter.

A value ends with its line. Lines that continue it (indented deeper, or after a line that ends
with "\") belong to it and go when it changes. A comment after a value on the same line belongs
to the value.

state = "absent" removes the keys; without a key, the whole section. For an absent key its value
does not matter.

The file is replaced as a whole and at once; owner, mode, access list and label stay. A value may be
sensitive: then neither it nor the old one is shown. Files larger than 256 KiB are not edited.`,
	Example: `step "ini" "workers" {
  path    = "/etc/demo.ini"
  section = "program:web"
  values = {
    command   = "/usr/bin/web --port 8000"
    autostart = "true"
  }
}

step "ini" "fastest" {
  path    = "/etc/demo.ini"
  section = "main"
  key     = "timeout"
  value   = "30"
}
`,
	New: func() (Step, Args) {
		s := &ini{State: "present", Create: true}
		args := Args{
			pathArg("path", &s.Path, "Absolute path of the file.").Must(),
			sectionArg("section", &s.Section, "Name of the section, without brackets. \"\" is the part before the first one.").Must(),
			iniKeyArg("key", &s.Key, "Name of a key."),
			valueArg("value", &s.Value, "Its value. It may be sensitive."),
			valuesArg("values", &s.Values, "Several keys and their values, in place of key and value. They may be sensitive."),
			boolArg("create", &s.Create, "Make the file if it is not there."),
		}
		for _, a := range s.ownership.args("file") {
			a.Doc = strings.Replace(a.Doc, "Left out, it is not looked at.", "For a file that create makes; an existing one keeps its own.", 1)
			args = append(args, a)
		}
		return s, append(args, enumArg("state", &s.State, "Whether the keys are there.", "present", "absent"))
	},
}

type ini struct {
	Path, Section, Key, State string
	Value                     *Text
	Values                    []Variable
	Create                    bool
	ownership
}

func sectionArg(name string, to *string, doc string) Arg {
	a := stringArg(name, to, doc)
	a.set = func(v cty.Value) error {
		if strings.ContainsAny(v.AsString(), "]\n") || noControl(v.AsString()) != nil || strings.TrimSpace(v.AsString()) != v.AsString() {
			return errors.New("a section's name has no \"]\", no control characters and no spaces around it")
		}
		*to = v.AsString()
		return nil
	}
	return a
}

// checkKey says what is wrong with the name of a key.
func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("the name of the key is empty")
	case strings.ContainsAny(key[:1], "[#; \t") || strings.ContainsAny(key, "=") || strings.TrimSpace(key) != key || noControl(key) != nil:
		return fmt.Errorf("%q is no name of a key: it has no \"=\", no control characters and no spaces around it, and does not begin with [ # or ;", key)
	}
	return nil
}

func iniKeyArg(name string, to *string, doc string) Arg {
	a := stringArg(name, to, doc)
	a.set = func(v cty.Value) error {
		*to = v.AsString()
		return checkKey(v.AsString())
	}
	return a
}

// checkValue says what is wrong with a value, without showing it.
func checkValue(value string) error {
	if strings.TrimSpace(value) != value || noControl(strings.ReplaceAll(value, "\t", " ")) != nil {
		return errors.New("a value is one line without spaces around it")
	}
	if strings.HasSuffix(value, `\`) {
		return errors.New("a value that ends with \"\\\" would swallow the next line")
	}
	return nil
}

func valueArg(name string, to **Text, doc string) Arg {
	a := textArg(name, to, doc)
	a.set = func(v cty.Value) error {
		t := textOf(v)
		*to = &t
		return checkValue(t.Reveal())
	}
	return a
}

// valuesArg is a map of keys to values that may be secrets, sorted by key.
func valuesArg(name string, to *[]Variable, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.Map(cty.String), Secret: true, set: func(v cty.Value) error {
		plain, marks := v.Unmark()
		_, all := marks[Sensitive]
		*to = []Variable{}
		for it := plain.ElementIterator(); it.Next(); {
			key, value := it.Element()
			key, _ = key.Unmark()
			if err := checkKey(key.AsString()); err != nil {
				return err
			}
			if bare, _ := value.Unmark(); bare.IsNull() {
				continue
			}
			text := textOf(value)
			if all {
				text = Secret(text.Reveal())
			}
			if err := checkValue(text.Reveal()); err != nil {
				return fmt.Errorf("%s: %w", key.AsString(), err)
			}
			*to = append(*to, Variable{Name: key.AsString(), Value: text})
		}
		return nil
	}}
}

func (s *ini) Validate() []Problem {
	var problems []Problem
	switch {
	case s.Key != "" && s.Values != nil:
		problems = append(problems, Problem{Arg: "values", Summary: "key and values exclude each other", Detail: "Put the key into values."})
	case s.Key == "" && s.Value != nil:
		problems = append(problems, Problem{Arg: "value", Summary: "value needs a key", Detail: "Say which key has the value."})
	case s.State == "present" && s.Key == "" && len(s.Values) == 0:
		problems = append(problems, Problem{Summary: "one of key and values is required", Detail: "Give key and value, or values = { … }."})
	case s.State == "present" && s.Key != "" && s.Value == nil:
		problems = append(problems, Problem{Arg: "value", Summary: "value is required", Detail: "Give the value of the key; \"\" is an empty one."})
	case s.State == "absent" && s.Section == "" && len(s.wanted()) == 0:
		problems = append(problems, Problem{Arg: "section", Summary: "what comes before the first section cannot be removed as a whole", Detail: "Name a section or a key."})
	}
	if s.ownership != (ownership{}) && !s.Create {
		problems = append(problems, Problem{Arg: "create", Summary: "owner, group and mode are for a file that is made", Detail: "Set create = true, or leave them out."})
	}
	return problems
}

// wanted lists the keys, in the order of the arguments.
func (s *ini) wanted() []Variable {
	if s.Key == "" {
		return s.Values
	}
	if s.Value == nil {
		return []Variable{{Name: s.Key}}
	}
	return []Variable{{Name: s.Key, Value: *s.Value}}
}

func (s *ini) secret() bool {
	return s.State == "present" && slices.ContainsFunc(s.wanted(), func(v Variable) bool { return v.Value.Sensitive() })
}

// iniAwk reads a file as readINI does. $MODE says what it prints:
//
//	present   "same" if each of $KEYS is once in $SECTION with its value of $VALUES, or "differ"
//	absent    "same" if none of $KEYS is in $SECTION, or "differ"
//	section   "same" if there is no $SECTION, or "differ"
//	count     how often each of $KEYS is in $SECTION, a number a line
//	value     the value of the only one of $KEYS, without a line break
//
// Keys and values come one a line. Lines that continue a value are joined to it by a line break,
// which no wanted value has.
const iniAwk = `function trim(s) { sub(/^[ \t\r]+/, "", s); sub(/[ \t\r]+$/, "", s); return s }
function indent(s) { match(s, /^[ \t]*/); return RLENGTH }
BEGIN { n = split(ENVIRON["KEYS"], k, "\n"); split(ENVIRON["VALUES"], v, "\n"); inside = there = (ENVIRON["SECTION"] == "") }
{
	text = trim($0)
	end = substr(text, 1, 1) == "[" ? index(text, "]") : 0
	if (open && (slash || text != "" && indent($0) > deep && text !~ /^[#;]/ && !end)) {
		if (at) got[at] = got[at] "\n" text
		slash = (text ~ /\\$/)
		next
	}
	if (text == "") open = 0
	if (text == "" || text ~ /^[#;]/) next
	open = at = 0
	if (end) {
		inside = (trim(substr(text, 2, end - 2)) == ENVIRON["SECTION"])
		there = there || inside
		next
	}
	open = 1
	deep = indent($0)
	slash = (text ~ /\\$/)
	eq = index(text, "=")
	key = eq ? trim(substr(text, 1, eq - 1)) : text
	if (!inside) next
	for (i = 1; i <= n; i++) if (k[i] "" == key) {
		at = i
		count[i]++
		got[i] = eq ? trim(substr(text, eq + 1)) : ""
	}
}
END {
	mode = ENVIRON["MODE"]
	if (mode == "value") { printf "%s", got[1]; exit }
	for (i = 1; i <= n; i++) {
		if (mode == "count") print count[i] + 0
		if (mode == "present" && (count[i] != 1 || got[i] "" != v[i] "")) bad = 1
		if (mode == "absent" && count[i]) bad = 1
	}
	if (mode == "section" && there) bad = 1
	if (mode != "count") print bad ? "differ" : "same"
}`

func (s *ini) Probe() string {
	var b strings.Builder
	var keys, values []string
	for _, v := range s.wanted() {
		keys = append(keys, v.Name)
		if !s.secret() {
			values = append(values, v.Value.Reveal())
		}
	}
	fmt.Fprintf(&b, "p=%s\nt=$(path_type \"$p\") || exit 1\nsay type \"$t\"\n", shell.Quote(s.Path))
	b.WriteString("if [ \"$t\" = absent ]; then\n")
	switch {
	case s.State == "absent":
	case s.Create:
		b.WriteString(probeParent + s.probeNames(""))
	default:
		b.WriteString("\tsay missing \"file $p\"\n")
	}
	b.WriteString("\texit 0\nfi\n[ \"$t\" = file ] || exit 0\n[ -r \"$p\" ] || fail \"$p: cannot be read\"\n")
	fmt.Fprintf(&b, "SECTION=%s MODE=%s\nKEYS=%s\nVALUES=%s\nexport SECTION MODE KEYS VALUES\nprogram=%s\n",
		shell.Quote(s.Section), s.mode(), shell.Quote(strings.Join(keys, "\n")), shell.Quote(strings.Join(values, "\n")), shell.Quote(iniAwk))
	if s.secret() {
		b.WriteString(s.probeSums())
		return b.String()
	}
	b.WriteString("r=$(awk \"$program\" <\"$p\") || exit 1\nsay keys \"$r\"\n[ \"$r\" = same ] && exit 0\n" + probeEdit)
	return b.String()
}

func (s *ini) mode() string {
	switch {
	case s.secret():
		return "count"
	case s.State == "absent" && len(s.wanted()) == 0:
		return "section"
	}
	return s.State
}

// probeSums is sh that prints for every key the salted sum of its value, or how often it is
// there instead of once. The wanted values are not known on the host: the content is always sent.
func (s *ini) probeSums() string {
	var b strings.Builder
	b.WriteString("counts=$(awk \"$program\" <\"$p\") || exit 1\nMODE=value\n")
	for i, v := range s.wanted() {
		fmt.Fprintf(&b, "count=${counts%%%%\"\n\"*} counts=${counts#*\"\n\"}\nKEYS=%s\n", shell.Quote(v.Name))
		fmt.Fprintf(&b, `if [ "$count" = 1 ]; then
	s=$({ printf '%%s' "$SALT"; awk "$program" <"$p"; } | sha256sum) || exit 1
	say value.%d "${s%%%% *}"
else
	say value.%d "times $count"
fi
`, i+1, i+1)
	}
	// The sum of the whole is salted, too: the secrets are in it.
	return b.String() + strings.Replace(probeEdit, "$(sum_of", "$(salted_sum_of", 1)
}

func (s *ini) Plan(f *Facts, obs Observation) (Change, error) {
	kind, _ := obs.Get("type")
	switch {
	case kind == "absent" && s.State == "absent":
		return Change{Action: NoOp}, nil
	case kind == "file" && s.same(f, obs):
		return Change{Action: NoOp}, nil
	case kind == "absent" && !s.Create:
		change := Change{Action: Unknown}
		change.missing(obs)
		change.Predict = nil
		if !s.secret() {
			change.Predict = []Observation{Observe("type file", "keys same")}
		}
		return change, nil
	case kind != "absent" && kind != "file":
		return Change{}, notA(s.Path, kind, "file")
	}
	change := Change{Action: Create}
	before := ""
	if kind == "file" {
		change.Action = Update
		text, err := editable(obs)
		if err != nil {
			return Change{}, err
		}
		before = text
	}
	put := Put{Path: s.Path, Content: Content{Text: Plain(s.edit(&change, before))}}
	if s.secret() {
		put.Content.Text = Secret(put.Content.Text.Reveal())
	}
	if kind == "absent" {
		put.Owner, put.Group, put.Mode = s.Owner, s.Group, s.Mode
		s.differences(&change, obs, "")
		change.missing(obs)
	}
	change.Ops = []Op{put}
	return change, nil
}

// same tells whether the state of a file is the wanted one.
func (s *ini) same(f *Facts, obs Observation) bool {
	if !s.secret() {
		keys, _ := obs.Get("keys")
		return keys == "same"
	}
	for i, v := range s.wanted() {
		sum, _ := obs.Get(fmt.Sprintf("value.%d", i+1))
		if sum != Secret(v.Value.Reveal()).Sum(f) {
			return false
		}
	}
	return true
}
