package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"provision/internal/event"
)

// A promptingDialer asks for a password, and hears Ctrl-C.
type promptingDialer struct{}

func (promptingDialer) Dial(context.Context, string) (Conn, error) {
	return nil, fmt.Errorf("authenticate: %w", context.Canceled)
}

// Where Ctrl-C came at a question, no step was told of and none is done.
func TestInterruptAtAQuestionHasDoneNothing(t *testing.T) {
	for command, c := range map[string]struct {
		do   func(*Run)
		want string
	}{
		event.CommandPlan:  {func(r *Run) { r.Plan(t.Context()) }, "interrupted: nothing was changed there"},
		event.CommandApply: {func(r *Run) { r.Plan(t.Context()); r.Apply(t.Context()) }, "interrupted: nothing was changed there"},
		event.CommandRun:   {func(r *Run) { r.Exec(t.Context(), &Command{Argv: []string{"true"}}) }, "interrupted before the command began"},
	} {
		rec := &recorder{}
		run := newRun(nil, rec, stepList{script(t, "one", "true")})
		run.Command, run.Dialer = command, promptingDialer{}
		c.do(run)
		if exit := run.Close(); exit != 130 || !strings.Contains(rec.dump(), c.want) {
			t.Errorf("%s: exit %d, want %q in\n%s", command, exit, c.want, rec.dump())
		}
	}
}
