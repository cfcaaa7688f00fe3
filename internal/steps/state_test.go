package steps

import (
	"slices"
	"testing"
)

func TestState(t *testing.T) {
	obs := Observation{Stdout: "a 1\nab 2\nb\na 3\nlist x\nlist y z\n|a\n|:a 9\n\n|.\nlast  spaced \n"}
	if want := "a 1\nab 2\nb\na 3\nlist x\nlist y z\nlast  spaced "; obs.State() != want {
		t.Errorf("State is %q, want %q", obs.State(), want)
	}
	for key, want := range map[string]string{"a": "1", "ab": "2", "b": "", "last": " spaced "} {
		if got, ok := obs.Get(key); !ok || got != want {
			t.Errorf("Get(%q) is %q, %v; want %q", key, got, ok, want)
		}
	}
	if got, ok := obs.Get("c"); ok {
		t.Errorf("Get of a key that is not there: %q", got)
	}
	if got := obs.All("list"); !slices.Equal(got, []string{"x", "y z"}) {
		t.Errorf("All: %q", got)
	}
	if got, ok := obs.Detail("b"); ok {
		t.Errorf("Detail that is not there: %q", got)
	}
	if Observe("a 1", "b 2").State() != (Observation{Stdout: "a 1\nb 2\n|x\n\n|.\n"}).State() {
		t.Error("a prediction differs from the state that a probe prints")
	}
	if Observe().State() != "" {
		t.Error("the state of nothing is not empty")
	}
}
