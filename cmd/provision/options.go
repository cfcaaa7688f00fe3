package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"
)

// options are the flags that the commands which touch hosts share.
type options struct {
	limit, tags, skipTags []string
	rerun                 []string // addresses of steps
	shard                 string   // I/N; "" for all
	vars, varFiles        []string
	offline               bool // no program is asked for a secret
	parallel              int
	sandbox               bool
	image                 string // of the container that is the throw-away host; "" for the sandbox
	test                  bool   // the playbook is tested: its test block counts
	json, yes, verbose    bool
	quiet                 bool // only what goes wrong
	askBecomePass         bool
	reconnect             time.Duration // how long to try to reach a host again whose link was lost
	lockWait              time.Duration // how long to wait for another run
	reports               reports
	resumes               *resumption // an earlier run, whose hosts are chosen as far as they are left; nil: none
}

// defaultParallel is how many hosts are worked on at a time.
const defaultParallel = 32

// defaultReconnect is how long a run tries to come back to a host.
const defaultReconnect = 10 * time.Minute

// variables adds the flags of everything that reads a playbook.
func (o *options) variables(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.vars, "var", nil, "set a variable: `NAME=VALUE` (repeatable)")
	flags.StringArrayVar(&o.varFiles, "var-file", nil, "read variables from `FILE` (repeatable)")
}

// selection adds the flags of everything that chooses hosts.
func (o *options) selection(flags *pflag.FlagSet) {
	o.variables(flags)
	o.narrowing(flags)
	flags.IntVar(&o.parallel, "parallel", defaultParallel, "how many hosts at a time")
	flags.BoolVar(&o.sandbox, "sandbox", false, "one throw-away copy of this machine in place of the inventory")
	flags.StringVar(&o.image, "image", "", "with --sandbox: a container of `IMAGE` that boots, in place of a copy of this machine; needs Docker")
	flags.BoolVar(&o.askBecomePass, "ask-become-pass", false, "ask for the password of sudo, once")
	o.links(flags)
}

// links adds the flags of everything that keeps links to hosts.
func (o *options) links(flags *pflag.FlagSet) {
	flags.DurationVar(&o.reconnect, "reconnect", defaultReconnect, "how long to try to reach a host again whose link was lost")
}

// plays adds the flags of everything that runs plays.
func (o *options) plays(flags *pflag.FlagSet) {
	o.selection(flags)
	flags.StringSliceVar(&o.tags, "tags", nil, "only steps with one of these tags")
	flags.StringSliceVar(&o.skipTags, "skip-tags", nil, "no steps with one of these tags")
	flags.BoolVar(&o.json, "json", false, "events on stdout, one JSON object a line")
	o.telling(flags)
}

// telling adds the flags that say how much is shown.
func (o *options) telling(flags *pflag.FlagSet) {
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "what steps print, and the steps that need nothing")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "show only what goes wrong, and a plan only to ask about it")
}

// again adds the flags of what changes hosts.
func (o *options) again(flags *pflag.FlagSet) {
	flags.DurationVar(&o.lockWait, "lock-wait", 0, "wait for another run that holds the lock of a host, at most so long, such as 10m (default: give the host up at once)")
	flags.StringArrayVar(&o.rerun, "rerun", nil, "run the step `ADDRESS` although an earlier run was cut off in it, or though only another playbook owes it (repeatable)")
}

// check finds what the flags cannot mean together.
func (o *options) check() error {
	if o.sandbox && len(o.limit) > 0 {
		return errors.New("--limit and --sandbox exclude each other: the sandbox is the only host then")
	}
	if _, err := o.part(); err != nil {
		return err
	}
	if o.sandbox && o.shard != "" {
		return errors.New("--shard and --sandbox exclude each other: the sandbox is the only host then")
	}
	if o.image != "" && !o.sandbox {
		return errors.New("--image says of what the throw-away host is made: give --sandbox with it")
	}
	if o.quiet && o.verbose {
		return errors.New("--quiet and --verbose exclude each other")
	}
	if o.reconnect < 0 || o.lockWait < 0 {
		return errors.New("--reconnect and --lock-wait take a time that is not negative, such as 10m")
	}
	if o.parallel < 1 {
		return fmt.Errorf("--parallel %d: at least one host at a time", o.parallel)
	}
	return nil
}

// tagged tells whether --tags and --skip-tags leave a step in.
func (o *options) tagged(tags []string) bool {
	has := func(list []string) bool {
		return slices.ContainsFunc(list, func(tag string) bool { return slices.Contains(tags, tag) })
	}
	return (len(o.tags) == 0 || has(o.tags)) && !has(o.skipTags)
}

// since is a moment for people.
func since(t time.Time) string { return t.Format("15:04 on 2 January") }
