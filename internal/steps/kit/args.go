package kit

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// ParsedArg is a text that parse turns into what the step gets, or refuses: its error says what is wrong with the value and, where
// that is not obvious, how to write it. Most constructors of arguments are this one with a function of their own.
func ParsedArg[T any](name string, to *T, doc string, parse func(string) (T, error)) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Decode: func(v cty.Value) error {
		parsed, err := parse(v.AsString())
		if err == nil {
			*to = parsed
		}
		return err
	}}
}

// OptionalArg is ParsedArg for a text that may be left out, in which case *to stays nil; "" is a value of its own.
func OptionalArg[T any](name string, to **T, doc string, parse func(string) (T, error)) steps.Arg {
	a := ParsedArg(name, to, doc, func(s string) (*T, error) {
		parsed, err := parse(s)
		return &parsed, err
	})
	a.Empty = true
	return a
}

// ListArg is a list of texts, each turned into an item by parse. A single text is not taken for a list of one. An empty list
// sets *to to an empty slice, which is not nil.
func ListArg[T any](name string, to *[]T, doc string, parse func(string) (T, error)) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.List(cty.String), Decode: func(v cty.Value) error {
		list := []T{}
		for _, item := range v.AsValueSlice() {
			if item.IsNull() {
				return errors.New("the list holds a null")
			}
			parsed, err := parse(item.AsString())
			if err != nil {
				return err
			}
			list = append(list, parsed)
		}
		*to = list
		return nil
	}}
}

// MapArg is a map of texts that check accepts. A null value is as good as none.
func MapArg(name string, to *map[string]string, doc string, check func(key, value string) error) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.Map(cty.String), Decode: func(v cty.Value) error {
		m := map[string]string{}
		for key, value := range v.AsValueMap() {
			if value.IsNull() {
				continue
			}
			if err := check(key, value.AsString()); err != nil {
				return err
			}
			m[key] = value.AsString()
		}
		*to = m
		return nil
	}}
}

// SecretsArg is a map whose values may be secrets, sorted by key. check accepts a key and its value; its error must not show the
// value. A null value is as good as none.
func SecretsArg(name string, to *[]steps.Variable, doc string, check func(key, value string) error) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.Map(cty.String), Secret: true, Decode: func(v cty.Value) error {
		plain, marks := v.Unmark()
		_, all := marks[steps.Sensitive]
		var list []steps.Variable
		var wrong []string
		for it := plain.ElementIterator(); it.Next(); {
			key, value := it.Element()
			key, keyMarks := key.Unmark()
			if _, yes := keyMarks[steps.Sensitive]; yes {
				return errors.New("a key of the map cannot be sensitive")
			}
			bare, _ := value.Unmark()
			if bare.IsNull() {
				continue
			}
			if err := check(key.AsString(), bare.AsString()); err != nil {
				wrong = append(wrong, err.Error())
				continue
			}
			text := steps.TextOf(value)
			if all {
				text = steps.Secret(text.Reveal())
			}
			list = append(list, steps.Variable{Name: key.AsString(), Value: text})
		}
		if len(wrong) > 0 {
			return errors.New(strings.Join(wrong, "; "))
		}
		sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
		*to = list
		return nil
	}}
}

// NoControl refuses control characters, which no command line, path or configuration line survives.
func NoControl(s string) error {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return fmt.Errorf("the value holds the control character %q", s[i])
		}
	}
	return nil
}

func oneLine(s string) (string, error) { return s, NoControl(s) }

// StringArg is one line of text.
func StringArg(name string, to *string, doc string) steps.Arg {
	return ParsedArg(name, to, doc, oneLine)
}

// OptStringArg is one line of text that may be left out; then *to stays nil.
func OptStringArg(name string, to **string, doc string) steps.Arg {
	return OptionalArg(name, to, doc, oneLine)
}

// LineArg is one line of text that may hold tabs and may be empty. Left out, *to stays nil.
func LineArg(name string, to **string, doc string) steps.Arg {
	return OptionalArg(name, to, doc, func(s string) (string, error) {
		if strings.ContainsAny(s, "\n") {
			return "", errors.New("the text has a line break; write one step for each line, or use the kind file")
		}
		return s, NoControl(strings.ReplaceAll(s, "\t", ""))
	})
}

// StringsArg is a list of single lines.
func StringsArg(name string, to *[]string, doc string) steps.Arg {
	return ListArg(name, to, doc, oneLine)
}

// StringMapArg is a map of single lines.
func StringMapArg(name string, to *map[string]string, doc string) steps.Arg {
	return MapArg(name, to, doc, func(key, value string) error { return NoControl(key + value) })
}

// WordsArg is argv: a list whose items may hold any character but NUL.
func WordsArg(name string, to *[]string, doc string) steps.Arg {
	return ListArg(name, to, doc, func(s string) (string, error) { return s, noNUL(s) })
}

func noNUL(s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return errors.New("the value holds a NUL byte")
	}
	return nil
}

// TextArg is text of any length that may be a secret. Left out, *to stays nil.
func TextArg(name string, to **steps.Text, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Empty: true, Type: cty.String, Secret: true, Decode: func(v cty.Value) error {
		t := steps.TextOf(v)
		*to = &t
		return nil
	}}
}

// ScriptArg is text for sh; the playbook checks that it parses. Where another argument may name the program that reads the text in
// place of sh, the kind sets Arg.Interpreter to the name of that argument.
func ScriptArg(name string, to *string, doc string) steps.Arg {
	a := ParsedArg(name, to, doc, func(s string) (string, error) { return s, noNUL(s) })
	a.Shell = true
	return a
}

// FileArg is a local file; the playbook reads it and computes its sum. Left out, *to stays nil.
func FileArg(name string, to **steps.Local, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.String, Origin: steps.File, DecodeFile: func(l *steps.Local) { *to = l }}
}

// TemplateArg is a local template whose rendered text may be a secret. Left out, *to stays nil.
func TemplateArg(name string, to **steps.Text, doc string) steps.Arg {
	a := TextArg(name, to, doc)
	a.Origin = steps.Template
	return a
}

// FileTextArg is the content of a local file, as a secret. Left out, *to stays nil.
func FileTextArg(name string, to **steps.Text, doc string) steps.Arg {
	a := TextArg(name, to, doc)
	a.Origin = steps.FileText
	return a
}

// DirArg is a local directory; the step gets its absolute path.
func DirArg(name string, to *string, doc string) steps.Arg {
	a := StringArg(name, to, doc)
	a.Origin = steps.Dir
	return a
}

// EnumArg is one of a few words. The default is what *to holds.
func EnumArg(name string, to *string, doc string, values ...string) steps.Arg {
	a := ParsedArg(name, to, doc, func(s string) (string, error) {
		for _, allowed := range values {
			if s == allowed {
				return s, nil
			}
		}
		return "", &steps.EnumError{Got: s, Values: values}
	})
	a.Values, a.Default = values, *to
	return a
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

// IntArg is a whole number from low to high. The default is what *to holds; With says so in the manual.
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

// WholeNumber is a number of the language as an int from low to high.
func WholeNumber(v cty.Value, low, high int) (int, error) {
	n, accuracy := v.AsBigFloat().Int64()
	if accuracy != 0 || n < int64(low) || n > int64(high) {
		return 0, fmt.Errorf("a whole number from %d to %d is required", low, high)
	}
	return int(n), nil
}

// SecondsArg is a duration such as "30s" or "5m", stored in seconds. The default is what *to holds.
func SecondsArg(name string, to *int, doc string) steps.Arg {
	a := ParsedArg(name, to, doc, steps.ParseSeconds)
	if *to > 0 {
		a.Default = (time.Duration(*to) * time.Second).String()
	}
	return a
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// VariablesArg is a map of environment variables whose values may be secrets, sorted by name.
func VariablesArg(name string, to *[]steps.Variable, doc string) steps.Arg {
	return SecretsArg(name, to, doc, func(key, value string) error {
		if !variableName.MatchString(key) {
			return fmt.Errorf("%q is no name of a variable: letters, digits and _ are, a digit not first", key)
		}
		if noNUL(value) != nil {
			return fmt.Errorf("the value of %s holds a NUL byte", key)
		}
		return nil
	})
}

// PathArg is an absolute path on the host, stored as path.Clean has it.
func PathArg(name string, to *string, doc string) steps.Arg {
	return ParsedArg(name, to, doc, func(p string) (string, error) {
		if err := NoControl(p); err != nil {
			return "", err
		}
		switch {
		case p == "":
			return "", errors.New("the path is empty")
		case strings.HasPrefix(p, "~"):
			return "", fmt.Errorf("%q: ~ is not expanded on a host; use \"${fact.home}/…\" or an absolute path", p)
		case p[0] != '/':
			return "", fmt.Errorf("%q is not absolute: a path on a host begins with /", p)
		}
		return path.Clean(p), nil
	})
}

// PathWithinArg is a path relative to some directory, that does not lead out of it.
func PathWithinArg(name string, to *string, doc string) steps.Arg {
	return ParsedArg(name, to, doc, PathWithin)
}

// PathWithin is a relative path as path.Clean has it. One that leads out of its directory is refused.
func PathWithin(p string) (string, error) {
	if err := NoControl(p); err != nil {
		return "", err
	}
	clean := path.Clean(p)
	if p == "" || p[0] == '/' || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("%q is no path within the directory: it is relative, and does not lead out", p)
	}
	return clean, nil
}

var modePattern = regexp.MustCompile(`^(0?[0-7]{3,4}|0+)$`)

// ModeArg is a file mode in octal, stored as stat -c %a prints it and chmod takes it: without leading zeros ("644", "1777", "0").
func ModeArg(name string, to *string, doc string) steps.Arg {
	a := ParsedArg(name, to, doc, func(m string) (string, error) {
		if !modePattern.MatchString(m) {
			return "", fmt.Errorf("%q is no mode: write it in octal as \"0644\"", m)
		}
		if m = strings.TrimLeft(m, "0"); m == "" {
			m = "0"
		}
		return m, nil
	})
	a.Default = *to
	return a
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]*\$?$`)

func accountName(s string) (string, error) {
	if !namePattern.MatchString(s) {
		return "", fmt.Errorf("%q is no valid name: letters, digits and _ . @ + - are, and no leading dash", s)
	}
	return s, nil
}

// NameArg is the name of a user, a group, a package or the like: letters, digits and _ . @ + -, without a leading dash.
func NameArg(name string, to *string, doc string) steps.Arg {
	return ParsedArg(name, to, doc, accountName)
}

// NamesArg is a list of names of groups, users or the like. Left out, *to stays nil; an empty list is a value of its own.
func NamesArg(name string, to *[]string, doc string) steps.Arg {
	a := ListArg(name, to, doc, accountName)
	a.Empty = true
	return a
}
