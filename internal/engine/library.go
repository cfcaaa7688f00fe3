package engine

import (
	_ "embed"

	"provision/internal/shell"
	"provision/internal/steps"
)

//go:embed library.sh
var librarySource string

//go:embed program.sh
var programSource string

//go:embed sweep.sh
var sweepSource string

func sweepText() string { return shell.Strip(sweepSource) }

func programText() string { return sweepText() + shell.Strip(programSource) }

// library is the sh that scripts and programs share: the environment and functions of fragments, the
// facts, and what the engine itself needs.
func library() string {
	return shell.Strip(shell.Prelude + steps.FactsScript + shell.Put + librarySource)
}
