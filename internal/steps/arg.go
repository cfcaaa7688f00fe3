package steps

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Sensitive is the mark of a cty.Value that is a secret. It travels through every expression.
const Sensitive = mark("sensitive")

type mark string

// An Origin says how the value of an argument becomes what the step gets.
type Origin int

const (
	Value    Origin = iota // the value itself
	File                   // a path of a local file; the step gets a *Local through Arg.SetFile
	Template               // a path of a local template, rendered in the scope of the step; the step gets the text
	Dir                    // a path of a local directory; the step gets its absolute path
	FileText               // a path of a local file; the step gets its content as a sensitive text
)

// An Arg binds one argument of a step to the place where its value goes.
type Arg struct {
	Name     string
	Doc      string // one sentence or more, without a final line break
	Type     cty.Type
	Origin   Origin
	Required bool
	Secret   bool     // takes sensitive values; others refuse them, since they would be seen
	Values   []string // the only values allowed, for the manual and for "did you mean"
	Default  string   // as the manual shows it; "" for none
	Shell    bool     // the value is sh text, checked by shell.Check

	set     func(cty.Value) error // gets a known value of Type that is not null, unmarked unless Secret
	setFile func(*Local)
}

// Args is the list of a kind's arguments, in the order of the manual.
type Args []Arg

// Get returns the argument with a name, or nil.
func (as Args) Get(name string) *Arg {
	for i := range as {
		if as[i].Name == name {
			return &as[i]
		}
	}
	return nil
}

// Set decodes a wholly known value into the step. Null leaves the default. The error says what is
// wrong with the value; the caller knows the argument's name and place. For the origins File and Dir the
// caller passes an absolute path and, for File, calls SetFile in place of Set.
func (a Arg) Set(v cty.Value) error {
	if v.IsNull() {
		if a.Required {
			return errors.New("a value is required; this one is null")
		}
		return nil
	}
	if !a.Secret {
		plain, marks := v.UnmarkDeep()
		if _, yes := marks[Sensitive]; yes {
			return errors.New("a sensitive value is not allowed here: it would show in plans and process lists")
		}
		v = plain
	}
	v, err := convert.Convert(v, a.Type)
	if err != nil {
		return fmt.Errorf("%s is required: %w", a.Type.FriendlyName(), err)
	}
	if v.IsNull() {
		return nil
	}
	return a.set(v)
}

// SetFile gives an argument of the origin File its local file.
func (a Arg) SetFile(l *Local) { a.setFile(l) }

// Must marks the argument as required.
func (a Arg) Must() Arg {
	a.Required = true
	return a
}

// With sets the default that the manual shows.
func (a Arg) With(shown string) Arg {
	a.Default = shown
	return a
}

// noControl refuses what no command line, path or configuration line survives.
func noControl(s string) error {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return fmt.Errorf("the value holds the control character %q", s[i])
		}
	}
	return nil
}

// stringArg is one line of text.
func stringArg(name string, to *string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, set: func(v cty.Value) error {
		s := v.AsString()
		if err := noControl(s); err != nil {
			return err
		}
		*to = s
		return nil
	}}
}

// optStringArg is one line of text that may be left out; then *to stays nil.
func optStringArg(name string, to **string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, set: func(v cty.Value) error {
		s := v.AsString()
		if err := noControl(s); err != nil {
			return err
		}
		*to = &s
		return nil
	}}
}

// textArg is text of any length that may be a secret.
func textArg(name string, to **Text, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, Secret: true, set: func(v cty.Value) error {
		t := textOf(v)
		*to = &t
		return nil
	}}
}

func textOf(v cty.Value) Text {
	plain, marks := v.Unmark()
	if _, yes := marks[Sensitive]; yes {
		return Secret(plain.AsString())
	}
	return Plain(plain.AsString())
}

// templateArg is a local template whose rendered text may be a secret.
func templateArg(name string, to **Text, doc string) Arg {
	a := textArg(name, to, doc)
	a.Origin = Template
	return a
}

// fileArg is a local file.
func fileArg(name string, to **Local, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, Origin: File, setFile: func(l *Local) { *to = l }}
}

// scriptArg is sh text; the playbook checks that it parses.
func scriptArg(name string, to *string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, Shell: true, set: func(v cty.Value) error {
		if strings.IndexByte(v.AsString(), 0) >= 0 {
			return errors.New("the script holds a NUL byte")
		}
		*to = v.AsString()
		return nil
	}}
}

// enumArg is one of a few words. The default is what *to holds.
func enumArg(name string, to *string, doc string, values ...string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, Values: values, Default: *to, set: func(v cty.Value) error {
		for _, allowed := range values {
			if v.AsString() == allowed {
				*to = allowed
				return nil
			}
		}
		return &EnumError{Got: v.AsString(), Values: values}
	}}
}

// An EnumError says that a word is none of those allowed.
type EnumError struct {
	Got    string
	Values []string
}

func (e *EnumError) Error() string {
	return fmt.Sprintf("%q is not one of %s", e.Got, strings.Join(e.Values, ", "))
}

// boolArg is a bool whose default is what *to holds.
func boolArg(name string, to *bool, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.Bool, Default: fmt.Sprint(*to), set: func(v cty.Value) error {
		*to = v.True()
		return nil
	}}
}

// optBoolArg is a bool that may be left out; then *to stays nil.
func optBoolArg(name string, to **bool, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.Bool, set: func(v cty.Value) error {
		b := v.True()
		*to = &b
		return nil
	}}
}

// intArg is a whole number from low to high.
func intArg(name string, to *int, low, high int, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.Number, set: func(v cty.Value) error {
		n, err := wholeNumber(v, low, high)
		if err != nil {
			return err
		}
		*to = n
		return nil
	}}
}

// optIntArg is a whole number from low to high that may be left out; then *to stays nil.
func optIntArg(name string, to **int, low, high int, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.Number, set: func(v cty.Value) error {
		n, err := wholeNumber(v, low, high)
		if err != nil {
			return err
		}
		*to = &n
		return nil
	}}
}

func wholeNumber(v cty.Value, low, high int) (int, error) {
	n, accuracy := v.AsBigFloat().Int64()
	if accuracy != 0 || n < int64(low) || n > int64(high) {
		return 0, fmt.Errorf("a whole number from %d to %d is required", low, high)
	}
	return int(n), nil
}

// stringsArg is a list of single lines. A single string is not taken for a list of one.
func stringsArg(name string, to *[]string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.List(cty.String), set: func(v cty.Value) error {
		list := []string{}
		for _, item := range v.AsValueSlice() {
			if item.IsNull() {
				return errors.New("the list holds a null")
			}
			if err := noControl(item.AsString()); err != nil {
				return err
			}
			list = append(list, item.AsString())
		}
		*to = list
		return nil
	}}
}

// wordsArg is argv: a list whose items may hold any character but NUL.
func wordsArg(name string, to *[]string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.List(cty.String), set: func(v cty.Value) error {
		list := []string{}
		for _, item := range v.AsValueSlice() {
			if item.IsNull() || strings.IndexByte(item.AsString(), 0) >= 0 {
				return errors.New("the list holds a null or a NUL byte")
			}
			list = append(list, item.AsString())
		}
		*to = list
		return nil
	}}
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// variablesArg is a map of environment variables whose values may be secrets, sorted by name.
func variablesArg(name string, to *[]Variable, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.Map(cty.String), Secret: true, set: func(v cty.Value) error {
		plain, marks := v.Unmark()
		_, all := marks[Sensitive]
		var list []Variable
		for it := plain.ElementIterator(); it.Next(); {
			key, value := it.Element()
			key, keyMarks := key.Unmark()
			if _, yes := keyMarks[Sensitive]; yes {
				return errors.New("the name of a variable cannot be sensitive")
			}
			if !variableName.MatchString(key.AsString()) {
				return fmt.Errorf("%q is no name of a variable: letters, digits and _ are, a digit not first", key.AsString())
			}
			if bare, _ := value.Unmark(); bare.IsNull() {
				continue
			}
			text := textOf(value)
			if all {
				text = Secret(text.Reveal())
			}
			if strings.IndexByte(text.Reveal(), 0) >= 0 {
				return fmt.Errorf("the value of %s holds a NUL byte", key.AsString())
			}
			list = append(list, Variable{Name: key.AsString(), Value: text})
		}
		*to = list
		return nil
	}}
}

// pathArg is an absolute path on the host, cleaned.
func pathArg(name string, to *string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, set: func(v cty.Value) error {
		p := v.AsString()
		if err := noControl(p); err != nil {
			return err
		}
		switch {
		case p == "":
			return errors.New("the path is empty")
		case strings.HasPrefix(p, "~"):
			return fmt.Errorf("%q: ~ is not expanded on a host; use \"${fact.home}/…\" or an absolute path", p)
		case p[0] != '/':
			return fmt.Errorf("%q is not absolute: a path on a host begins with /", p)
		}
		*to = path.Clean(p)
		return nil
	}}
}

var modePattern = regexp.MustCompile(`^0?[0-7]{3,4}$`)

// modeArg is a file mode in octal, stored as chmod takes it, without a leading zero ("644", "1777").
func modeArg(name string, to *string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, Default: *to, set: func(v cty.Value) error {
		m := v.AsString()
		if !modePattern.MatchString(m) {
			return fmt.Errorf("%q is no mode: write it in octal as \"0644\"", m)
		}
		*to = canonicalMode(m)
		return nil
	}}
}

// canonicalMode drops leading zeros, as stat -c %a prints modes.
func canonicalMode(m string) string {
	if m = strings.TrimLeft(m, "0"); m == "" {
		return "0"
	}
	return m
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]*\$?$`)

// nameArg is the name of a user, a group, a package or the like: no spaces, no leading dash.
func nameArg(name string, to *string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, set: func(v cty.Value) error {
		if !namePattern.MatchString(v.AsString()) {
			return fmt.Errorf("%q is no valid name: letters, digits and _ . @ + - are, and no leading dash", v.AsString())
		}
		*to = v.AsString()
		return nil
	}}
}

// secondsArg is a duration such as "30s" or "5m", stored in seconds.
func secondsArg(name string, to *int, doc string) Arg {
	shown := ""
	if *to > 0 {
		shown = (time.Duration(*to) * time.Second).String()
	}
	return Arg{Name: name, Doc: doc, Type: cty.String, Default: shown, set: func(v cty.Value) error {
		seconds, err := ParseSeconds(v.AsString())
		if err != nil {
			return err
		}
		*to = seconds
		return nil
	}}
}

// ParseSeconds reads a duration of Go's form ("30s", "1h30m") of at least a second, in seconds.
func ParseSeconds(s string) (int, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return 0, fmt.Errorf("%q is no duration of a second or more: write it as \"30s\", \"5m\" or \"1h30m\"", s)
	}
	return int(d / time.Second), nil
}
