package sim

// known lists what is not true yet and is passed over until it is, by the name under which the simulator tells of it. At the end it must be empty.
var known = map[string]bool{
	// useradd, killed after it has made the account and before it has filled the home: the account is as wanted.
	"another state of user": true,
}
