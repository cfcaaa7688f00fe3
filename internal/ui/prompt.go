package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrNoTerminal says that nobody is there to be asked.
var ErrNoTerminal = errors.New("there is no terminal to ask on")

// Confirm asks a question and returns whether the answer is yes. Anything but "y" and "yes" is
// no, and so is the end of the input. It returns ctx's error if ctx ends first; the read of in
// that is then under way goes on until in has a line or is closed, so that in cannot be used
// for anything else.
func Confirm(ctx context.Context, in io.Reader, out io.Writer, question string) (bool, error) {
	if _, err := fmt.Fprint(out, Line(question)+" [y/N] "); err != nil {
		return false, err
	}
	answer, err := wait(ctx, func() (string, error) { return readLine(in) })
	if err != nil {
		fmt.Fprintln(out)
		return false, err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}

// Password asks for a password on a terminal without showing what is typed. It gives the
// terminal its echo back, also when ctx ends first. Without a terminal it returns ErrNoTerminal, and io.EOF at Ctrl-D.
func Password(ctx context.Context, in *os.File, out io.Writer, question string) (string, error) {
	fd := int(in.Fd())
	if !term.IsTerminal(fd) {
		return "", ErrNoTerminal
	}
	// Raw, so that nothing is echoed from before the question is on the screen; ReadPassword makes lines of it again.
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("the terminal cannot be asked for a password: %w", err)
	}
	if _, err := fmt.Fprint(out, Line(question)+" "); err != nil {
		_ = term.Restore(fd, before)
		return "", err
	}
	stop := quietAgain(fd, func() { fmt.Fprint(out, Line(question)+" ") })
	password, err := wait(ctx, func() (string, error) { return readPassword(fd) })
	stop()
	_ = term.Restore(fd, before)
	fmt.Fprintln(out) // the Enter that nobody saw
	return password, err
}

// wait returns what read returns, or ctx's error if that comes first.
func wait(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	c := make(chan answer, 1)
	go func() {
		text, err := read()
		c <- answer{text, err}
	}()
	select {
	case a := <-c:
		return a.text, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// readLine reads byte by byte: what follows the line belongs to the next who reads.
func readLine(in io.Reader) (string, error) {
	var line []byte
	b := make([]byte, 1)
	for len(line) < maxLine {
		n, err := in.Read(b)
		if n > 0 {
			if b[0] == '\n' {
				break
			}
			line = append(line, b[0])
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return string(line), nil
}
