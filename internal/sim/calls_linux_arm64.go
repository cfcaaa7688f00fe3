package sim

// legacyCalls are those that only old architectures have.
func legacyCalls() []call { return nil }
