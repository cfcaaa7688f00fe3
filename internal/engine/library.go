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

var sweepText = shell.Strip(sweepSource)

var programText = sweepText + shell.Strip(programSource)

// library is the sh that scripts and programs share: the environment and functions of fragments, the
// facts, and what the engine itself needs.
var library = shell.Strip(shell.Prelude + steps.FactsScript + shell.Put + librarySource)
