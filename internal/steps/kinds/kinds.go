// Package kinds holds the kinds of steps that a playbook can name: for each a file KIND.go with its manual, its arguments and its
// probe, often KIND_plan.go, KIND.sh for longer functions of sh, and testdata/KIND. All lists them.
package kinds

import (
	"provision/internal/steps"
)

// All returns every kind of step, sorted by name.
func All() []*steps.Kind {
	return []*steps.Kind{
		aclKind,
		alternativesKind,
		archiveKind,
		assertKind,
		authorizedKeyKind,
		blockKind,
		certificateKind,
		commandKind,
		composeKind,
		cronKind,
		debconfKind,
		directoryKind,
		divertKind,
		dockerImageKind,
		dockerNetworkKind,
		dockerVolumeKind,
		downloadKind,
		envFileKind,
		fileKind,
		gitKind,
		groupKind,
		hostnameKind,
		hostsEntryKind,
		httpCheckKind,
		iniKind,
		kernelModuleKind,
		limitsKind,
		lineKind,
		localeKind,
		mountKind,
		packageKind,
		packageHoldKind,
		packageUpgradeKind,
		pipKind,
		rebootKind,
		replaceKind,
		repositoryKind,
		serviceKind,
		sourceBuildKind,
		supervisorProgramKind,
		swapKind,
		symlinkKind,
		syncKind,
		sysctlKind,
		systemdUnitKind,
		timezoneKind,
		userKind,
		waitForKind,
	}
}

// Named returns the kind that manuals call so, one of Asides among them ("data.path", "message"), or nil.
func Named(title string) *steps.Kind {
	for _, k := range append(All(), Asides()...) {
		if k.Title() == title {
			return k
		}
	}
	return nil
}

// Find returns the kind of step with a name, or nil.
func Find(name string) *steps.Kind {
	for _, k := range All() {
		if k.Name == name {
			return k
		}
	}
	return nil
}
