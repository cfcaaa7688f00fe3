package kinds

import (
	"fmt"
	"slices"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var iniKind = &steps.Kind{
	Name: "ini",
	Doc: `Keys in a file of sections and keys, or their absence.

Such are .repo files, my.cnf, the files of supervisor and systemd, and the like. Comments, order
and everything else stay as they are.

A key that is there is changed in its place, with the "=" or ":" of its line and the spaces around it. A
":" ends a key before a blank, or where the line has no "=". If
the key is there more than once in its section, one remains. A new key goes to the end of its section,
written like its neighbours; a new section goes to the end of the file. section = "" is what
comes before the first header. Names are compared letter by letter.

Where a file has several sections of one name, such as the peers of WireGuard, where says which is meant.
Without it that is an error, unless nothing has to be changed.

A value ends with its line. Lines that continue it (indented deeper, or after a line that ends
with "\") belong to it and go when it changes. A comment after a value on the same line belongs
to the value.

state = "absent" removes the keys; without a key, every section of the name, or the one that where means. For an absent key its value
does not matter.

The file is replaced as a whole and at once; owner, mode, access list and label stay. A value may be
sensitive: then neither it nor the old one is shown. Nor is any of a file that only its owner may
read. Files larger than 256 KiB are not edited.`,
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
	Rules: []steps.Rule{steps.AtMostOne("key", "values")},
	New: func() (steps.Step, steps.Args) {
		s := &ini{Edit: kit.Edit{State: "present", Create: true}}
		args := steps.Args{
			kit.PathArg("path", &s.Path, "Absolute path of the file.").Must(),
			sectionArg("section", &s.Section, "Name of the section, without brackets. \"\" is the part before the first one.").Must(),
			iniKeyArg("key", &s.Key, "Name of a key."),
			valueArg("value", &s.Value, "Its value. It may be sensitive."),
			valuesArg("values", &s.Values, "Several keys and their values, in place of key and value. They may be sensitive."),
			whereArg("where", &s.Where, "Keys and values that the section has: they choose among several of one name. Where none has them, a new one gets them."),
		}
		args = append(args, s.Edit.Args()...)
		return s, append(args, kit.EnumArg("state", &s.State, "Whether the keys are there.", "present", "absent"))
	},
}

type ini struct {
	kit.Edit
	Section, Key  string
	Value         *steps.Text
	Values, Where []steps.Variable
}

var (
	_ steps.Bringer  = (*ini)(nil)
	_ steps.Requirer = (*ini)(nil)
)

func (s *ini) Validate() []steps.Problem {
	var problems []steps.Problem
	switch {
	case s.Key == "" && s.Value != nil:
		problems = append(problems, steps.Problem{Arg: "value", Summary: "value needs a key", Detail: "Say which key has the value."})
	case s.State == "present" && s.Key == "" && len(s.Values) == 0:
		problems = append(problems, steps.Problem{Summary: "one of key and values is required", Detail: "Give key and value, or values = { … }."})
	case s.State == "present" && s.Key != "" && s.Value == nil:
		problems = append(problems, steps.Problem{Arg: "value", Summary: "value is required", Detail: "Give the value of the key; \"\" is an empty one."})
	case s.State == "absent" && s.Section == "" && len(s.wanted()) == 0:
		problems = append(problems, steps.Problem{Arg: "section", Summary: "what comes before the first section cannot be removed as a whole", Detail: "Name a section or a key."})
	}
	if len(s.Where) > 0 && s.Section == "" {
		problems = append(problems, steps.Problem{Arg: "where", Summary: "there is only one part before the first section", Detail: "Leave where out, or name a section."})
	}
	return append(problems, s.Edit.Problems()...)
}

// wanted lists the keys, in the order of the arguments.
func (s *ini) wanted() []steps.Variable {
	if s.Key == "" {
		return s.Values
	}
	if s.Value == nil {
		return []steps.Variable{{Name: s.Key}}
	}
	return []steps.Variable{{Name: s.Key, Value: *s.Value}}
}

func (s *ini) secret() bool {
	return s.State == "present" && slices.ContainsFunc(s.wanted(), func(v steps.Variable) bool { return v.Value.Sensitive() })
}

func (s *ini) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	same := s.Same
	if s.secret() {
		same = func(obs steps.Observation) bool { return s.sameValues(f, obs) }
	}
	return s.Edit.Plan(obs, same, func(change *steps.Change, before string) (steps.Text, error) {
		after, err := s.edit(change, before)
		if s.secret() {
			return steps.Secret(after), err
		}
		return steps.Plain(after), err
	})
}

// sameValues compares the salted sums of secret values with those of the wanted ones.
func (s *ini) sameValues(f *steps.Facts, obs steps.Observation) bool {
	for i, v := range s.wanted() {
		sum, _ := obs.Get(fmt.Sprintf("value.%d", i+1))
		if sum != steps.Secret(v.Value.Reveal()).Sum(f) {
			return false
		}
	}
	return true
}
