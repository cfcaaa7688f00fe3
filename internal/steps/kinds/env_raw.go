package kinds

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"provision/internal/steps"
)

// The raw dialect is that of docker run --env-file and of compose's format: raw (package kvfile of docker/cli).

// checkRawEnv reports what is refused in the raw dialect, and what it takes for something else than it looks like.
func checkRawEnv(text string) []dotenvIssue {
	var issues []dotenvIssue
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\uFEFF")) {
		number++
		report := func(warning bool, format string, args ...any) {
			issues = append(issues, dotenvIssue{line: number, warning: warning, text: fmt.Sprintf(format, args...)})
		}
		if !utf8.ValidString(line) {
			report(false, "this is no UTF-8")
			continue
		}
		line = strings.TrimLeftFunc(strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, set := strings.Cut(line, "=")
		switch {
		case name == "":
			report(false, "there is no name before the =")
		case strings.HasPrefix(name, "export") && strings.IndexFunc(name, unicode.IsSpace) == len("export"):
			report(false, "\"export\" is refused in a raw file: write NAME=value alone")
		case strings.ContainsFunc(name, unicode.IsSpace):
			report(false, "this is no NAME=value: a name has no blank in it, and no value goes over several lines")
		case !set:
			report(true, "there is no = after the name: the value comes from the environment of the command, or the variable is left out")
		case len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0]:
			report(true, "the quotes around the value of %s are a part of it in a raw file", name)
		case strings.Contains(value, " #") || strings.Contains(value, "\t#"):
			report(true, "the value of %s holds the # and what follows it: a raw file knows comments on lines of their own alone", name)
		case strings.TrimRightFunc(value, unicode.IsSpace) != value:
			report(true, "the value of %s ends with a blank, which is a part of it in a raw file", name)
		}
	}
	return issues
}

// rawEnvFile writes variables in the raw dialect.
func rawEnvFile(variables []steps.Variable) string {
	var b strings.Builder
	for _, v := range variables {
		b.WriteString(v.Name + "=" + v.Value.Reveal() + "\n")
	}
	return b.String()
}

// rawEnvProblems says which values cannot be written in the raw dialect.
func rawEnvProblems(variables []steps.Variable) []steps.Problem {
	var problems []steps.Problem
	for _, v := range variables {
		if value := v.Value.Reveal(); strings.ContainsAny(value, "\r\n") || !utf8.ValidString(value) {
			problems = append(problems, steps.Problem{
				Arg: "values", Summary: "the value of " + v.Name + " cannot be written in a raw file",
				Detail: "There a value is one line of UTF-8. Leave format out, or bring the value in a file of its own.",
			})
		}
	}
	return problems
}
