package suggest

import "testing"

func TestNearest(t *testing.T) {
	for _, c := range []struct {
		name string
		from []string
		want string
	}{
		{"directry", []string{"command", "directory"}, "directory"},
		{"wbe", []string{"web", "db"}, "web"},
		{"root", []string{"host", "var"}, ""},
		{"x", []string{"y"}, ""},
		{"", []string{"a"}, ""},
		{"stat", []string{"state", "start"}, "state"},
		{"zebra", []string{"path", "mode"}, ""},
	} {
		if got := Nearest(c.name, c.from); got != c.want {
			t.Errorf("Nearest(%q, %q) = %q, want %q", c.name, c.from, got, c.want)
		}
	}
}
