package steps

import "testing"

// A directory on the way to the one that a step makes is as it was, with all that is in it.
func TestTouches(t *testing.T) {
	real := func(p string) string { return p }
	var s Supply
	s.AddDirectory("/etc/app/conf")
	for _, c := range []struct {
		thing Thing
		want  bool
	}{
		{Thing{DirectoryThing, "/etc/sysctl.d"}, false},
		{Thing{FileThing, "/etc/hosts"}, false},
		{Thing{DirectoryThing, "/etc/app"}, true},      // the new one is in it
		{Thing{DirectoryThing, "/etc"}, true},          // likewise
		{Thing{FileThing, "/etc/app/conf/a/b"}, true},  // its mode may bar the way
		{Thing{FileThing, "/etc/app/conf.d/a"}, false}, // another one
		{Thing{LinkThing, "/data -> etc/app"}, true},
		{Thing{LinkThing, "/data -> /srv"}, false},
	} {
		if got := s.Touches(c.thing, real); got != c.want {
			t.Errorf("%v: %v", c.thing, got)
		}
	}
}
