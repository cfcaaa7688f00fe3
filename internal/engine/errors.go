package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnreachable is wrapped by the errors of hosts that could not be reached, or were lost for
// good in the middle of a run.
var ErrUnreachable = errors.New("unreachable")

// A LockedError says that another run holds the lock of a host.
type LockedError struct{ Owner string }

func (e *LockedError) Error() string {
	return "another run holds the lock: " + e.Owner + "; wait until it has ended, then run again"
}

// A BecomeError says why the session did not get the rights of root.
type BecomeError struct {
	Method, Cause, Hint string
	NeedPassword        bool // there was none to give
	NotAccepted         bool // the one that was given counts as a failed attempt
}

func (e *BecomeError) Error() string {
	return fmt.Sprintf("%s failed: %s; %s", e.Method, e.Cause, e.Hint)
}

// lastLines returns the last n lines of s that are not empty, without the final line break.
func lastLines(s string, n int) string {
	lines := slices.DeleteFunc(strings.Split(s, "\n"), func(line string) bool { return strings.TrimSpace(line) == "" })
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}

// lastWords returns the last n lines of s that are not empty in one line, for a message.
func lastWords(s string, n int) string {
	lines := strings.Split(lastLines(strings.ReplaceAll(s, "\r", ""), n), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}
