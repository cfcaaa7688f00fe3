// Package truth exists for tests: it looks whether what provision says is what happens. It makes random hosts and random playbooks for
// them, runs the commands of the command line on them, and compares what these said with two snapshots of the host that it takes
// itself. It uses nothing of the step kinds: what a step means is written down here a second time, after the manual.
//
// A host is a directory in a mount and a process namespace of its own, with the programs of this machine and a tree and accounts of its
// own. Real shells run real programs there; only SSH is left out, since its handshake would cost more than all the rest.
package truth
