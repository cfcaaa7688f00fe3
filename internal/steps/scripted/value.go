package scripted

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"provision/internal/steps"
)

// variable is a value that is not null as a variable of sh: lists as lines, maps as lines KEY=VALUE. An error shows nothing of a value
// that is marked.
func variable(v cty.Value) (string, error) {
	v, _ = v.UnmarkDeep()
	text, err := plainText(v)
	switch {
	case err != nil:
		return "", err
	case strings.IndexByte(text, 0) >= 0:
		return "", errors.New("the value holds a NUL byte, which no variable can")
	case len(text) > maxValue:
		return "", fmt.Errorf("the value has %d bytes; a script gets at most %d: give it the path of a file", len(text), maxValue)
	}
	return text, nil
}

func plainText(v cty.Value) (string, error) {
	switch {
	case !v.CanIterateElements():
		return scalar(v)
	case v.Type().IsMapType():
		return mapText(v)
	}
	var lines []string
	for it := v.ElementIterator(); it.Next(); {
		_, item := it.Element()
		text, err := scalar(item)
		if err != nil {
			return "", err
		}
		if text == "" || strings.Contains(text, "\n") {
			return "", errors.New("an item of the list is empty or has a line break; a script gets one item a line")
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, "\n"), nil
}

func mapText(v cty.Value) (string, error) {
	var lines []string
	for it := v.ElementIterator(); it.Next(); {
		key, item := it.Element()
		text, err := scalar(item)
		if err != nil {
			return "", err
		}
		if name := key.AsString(); name == "" || strings.ContainsAny(name, "=\n") || strings.Contains(text, "\n") {
			return "", errors.New("the map has a line break, an empty key or a key with = in it; a script gets one line KEY=VALUE for each")
		}
		lines = append(lines, key.AsString()+"="+text)
	}
	return strings.Join(lines, "\n"), nil
}

func scalar(v cty.Value) (string, error) {
	if v.IsNull() {
		return "", errors.New("the value holds a null")
	}
	text, err := convert.Convert(v, cty.String)
	if err != nil {
		return "", err
	}
	return text.AsString(), nil
}

// A wanted value is what the probe has to print for a key. The fields are exported so that the value hides itself from every fmt verb.
type wanted struct {
	Key   string
	Value steps.Text
}

// readWant turns what a kind wants into a list, sorted by key. A key whose value is null is not asked for.
func readWant(v cty.Value) ([]wanted, error) {
	v, marks := v.Unmark()
	if _, secret := marks[steps.Sensitive]; secret {
		return nil, errors.New("the keys depend on a sensitive value, and they are shown; write the keys, and only the values from the secret")
	}
	if !v.IsKnown() || v.IsNull() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
		return nil, errors.New("an object { KEY = VALUE } is required")
	}
	var list []wanted
	for it := v.ElementIterator(); it.Next(); {
		key, item := it.Element()
		w := wanted{Key: key.AsString()}
		if err := CheckKey(w.Key); err != nil {
			return nil, err
		}
		plain, marks := item.Unmark()
		if plain.IsNull() {
			continue
		}
		if !plain.IsKnown() || !(plain.Type() == cty.String || plain.Type() == cty.Number || plain.Type() == cty.Bool) {
			return nil, fmt.Errorf("%q is no text, number or bool, and a probe prints one line for each key; for a list use join", w.Key)
		}
		text, err := scalar(plain)
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(text, "\n\x00") {
			return nil, fmt.Errorf("the value of %q has a line break or a NUL byte, and a probe prints one line for each key; compare a sum of it", w.Key)
		}
		if w.Value = steps.Plain(text); len(marks) > 0 {
			w.Value = steps.Secret(text)
		}
		list = append(list, w)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Key < list[j].Key })
	return list, nil
}

// CheckKey refuses a key that no line of a probe can begin with.
func CheckKey(key string) error {
	if key == "" {
		return errors.New("a key is empty")
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] == 0x7f {
			return fmt.Errorf("the key %q has a blank or a control character in it, and a line of the probe is KEY, a blank and VALUE", key)
		}
	}
	return nil
}
