package steps

// Kinds returns every kind of step, sorted by name.
func Kinds() []*Kind {
	return []*Kind{
		archiveKind,
		authorizedKeyKind,
		commandKind,
		composeKind,
		directoryKind,
		dockerImageKind,
		downloadKind,
		envFileKind,
		fileKind,
		gitKind,
		groupKind,
		httpCheckKind,
		iniKind,
		lineKind,
		packageKind,
		packageUpgradeKind,
		pipKind,
		rebootKind,
		repositoryKind,
		serviceKind,
		sourceBuildKind,
		supervisorProgramKind,
		symlinkKind,
		syncKind,
		userKind,
		waitForKind,
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
