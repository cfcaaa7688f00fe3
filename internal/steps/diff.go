package steps

// Compare adds an attribute to the diff if a wanted value is set and differs from what was
// observed ("" where nothing was).
func (c *Change) Compare(name, observed, wanted string) {
	if wanted == "" || observed == wanted {
		return
	}
	c.Diff = append(c.Diff, Attr{Name: name, Before: observed, BeforeMissing: observed == "", After: wanted})
}
