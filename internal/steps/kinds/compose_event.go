package kinds

import (
	"provision/internal/steps"
)

// Events implements steps.Handler: an update brings the project up anew, as when an environment file changed that an earlier
// step writes. compose recreates the services that are not as their files say any more, and no others.
func (c *compose) Events() []string { return []string{"update"} }

// Handle implements steps.Handler.
func (c *compose) Handle(f *steps.Facts, _ string, change steps.Change) []steps.Op {
	if c.State != "up" || len(change.Ops) > 0 {
		return nil // it is just being brought up with what is there now
	}
	return []steps.Op{c.op(f, differences{}, false, nil, nil)}
}
