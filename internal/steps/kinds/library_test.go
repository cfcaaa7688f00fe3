package kinds

import (
	"regexp"
	"strings"

	"provision/internal/steps/kit"
)

// buildKey is the hash of a build's arguments, which hold paths of the test.
var buildKey = regexp.MustCompile(`(?m)^key=[0-9a-f]{12}$`)

// foldLibrary replaces the shell functions that a script brings along by their names, so that
// a golden shows what is particular to the step.
func foldLibrary(script string) string {
	for _, part := range []struct{ name, text string }{
		{"package_query.sh", packageQuery},
		{"package_lists.sh", packageLists},
		{"package_updates.sh", packageUpdates},
		{"package_change.sh", packageChange},
		{"package_upgrade.sh", packageUpgradeScript},
		{"service_probe.sh", serviceProbe},
		{"service_change.sh", serviceChange},
		{"repository.sh", repositoryScript},
		{"fetch.sh", kit.FetchScript},
		{"http_ask.sh", kit.HTTPAsk},
		{"port_open.sh", kit.PortOpen},
		{"unpack.sh", unpackScript},
		{"source_build.sh", sourceBuildScript},
		{"compose.sh", composeScript},
		{"sync.sh", syncScript},
		{"supervisor_program.sh", supervisorScript},
		{"merge", mergeScript},
		{"git.sh", gitScript},
	} {
		script = strings.ReplaceAll(script, part.text, "# the functions of "+part.name+"\n")
	}
	return buildKey.ReplaceAllString(script, "key=KEY")
}
