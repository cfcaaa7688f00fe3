package sim

// known lists what is not true yet and is passed over until it is, by the name under which the simulator tells of it. At the end it must be empty.
var known = map[string]bool{
	// A cut while the host is planned, or while contents are staged, ends the run.
	"a broken link is no pause": true,
	"slow":                      true,
	// A program whose client comes back more than 30 s after its end has removed the outputs of its steps.
	"output is not whole": true,
	// A restart of the host between the plan and the first record of the program is not noticed: the old plan is carried out.
	"success is not true": true,
	// A killed program, or a killed client, leaves what no later run looks for.
	"staging is left":               true,
	"secret left":                   true,
	"a program's directory is left": true,
	"a lock is left":                true,
	"a temporary file is left":      true,
	"a process is left":             true,
	// A run that has nothing to do starts no program, and so nothing sweeps.
	"the mark of a program is left": true,
	// useradd, killed after it has made the account and before it has filled the home: the account is as wanted.
	"another state of user": true,
}
