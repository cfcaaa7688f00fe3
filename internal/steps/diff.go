package steps

// Compare adds an attribute to the diff if a wanted value is set and differs from what was
// observed ("" where nothing was).
func (c *Change) Compare(name, observed, wanted string) {
	if wanted == "" || observed == wanted {
		return
	}
	c.Diff = append(c.Diff, Attr{Name: name, Before: observed, BeforeMissing: observed == "", After: wanted})
}

// Also adds what differs beside the change, and operations that come after its own. A no-op becomes an update.
func (c *Change) Also(a Attr, ops ...Op) {
	c.Diff = append(c.Diff, a)
	c.Ops = append(c.Ops, ops...)
	if c.Action == NoOp {
		c.Action = Update
	}
}
