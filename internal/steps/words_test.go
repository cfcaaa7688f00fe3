package steps

import (
	"reflect"
	"testing"
)

func TestNumbered(t *testing.T) {
	for state, want := range map[string]struct {
		open     bool
		numbered string
	}{
		"exists yes\nuid #\ngid #":  {true, "exists yes\nuid 4711\ngid 4711"},
		"exists yes\nuid 1000":      {false, "exists yes\nuid 1000"},
		"comment # of somebody\nid": {false, "comment # of somebody\nid"},
		"":                          {false, ""},
	} {
		obs := Observation{Stdout: state}
		if got := obs.Numbered().State(); obs.AnyNumber() != want.open || got != want.numbered {
			t.Errorf("%q: open %v, %q", state, obs.AnyNumber(), got)
		}
	}
}

func TestPresent(t *testing.T) {
	for thing, want := range map[Thing]string{
		{FileThing, "/a"}:      "type file",
		{DirectoryThing, "/a"}: "type directory",
		{UserThing, "app"}:     "exists yes",
	} {
		if got := thing.Present().State(); got != want {
			t.Errorf("%v: %q", thing, got)
		}
	}
}

// A field that Join forgets would make a plan of two steps that both lack what one of them brings.
func TestJoinHasAllFields(t *testing.T) {
	var full Supply
	v := reflect.ValueOf(&full).Elem()
	for i := range v.NumField() {
		v.Field(i).Set(reflect.MakeSlice(v.Field(i).Type(), 1, 1))
	}
	for _, joined := range []Supply{full.Join(Supply{}), (Supply{}).Join(full)} {
		for i := range v.NumField() {
			if reflect.ValueOf(joined).Field(i).Len() != 1 {
				t.Errorf("Join loses %s", v.Type().Field(i).Name)
			}
		}
	}
}
