// The addresses of a name come in the order in which ssh tries them, that of getaddrinfo(3).
//go:debug netdns=cgo

// Provision turns fresh servers into running deployments, over SSH, with nothing installed on them but sh.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sirupsen/logrus"

	"provision/internal/sandbox"
	"provision/internal/ssh"
)

func main() {
	sandbox.MaybeChild()
	ssh.MaybeAskpass()
	os.Exit(run(context.Background(), os.Args[1:]))
}

// run executes one command line and returns its exit status, see design of the statuses in README.md.
func run(ctx context.Context, args []string) int {
	// The library that reads compose files tells its warnings to this logger of the whole process, and to no other.
	logrus.SetOutput(io.Discard)
	return newCLI().execute(ctx, args)
}

// execute is run with streams and settings of its own.
func (c *cli) execute(ctx context.Context, args []string) int {
	root := c.rootCommand()
	root.SetArgs(args)
	ctx, done := c.interrupts(ctx)
	defer done()
	err := root.ExecuteContext(ctx)
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(c.stderr, "interrupted")
		return statusInterrupted
	}
	fmt.Fprintf(c.stderr, "Error: %s\n", c.clean(err.Error()))
	return statusFailed
}

// An exitStatus is an error that was told already: only the status is left.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// The exit statuses of every command.
const (
	statusFailed      = 1 // the playbook is wrong, or a host failed
	statusChanges     = 2 // plan --detailed-exitcode: there are changes; fmt --check: a file would change
	statusUnreachable = 3 // no host failed, but one or more could not be reached
	statusStale       = 4 // a saved plan is stale, or another run holds a host's lock
	statusInterrupted = 130
)
