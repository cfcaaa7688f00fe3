package kinds

import (
	"errors"
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

func sectionArg(name string, to *string, doc string) steps.Arg {
	return kit.ParsedArg(name, to, doc, func(s string) (string, error) {
		if strings.ContainsAny(s, "]\n") || kit.NoControl(s) != nil || strings.TrimSpace(s) != s {
			return "", errors.New("a section's name has no \"]\", no control characters and no spaces around it")
		}
		return s, nil
	})
}

// checkKey says what is wrong with the name of a key.
func checkKey(key string) error {
	switch {
	case key == "":
		return errors.New("the name of the key is empty")
	case strings.HasSuffix(key, ":") || strings.Contains(key, ": "):
		return fmt.Errorf("%q is no name of a key: a \":\" before a blank would end it", key)
	case strings.ContainsAny(key[:1], "[#; \t") || strings.ContainsAny(key, "=") || strings.TrimSpace(key) != key || kit.NoControl(key) != nil:
		return fmt.Errorf("%q is no name of a key: it has no \"=\", no control characters and no spaces around it, and does not begin with [ # or ;", key)
	}
	return nil
}

func iniKeyArg(name string, to *string, doc string) steps.Arg {
	return kit.ParsedArg(name, to, doc, func(s string) (string, error) { return s, checkKey(s) })
}

// checkValue says what is wrong with a value, without showing it.
func checkValue(value string) error {
	if strings.TrimSpace(value) != value || kit.NoControl(strings.ReplaceAll(value, "\t", " ")) != nil {
		return errors.New("a value is one line without spaces around it")
	}
	if strings.HasSuffix(value, `\`) {
		return errors.New("a value that ends with \"\\\" would swallow the next line")
	}
	return nil
}

func valueArg(name string, to **steps.Text, doc string) steps.Arg {
	a := kit.TextArg(name, to, doc)
	a.Decode = func(v cty.Value) error {
		t := steps.TextOf(v)
		*to = &t
		return checkValue(t.Reveal())
	}
	return a
}

// valuesArg is a map of keys to values that may be secrets, sorted by key.
func valuesArg(name string, to *[]steps.Variable, doc string) steps.Arg {
	return kit.SecretsArg(name, to, doc, func(key, value string) error {
		if err := checkKey(key); err != nil {
			return err
		}
		if err := checkValue(value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
}

// whereArg is a map of keys and values that choose a section; they are shown, so they are no secrets.
func whereArg(name string, to *[]steps.Variable, doc string) steps.Arg {
	a := valuesArg(name, to, doc)
	a.Secret = false
	return a
}
