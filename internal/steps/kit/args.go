package kit

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// NoControl refuses what no command line, path or configuration line survives.
func NoControl(s string) error {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return fmt.Errorf("the value holds the control character %q", s[i])
		}
	}
	return nil
}

// StringArg is one line of text.
func StringArg(name string, to *string, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Decode: func(v cty.Value) error {
		s := v.AsString()
		if err := NoControl(s); err != nil {
			return err
		}
		*to = s
		return nil
	}}
}

// OptStringArg is one line of text that may be left out; then *to stays nil.
func OptStringArg(name string, to **string, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Decode: func(v cty.Value) error {
		s := v.AsString()
		if err := NoControl(s); err != nil {
			return err
		}
		*to = &s
		return nil
	}}
}

// TextArg is text of any length that may be a secret.
func TextArg(name string, to **steps.Text, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Secret: true, Decode: func(v cty.Value) error {
		t := steps.TextOf(v)
		*to = &t
		return nil
	}}
}

// TemplateArg is a local template whose rendered text may be a secret.
func TemplateArg(name string, to **steps.Text, doc string) steps.Arg {
	a := TextArg(name, to, doc)
	a.Origin = steps.Template
	return a
}

// FileArg is a local file.
func FileArg(name string, to **steps.Local, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Origin: steps.File, DecodeFile: func(l *steps.Local) { *to = l }}
}

// ScriptArg is sh text; the playbook checks that it parses.
func ScriptArg(name string, to *string, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Shell: true, Decode: func(v cty.Value) error {
		if strings.IndexByte(v.AsString(), 0) >= 0 {
			return errors.New("the script holds a NUL byte")
		}
		*to = v.AsString()
		return nil
	}}
}

// EnumArg is one of a few words. The default is what *to holds.
func EnumArg(name string, to *string, doc string, values ...string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Values: values, Default: *to, Decode: func(v cty.Value) error {
		for _, allowed := range values {
			if v.AsString() == allowed {
				*to = allowed
				return nil
			}
		}
		return &steps.EnumError{Got: v.AsString(), Values: values}
	}}
}

// BoolArg is a bool whose default is what *to holds.
func BoolArg(name string, to *bool, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.Bool, Default: fmt.Sprint(*to), Decode: func(v cty.Value) error {
		*to = v.True()
		return nil
	}}
}

// OptBoolArg is a bool that may be left out; then *to stays nil.
func OptBoolArg(name string, to **bool, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.Bool, Decode: func(v cty.Value) error {
		b := v.True()
		*to = &b
		return nil
	}}
}

// IntArg is a whole number from low to high.
func IntArg(name string, to *int, low, high int, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.Number, Decode: func(v cty.Value) error {
		n, err := WholeNumber(v, low, high)
		if err != nil {
			return err
		}
		*to = n
		return nil
	}}
}

// OptIntArg is a whole number from low to high that may be left out; then *to stays nil.
func OptIntArg(name string, to **int, low, high int, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.Number, Decode: func(v cty.Value) error {
		n, err := WholeNumber(v, low, high)
		if err != nil {
			return err
		}
		*to = &n
		return nil
	}}
}

func WholeNumber(v cty.Value, low, high int) (int, error) {
	n, accuracy := v.AsBigFloat().Int64()
	if accuracy != 0 || n < int64(low) || n > int64(high) {
		return 0, fmt.Errorf("a whole number from %d to %d is required", low, high)
	}
	return int(n), nil
}

// StringsArg is a list of single lines. A single string is not taken for a list of one.
func StringsArg(name string, to *[]string, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.List(cty.String), Decode: func(v cty.Value) error {
		list := []string{}
		for _, item := range v.AsValueSlice() {
			if item.IsNull() {
				return errors.New("the list holds a null")
			}
			if err := NoControl(item.AsString()); err != nil {
				return err
			}
			list = append(list, item.AsString())
		}
		*to = list
		return nil
	}}
}

// WordsArg is argv: a list whose items may hold any character but NUL.
func WordsArg(name string, to *[]string, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.List(cty.String), Decode: func(v cty.Value) error {
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

// VariablesArg is a map of environment variables whose values may be secrets, sorted by name.
func VariablesArg(name string, to *[]steps.Variable, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.Map(cty.String), Secret: true, Decode: func(v cty.Value) error {
		plain, marks := v.Unmark()
		_, all := marks[steps.Sensitive]
		var list []steps.Variable
		for it := plain.ElementIterator(); it.Next(); {
			key, value := it.Element()
			key, keyMarks := key.Unmark()
			if _, yes := keyMarks[steps.Sensitive]; yes {
				return errors.New("the name of a variable cannot be sensitive")
			}
			if !variableName.MatchString(key.AsString()) {
				return fmt.Errorf("%q is no name of a variable: letters, digits and _ are, a digit not first", key.AsString())
			}
			if bare, _ := value.Unmark(); bare.IsNull() {
				continue
			}
			text := steps.TextOf(value)
			if all {
				text = steps.Secret(text.Reveal())
			}
			if strings.IndexByte(text.Reveal(), 0) >= 0 {
				return fmt.Errorf("the value of %s holds a NUL byte", key.AsString())
			}
			list = append(list, steps.Variable{Name: key.AsString(), Value: text})
		}
		*to = list
		return nil
	}}
}

// PathArg is an absolute path on the host, cleaned.
func PathArg(name string, to *string, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Decode: func(v cty.Value) error {
		p := v.AsString()
		if err := NoControl(p); err != nil {
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

// ModeArg is a file mode in octal, stored as chmod takes it, without a leading zero ("644", "1777").
func ModeArg(name string, to *string, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Default: *to, Decode: func(v cty.Value) error {
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

// NameArg is the name of a user, a group, a package or the like: no spaces, no leading dash.
func NameArg(name string, to *string, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Decode: func(v cty.Value) error {
		if !namePattern.MatchString(v.AsString()) {
			return fmt.Errorf("%q is no valid name: letters, digits and _ . @ + - are, and no leading dash", v.AsString())
		}
		*to = v.AsString()
		return nil
	}}
}

// SecondsArg is a duration such as "30s" or "5m", stored in seconds.
func SecondsArg(name string, to *int, doc string) steps.Arg {
	shown := ""
	if *to > 0 {
		shown = (time.Duration(*to) * time.Second).String()
	}
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Default: shown, Decode: func(v cty.Value) error {
		seconds, err := steps.ParseSeconds(v.AsString())
		if err != nil {
			return err
		}
		*to = seconds
		return nil
	}}
}

// NamesArg is a list of names of groups, users or the like.
func NamesArg(name string, to *[]string, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.List(cty.String), Decode: func(v cty.Value) error {
		list := []string{}
		for _, item := range v.AsValueSlice() {
			if item.IsNull() {
				return errors.New("the list holds a null")
			}
			if !namePattern.MatchString(item.AsString()) {
				return fmt.Errorf("%q is no valid name: letters, digits and _ . @ + - are, and no leading dash", item.AsString())
			}
			list = append(list, item.AsString())
		}
		*to = list
		return nil
	}}
}

// LineArg is one line of text that may hold tabs.
func LineArg(name string, to **string, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Decode: func(v cty.Value) error {
		s := v.AsString()
		if strings.ContainsAny(s, "\n") {
			return errors.New("the text has a line break; write one step for each line, or use the kind file")
		}
		if err := NoControl(strings.ReplaceAll(s, "\t", "")); err != nil {
			return err
		}
		*to = &s
		return nil
	}}
}

// FileTextArg is the content of a local file, as a secret.
func FileTextArg(name string, to **steps.Text, doc string) steps.Arg {
	a := TextArg(name, to, doc)
	a.Origin = steps.FileText
	return a
}

// StringMapArg is a map of single lines.
func StringMapArg(name string, to *map[string]string, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.Map(cty.String), Decode: func(v cty.Value) error {
		m := map[string]string{}
		for key, value := range v.AsValueMap() {
			if value.IsNull() {
				continue
			}
			if err := NoControl(key + value.AsString()); err != nil {
				return err
			}
			m[key] = value.AsString()
		}
		*to = m
		return nil
	}}
}

// PathWithinArg is a path relative to some directory, that does not lead out of it.
func PathWithinArg(name string, to *string, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Decode: func(v cty.Value) error {
		p := v.AsString()
		if err := NoControl(p); err != nil {
			return err
		}
		clean := path.Clean(p)
		if p == "" || p[0] == '/' || clean == ".." || strings.HasPrefix(clean, "../") {
			return fmt.Errorf("%q is no path within the directory: it is relative, and does not lead out", p)
		}
		*to = clean
		return nil
	}}
}

// DirArg is a local directory; the step gets its absolute path.
func DirArg(name string, to *string, doc string) steps.Arg {
	a := StringArg(name, to, doc)
	a.Origin = steps.Dir
	return a
}
