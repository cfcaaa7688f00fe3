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

var programText = shell.Strip(programSource)

// library is the sh that scripts and programs share: the environment and functions of fragments, the
// facts, and what the engine itself needs.
var library = shell.Strip(shell.Prelude + steps.FactsScript + shell.Put + librarySource + unstageFunction)
