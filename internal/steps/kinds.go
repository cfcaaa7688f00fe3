package steps

// Kinds returns every kind of step, sorted by name.
func Kinds() []*Kind {
	return []*Kind{
		authorizedKeyKind,
		commandKind,
		directoryKind,
		fileKind,
		groupKind,
		symlinkKind,
		userKind,
	}
}

// Find returns the kind with a name, or nil.
func Find(name string) *Kind {
	for _, k := range Kinds() {
		if k.Name == name {
			return k
		}
	}
	return nil
}
