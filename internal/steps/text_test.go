package steps

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestTextNeverShows tries the ways in which a value gets printed by accident.
func TestTextNeverShows(t *testing.T) {
	secret := Secret("hunter2")
	holder := struct {
		T Text
		P *Text
		V []Variable
	}{secret, &secret, []Variable{{Name: "A", Value: secret}}}
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s"} {
		fmt.Fprintf(&shown, verb+verb+verb, secret, &secret, holder)
	}
	text, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(text)
	for _, form := range []string{"hunter2", "68756e74657232", "68756E74657232", "hun"} {
		if strings.Contains(shown.String(), form) {
			t.Errorf("the secret shows as %q in %s", form, shown.String())
		}
	}
	if got := fmt.Sprintf("%v %s %q", Plain("x"), Plain("y"), Plain("z")); got != `x y "z"` {
		t.Errorf("plain text shows as %s", got)
	}
	a, b := &Facts{Salt: "a"}, &Facts{Salt: "b"}
	if secret.Sum(a) == secret.Sum(b) || Plain("x").Sum(a) != Plain("x").Sum(b) {
		t.Error("secrets are salted, and only they")
	}
}
