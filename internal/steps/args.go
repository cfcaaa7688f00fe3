package steps

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

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

// namesArg is a list of names of groups, users or the like.
func namesArg(name string, to *[]string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.List(cty.String), set: func(v cty.Value) error {
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

// lineArg is one line of text that may hold tabs.
func lineArg(name string, to **string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, set: func(v cty.Value) error {
		s := v.AsString()
		if strings.ContainsAny(s, "\n") {
			return errors.New("the text has a line break; write one step for each line, or use the kind file")
		}
		if err := noControl(strings.ReplaceAll(s, "\t", "")); err != nil {
			return err
		}
		*to = &s
		return nil
	}}
}

// fileTextArg is the content of a local file, as a secret.
func fileTextArg(name string, to **Text, doc string) Arg {
	a := textArg(name, to, doc)
	a.Origin = FileText
	return a
}

// stringMapArg is a map of single lines.
func stringMapArg(name string, to *map[string]string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.Map(cty.String), set: func(v cty.Value) error {
		m := map[string]string{}
		for key, value := range v.AsValueMap() {
			if value.IsNull() {
				continue
			}
			if err := noControl(key + value.AsString()); err != nil {
				return err
			}
			m[key] = value.AsString()
		}
		*to = m
		return nil
	}}
}

// pathWithinArg is a path relative to some directory, that does not lead out of it.
func pathWithinArg(name string, to *string, doc string) Arg {
	return Arg{Name: name, Doc: doc, Type: cty.String, set: func(v cty.Value) error {
		p := v.AsString()
		if err := noControl(p); err != nil {
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

// dirArg is a local directory; the step gets its absolute path.
func dirArg(name string, to *string, doc string) Arg {
	a := stringArg(name, to, doc)
	a.Origin = Dir
	return a
}
