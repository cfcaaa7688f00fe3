package kinds

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// Data returns the kinds of data blocks, sorted by name.
func Data() []*steps.Kind {
	return []*steps.Kind{accountData, commandData, findData, pathData}
}

// Asides returns the kinds that are no steps: those of data, and the message.
func Asides() []*steps.Kind { return append(Data(), Message) }

// dataLimit is how many bytes of text a data block holds at most.
const dataLimit = 64 << 10

// looking is the part that all data have: which outputs are wanted, and a plan that never has anything to do.
type looking struct {
	wanted func(output string) bool
}

// Choose implements steps.Chooser.
func (l *looking) Choose(wanted func(output string) bool) { l.wanted = wanted }

func (l *looking) wants(outputs ...string) bool {
	return l.wanted == nil || slices.ContainsFunc(outputs, l.wanted)
}

// textValue is a text that a host said as a value of the language, which holds Unicode in its composed form alone.
func textValue(what, text string) (cty.Value, error) {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return cty.NilVal, fmt.Errorf("%s is no text in UTF-8", what)
	}
	v := cty.StringVal(text)
	if v.AsString() != text {
		return cty.NilVal, fmt.Errorf("%s has letters and their accents apart (Unicode that is not in the form NFC), which a value cannot hold", what)
	}
	return v, nil
}

// piped is sh that prints at most a little more than dataLimit bytes of what a part of it prints, each line behind a key. The part writes a
// status to descriptor 3, which becomes $status.
func piped(part, key string) string {
	return fmt.Sprintf("{ status=$( { %s | head -c %d | sed 's/^/%s /' >&4; } 3>&1 ); } 4>&1\nprintf '\\n'\n", part, dataLimit+1, key)
}

// textLines are the lines of a text as a value.
func textLines(text string) cty.Value {
	if text = strings.TrimSuffix(text, "\n"); text == "" {
		return cty.ListValEmpty(cty.String)
	}
	return lineList(strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n"))
}

func lineList(lines []string) cty.Value {
	if len(lines) == 0 {
		return cty.ListValEmpty(cty.String)
	}
	var list []cty.Value
	for _, line := range lines {
		list = append(list, cty.StringVal(line))
	}
	return cty.ListVal(list)
}

// secretIf marks the values as secrets.
func secretIf(secret bool, values map[string]cty.Value, names ...string) {
	for _, name := range names {
		if v, there := values[name]; there && secret {
			values[name] = v.Mark(steps.Sensitive)
		}
	}
}

// outputText is a value of the state as an output; null if it is not there.
func outputText(obs steps.Observation, key string) cty.Value {
	if text, there := obs.Get(key); there {
		return cty.StringVal(text)
	}
	return cty.NullVal(cty.String)
}
