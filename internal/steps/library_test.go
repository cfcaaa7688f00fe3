package steps

import "strings"

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
		{"fetch.sh", fetchScript},
		{"http_ask.sh", httpAsk},
		{"port_open.sh", portOpen},
		{"unpack.sh", unpackScript},
		{"source_build.sh", sourceBuildScript},
		{"merge", mergeScript},
		{"git.sh", gitScript},
	} {
		script = strings.ReplaceAll(script, part.text, "# the functions of "+part.name+"\n")
	}
	return script
}
