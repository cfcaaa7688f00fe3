package kinds

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"provision/internal/shell"
)

// buildKey is the hash of a build's arguments, which hold paths of the test.
var buildKey = regexp.MustCompile(`(?m)^key=[0-9a-f]{12}$`)

// library holds the shell functions that scripts bring along, by their text. network.sh is a part of others.
var library = sync.OnceValue(func() *strings.Replacer {
	pairs := []string{mergeScript, "# the functions of merge\n"}
	for _, pattern := range []string{"*.sh", "../kit/*.sh"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			panic(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				panic(err)
			}
			with := "# the functions of " + filepath.Base(file) + "\n"
			if filepath.Base(file) == "network.sh" {
				with = ""
			}
			pairs = append(pairs, shell.Strip(string(text)), with)
		}
	}
	return strings.NewReplacer(pairs...)
})

// foldLibrary replaces the shell functions that a script brings along by their names, so that
// a golden shows what is particular to the step.
func foldLibrary(script string) string {
	return buildKey.ReplaceAllString(library().Replace(script), "key=KEY")
}
