package sim

// known lists what is not true yet and is passed over until it is, by the name under which the simulator tells of it. At the end it must be empty.
var known = map[string]bool{
	// A restart of the host between the plan and the first record of the program is not noticed: the old plan is carried out.
	"success is not true": true,
	// A program that is killed between mktemp and mv of put: nothing looks for the file.
	"a temporary file is left": true,
	"secret left":              true,
	// useradd, killed after it has made the account and before it has filled the home: the account is as wanted.
	"another state of user": true,
}
