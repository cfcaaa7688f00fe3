package kinds

import (
	"fmt"
	"strings"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var envFileKind = &steps.Kind{
	Name: "env_file",
	Doc: `A file of environment variables for docker compose and the like, always treated as a secret.

The content comes from a local file (source), which is uploaded byte for byte, or from values.
It is never shown: a plan says that it differs, and no more. The mode is 0600 unless another is
given. The directory must exist.

A local file is read as docker compose will read it, before anything is done: what compose refuses
is an error with its line, and what it takes for something else than it looks like (an unquoted
"$" that makes the rest of a password vanish) is a warning.

Values are written so that compose, sh and systemd read the same: bare where nothing in them is
special, in quotes otherwise. A value with both a backquote and a single quote needs a variable
of its own, PROVISION_BACKQUOTE, which systemd does not expand; a warning says so. A carriage
return is refused.

format = "raw" is another dialect, in which there are no quotes, no comments behind a value and no variables:
that of "docker run --env-file", of podman, and of compose where the project says format: raw. Values with a line break cannot be
written in it. docs/env-files.md shows line by line what each reader makes of a file.`,
	Example: `step "env_file" "app" {
  path   = "/etc/demo.env"
  values = {
    DEBUG        = "0"
    DATABASE_URL = "postgres://app:pa$ss@db/app"
  }
}
`,
	Rules: []steps.Rule{steps.OneOf("Give the variables, or a local file that holds them.", "values", "source")},
	New: func() (steps.Step, steps.Args) {
		e := &envFile{Format: "compose"}
		e.Mode = "600"
		args := steps.Args{
			kit.PathArg("path", &e.Path, "Absolute path on the host.").Must(),
			kit.VariablesArg("values", &e.Values, "The variables."),
			kit.FileTextArg("source", &e.Source, "A local file with the variables."),
			kit.EnumArg("format", &e.Format, "How the file is read: as compose, sh and systemd do, or literally, as docker run does.", "compose", "raw"),
		}
		args = append(args, e.Ownership.Args("file")...)
		return e, append(args, e.Writing.Args()...)
	},
}

type envFile struct {
	kit.File
	Values []steps.Variable
	Source *steps.Text
	Format string
}

var (
	_ steps.Settler  = (*envFile)(nil)
	_ steps.Bringer  = (*envFile)(nil)
	_ steps.Requirer = (*envFile)(nil)
	_ steps.Batcher  = (*envFile)(nil)
)

func (e *envFile) Validate() []steps.Problem {
	var problems []steps.Problem
	check := func(text string) []dotenvIssue { return checkDotenv(text) }
	reader := "docker compose reads environment files this way; docs/env-files.md shows what it makes of each form."
	if e.Format == "raw" {
		check, reader = checkRawEnv, "docker run --env-file and format: raw read environment files this way; docs/env-files.md shows what they make of each form."
		problems = append(problems, rawEnvProblems(e.Values)...)
	} else {
		problems = append(problems, dotenvProblems(e.Values)...)
	}
	problems = append(problems, e.Writing.Problems()...)
	if !strings.HasSuffix(e.Mode, "0") {
		problems = append(problems, steps.Problem{
			Arg: "mode", Warning: true, Summary: "every user of the host will be able to use this file",
			Detail: "Environment files hold secrets: mode 0600 or 0640 keeps them.",
		})
	}
	if e.Source != nil {
		for _, issue := range check(e.Source.Reveal()) {
			problems = append(problems, steps.Problem{
				Arg: "source", Warning: issue.warning, Summary: fmt.Sprintf("line %d of the file: %s", issue.line, issue.text),
				Detail: reader,
			})
		}
	}
	return problems
}

// Batch implements steps.Batcher.
func (e *envFile) Batch() (attributes, sums []string) { return e.whole().Batch() }

// Settled implements steps.Settler.
func (e *envFile) Settled(f *steps.Facts) []steps.Observation { return e.whole().Settled(f) }

// whole is the file with its content.
func (e *envFile) whole() *kit.File {
	c := e.File
	text := dotenvFile(e.Values)
	if e.Format == "raw" {
		text = rawEnvFile(e.Values)
	}
	if e.Source != nil {
		text = e.Source.Reveal()
	}
	c.Content = &steps.Content{Text: steps.Secret(text)}
	return &c
}

func (e *envFile) Probe() string { return e.whole().Probe() }

func (e *envFile) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	return e.whole().Plan(f, obs)
}
