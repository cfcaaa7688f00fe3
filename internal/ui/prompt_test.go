//go:build linux

package ui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

func TestConfirm(t *testing.T) {
	for in, want := range map[string]bool{
		"y\n": true, "yes\n": true, " YES \r\n": true, "y": true,
		"n\n": false, "\n": false, "": false, "yup\n": false, "no\ny\n": false,
	} {
		var out bytes.Buffer
		got, err := Confirm(t.Context(), strings.NewReader(in), &out, "Apply to web\x1b[2J?")
		if err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", in, got, err, want)
		}
		if text := out.String(); text != `Apply to web\x1b[2J? [y/N] ` {
			t.Errorf("question %q", text)
		}
	}
}

func TestConfirmLeavesTheRest(t *testing.T) {
	in := strings.NewReader("y\nnext line\n")
	if ok, err := Confirm(t.Context(), in, io.Discard, "Go?"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if rest, _ := io.ReadAll(in); string(rest) != "next line\n" {
		t.Errorf("rest %q", rest)
	}
}

func TestConfirmCancelled(t *testing.T) {
	in, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := Confirm(ctx, in, io.Discard, "Go?"); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestPassword(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := Password(t.Context(), r, io.Discard, "?"); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("a pipe is no terminal: %v", err)
	}
	master, tty, err := pty.Open()
	if err != nil {
		lack(t, "there is no pty: "+err.Error())
	}
	defer master.Close()
	defer tty.Close()
	var out bytes.Buffer
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := Password(t.Context(), tty, &out, "Password for root:")
		got <- answer{text, err}
	}()
	waitForEcho(t, tty, false)
	if _, err := master.WriteString("s3cret\n"); err != nil {
		t.Fatal(err)
	}
	if a := <-got; a.err != nil || a.text != "s3cret" {
		t.Errorf("%+v", a)
	}
	if out.String() != "Password for root: \n" {
		t.Errorf("shown: %q", out.String())
	}
	waitForEcho(t, tty, true)

	// Ctrl-D: no answer on an empty line, and the end of one that is not.
	for typed, want := range map[string]answer{"\x04": {"", io.EOF}, "half\x04\x04": {"half", nil}} {
		go func() {
			text, err := Password(t.Context(), tty, io.Discard, "Password:")
			got <- answer{text, err}
		}()
		waitForEcho(t, tty, false)
		time.Sleep(100 * time.Millisecond) // until it is in the mode in which Ctrl-D means something
		if _, err := master.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		select {
		case a := <-got:
			if !errors.Is(a.err, want.err) || a.text != want.text {
				t.Errorf("%q: %+v, want %+v", typed, a, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%q: it is asked on", typed)
		}
		waitForEcho(t, tty, true)
	}

	// Ctrl-C elsewhere: the terminal gets its echo back.
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		text, err := Password(ctx, tty, io.Discard, "Password:")
		got <- answer{text, err}
	}()
	waitForEcho(t, tty, false)
	cancel()
	if a := <-got; !errors.Is(a.err, context.Canceled) {
		t.Errorf("%+v", a)
	}
	waitForEcho(t, tty, true)
	_, _ = master.WriteString("\n") // ends the read that is still under way
}

// waitForEcho waits until a terminal echoes or does not.
func waitForEcho(t *testing.T, tty *os.File, want bool) {
	t.Helper()
	for range 1000 {
		if echoes(t, tty) == want {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("echo is %v, want %v", !want, want)
}
