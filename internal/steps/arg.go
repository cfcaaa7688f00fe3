package steps

import (
	"errors"
	"fmt"
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
	Shell    bool     // the value is text for sh; the playbook checks that it parses
	Empty    bool     // an empty text or list is a value of its own, and not the lack of one; see Rule

	// Interpreter names the argument, a list of words, that may give another program which reads the sh text. Such text is checked if the
	// program is a shell.
	Interpreter string

	Decode     func(cty.Value) error // gets a known value of Type that is not null, unmarked unless Secret
	DecodeFile func(*Local)          // in its place for the origin File

	// Constant, called after Decode, says what is wrong with a value that is written out in the playbook, and that is none where it comes of
	// what a host answers.
	Constant func() error

	given bool   // it was set to something else than its default
	word  string // to what, if Values allow a few words only
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
func (a *Arg) Set(v cty.Value) error {
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
	a.given = a.gives(v)
	if len(a.Values) > 0 {
		a.word = v.AsString()
	}
	return a.Decode(v)
}

// SetFile gives an argument of the origin File its local file.
func (a *Arg) SetFile(l *Local) {
	a.given = true
	a.DecodeFile(l)
}

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

// TextOf is a string as a text: secret if the value is sensitive.
func TextOf(v cty.Value) Text {
	plain, marks := v.Unmark()
	if _, yes := marks[Sensitive]; yes {
		return Secret(plain.AsString())
	}
	return Plain(plain.AsString())
}

// An EnumError says that a word is none of those allowed.
type EnumError struct {
	Got    string
	Values []string
}

// Error names the words that are allowed.
func (e *EnumError) Error() string {
	return fmt.Sprintf("%q is not one of %s", e.Got, strings.Join(e.Values, ", "))
}

// ParseSeconds reads a duration of Go's form ("30s", "1h30m") of at least a second, in seconds.
func ParseSeconds(s string) (int, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Second {
		return 0, fmt.Errorf("%q is no duration of a second or more: write it as \"30s\", \"5m\" or \"1h30m\"", s)
	}
	return int(d / time.Second), nil
}
