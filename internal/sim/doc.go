// Package sim exists for tests: it simulates what goes wrong between a client and a host, and looks whether what the client says is
// what happened, and whether the next run mends the rest.
//
// The engine is the real one, and so are the program and the shell that runs it. What is simulated is what they stand on. A host is a
// directory in namespaces of its own (package truth). Its processes are under a filter of seccomp_unotify(2): each call that changes a
// file waits for the simulator, which lets it pass, answers "no space", or kills who called. Sleeping is such a call, too: time on
// the host is the time of the simulator, and passes only when nobody on the host has anything to do. The client runs in a bubble of
// testing/synctest, whose clock is the same: back-offs and limits of silence cost nothing. The links between them carry so many
// bytes, and then break in the way that the scene says.
//
// A Scene holds a playbook and what goes wrong. A seed stands for one scene; one that fails is made simpler as long as it fails.
package sim
