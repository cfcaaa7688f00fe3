package shell

import _ "embed"

// Prelude is the start of every script and program: a known environment (PATH, LC_ALL, umask,
// IFS, no CDPATH, ENV or BASH_ENV) and the functions that fragments of sh may call. Each
// function is described in prelude.sh.
//
//go:embed prelude.sh
var Prelude string

// Put is the function put, which writes a file: what an operation steps.Put calls. It needs the prelude and the facts.
//
//go:embed put.sh
var Put string
