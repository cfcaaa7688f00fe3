package ui

import (
	"os"
	"strings"
	"testing"

	"github.com/creack/pty"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for _, p := range pairs {
			if k, v, _ := strings.Cut(p, "="); k == name {
				return v
			}
		}
		return ""
	}
}

func TestTerminal(t *testing.T) {
	master, tty, err := pty.Open()
	if err != nil {
		lack(t, "there is no pty: "+err.Error())
	}
	defer master.Close()
	defer tty.Close()
	if err := pty.Setsize(tty, &pty.Winsize{Cols: 93, Rows: 17}); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.Create(t.TempDir() + "/pipe")
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	for _, c := range []struct {
		name          string
		file          *os.File
		noColor       bool
		env           []string
		color, uni, l bool
	}{
		{"plain", tty, false, []string{"TERM=xterm", "LANG=de_DE.UTF-8"}, true, true, true},
		{"NO_COLOR", tty, false, []string{"TERM=xterm", "NO_COLOR=1", "LANG=C.utf8"}, false, true, true},
		{"--no-color", tty, true, []string{"TERM=xterm"}, false, false, true},
		{"dumb", tty, false, []string{"TERM=dumb", "LANG=C.UTF-8"}, false, true, false},
		{"accessible", tty, false, []string{"TERM=xterm", "ACCESSIBLE=1", "LANG=C.UTF-8"}, true, true, false},
		{"LC_ALL wins", tty, false, []string{"LC_ALL=C", "LANG=C.UTF-8"}, true, false, true},
		{"pipe", pipe, false, []string{"TERM=xterm", "LANG=C.UTF-8"}, false, true, false},
	} {
		got := NewTerminal(c.file, c.noColor, env(c.env...))
		if got.Style.Color != c.color || got.Style.Unicode != c.uni || got.Live != c.l {
			t.Errorf("%s: color %v, unicode %v, live %v", c.name, got.Style.Color, got.Style.Unicode, got.Live)
		}
		if c.file == tty && got.Style.Width != 93 || c.file == pipe && got.Style.Width != 0 {
			t.Errorf("%s: width %d", c.name, got.Style.Width)
		}
	}
	live := NewTerminal(tty, false, env())
	if err := pty.Setsize(tty, &pty.Winsize{Cols: 40, Rows: 10}); err != nil {
		t.Fatal(err)
	}
	if w, h := live.Size(); w != 40 || h != 10 {
		t.Errorf("after a resize: %d by %d", w, h)
	}
}
