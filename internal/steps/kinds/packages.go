package kinds

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

// The shell functions of the kinds about packages: what is installed, how old the lists of
// packages are, what is newer, and how to change it.
//
//go:embed package_query.sh
var packageQuerySource string

//go:embed package_lists.sh
var packageListsSource string

//go:embed package_updates.sh
var packageUpdatesSource string

//go:embed package_change.sh
var packageChangeSource string

var packageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._:()-]*$`)

// parsePackageName refuses what a package manager would read as something else than a name.
func parsePackageName(s string) (string, error) {
	switch {
	case packageName.MatchString(s):
		return s, nil
	case strings.HasPrefix(s, "@"):
		return "", fmt.Errorf("%q is a group of packages: name its packages, which a plan can look at one by one", s)
	case strings.ContainsAny(s, "=<>"):
		return "", fmt.Errorf("%q holds a version: give the name alone, and the version in the argument version", s)
	case strings.ContainsAny(s, "*?["):
		return "", fmt.Errorf("%q is a pattern: name the packages one by one", s)
	case strings.Contains(s, "/"):
		return "", fmt.Errorf("%q is a path or URL: give the name of the package", s)
	}
	return "", fmt.Errorf("%q is no name of a package", s)
}

// packageArg is the name of one package.
func packageArg(name string, to *string, doc string) steps.Arg {
	return kit.ParsedArg(name, to, doc, parsePackageName)
}

// packagesArg is a list of names of packages.
func packagesArg(name string, to *[]string, doc string) steps.Arg {
	return kit.ListArg(name, to, doc, parsePackageName)
}

// versionMatches tells whether an installed version is the wanted one: the same text, the same
// without the epoch or without the release, or what a final * leaves open.
func versionMatches(installed, wanted string) bool {
	_, bare, hasEpoch := strings.Cut(installed, ":")
	forms := []string{installed}
	if hasEpoch {
		forms = append(forms, bare)
	}
	for _, form := range forms {
		if prefix, open := strings.CutSuffix(wanted, "*"); open && strings.HasPrefix(form, prefix) {
			return true
		}
		if form == wanted || strings.HasPrefix(form, wanted+"-") {
			return true
		}
	}
	return false
}

// packageSources are the configurations of the package managers.
var packageSources = []steps.Thing{{Kind: steps.DirectoryThing, Name: "/etc/apt"}, {Kind: steps.DirectoryThing, Name: "/etc/yum.repos.d"}, {Kind: steps.DirectoryThing, Name: "/etc/zypp"}, {Kind: steps.DirectoryThing, Name: "/etc/apk"}, {Kind: steps.FileThing, Name: "/etc/pacman.conf"}}
