package kinds

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"

	"provision/internal/steps"
)

// envWarnings says what containers will get of the environment files in the directory where that is something else than it looks like, or where
// compose refuses the file. No value is in it.
func (e *composeEnvironment) envWarnings(dir string, project *types.Project) []steps.Problem {
	var problems []steps.Problem
	said := map[string]bool{}
	for _, name := range project.ServiceNames() {
		service := project.Services[name]
		known := slices.Concat(slices.Collect(maps.Keys(e.values)), slices.Collect(maps.Keys(service.Environment)))
		for _, f := range service.EnvFiles {
			rel, err := filepath.Rel(dir, f.Path)
			if err != nil || !filepath.IsLocal(rel) {
				continue
			}
			content, err := os.ReadFile(f.Path)
			if err != nil {
				continue // it may be on the host alone
			}
			issues := checkRawEnv(string(content))
			if f.Format != "raw" {
				issues = checkDotenv(string(content), known...)
				known = append(known, dotenvNames(string(content))...)
			}
			for _, issue := range issues {
				problem := steps.Problem{
					Arg: "source", Warning: issue.warning, Summary: fmt.Sprintf("%s, line %d: %s", filepath.ToSlash(rel), issue.line, issue.text),
					Detail: "It is an env_file of the service " + name + "; docs/env-files.md shows what compose makes of each form.",
				}
				if !said[problem.Summary] {
					said[problem.Summary] = true
					problems = append(problems, problem)
				}
			}
		}
	}
	return problems
}
