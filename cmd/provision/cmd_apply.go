package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"provision/internal/engine"
	"provision/internal/event"
)

func (c *cli) applyCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "apply [PATH | FILE]",
		Short: "Show the plan, ask, and make it so",
		Long: `Shows the plan, asks, and makes the hosts what the playbook says; then runs its checks.

Where stdin is no terminal it does not ask and needs --yes. With --sandbox it does all of it on a throw-away
copy of this machine, or with --image in a container that boots, behind a real SSH connection, and asks nothing.

With the FILE of a saved plan (provision plan --out FILE) it does what the plan shows, and does not ask. Should a host or the
playbook not be as they were when the plan was made, it says what has changed, touches no host, and exits with 4.

The first Ctrl-C lets every host end its current step, the second kills that step.`,
		Args: onePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			saved, err := readSavedPlan(pathOf(args))
			if err != nil {
				return err
			}
			if saved != nil {
				return c.applySaved(ctx, args[0], saved, cmd.Flags(), &o)
			}
			r, err := c.prepare(ctx, event.CommandApply, pathOf(args), &o)
			if err != nil {
				return err
			}
			err = r.planAskApply(ctx)
			r.closeSandbox()
			if o.sandbox && !o.json && !o.quiet {
				fmt.Fprintf(c.stdout, "The %s is gone, and all of this with it: the machine itself is as it was.\n", r.box.name)
			}
			return err
		},
	}
	o.plays(cmd.Flags())
	o.reports.flags(cmd.Flags())
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	o.again(cmd.Flags())
	c.complete(cmd)
	return cmd
}

// canAsk refuses what would have to ask and has nobody to ask.
func (c *cli) canAsk(o *options) error {
	switch {
	case o.yes || o.sandbox:
		return nil
	case !isatty.IsTerminal(c.stdin.Fd()):
		return errors.New("apply asks before it changes anything, and stdin is no terminal: pass --yes if that is meant")
	case o.json:
		return errors.New("apply asks before it changes anything, and --json leaves no plan to read: pass --yes if that is meant")
	}
	return nil
}

// showPlan shows the plan, and how it will be rolled out if there is anything to do. If it shall be quiet, it does so only where a
// host has no plan, or where somebody is asked.
func (r *rollout) showPlan(summary engine.Summary) error {
	changes := summary.Changes
	if r.options.json || r.options.quiet && !summary.Failed && !(changes && r.asks()) {
		return nil
	}
	if err := r.plan.Text(r.cli.stdout, r.cli.out.Style, false); err != nil {
		return err
	}
	if changes {
		r.tellRollout()
	}
	return nil
}

// asks tells whether somebody is asked before anything changes.
func (r *rollout) asks() bool { return r.box == nil && !r.options.yes }

// planAskApply is what apply does once everything is known to be in order.
func (r *rollout) planAskApply(ctx context.Context) error {
	c := r.cli
	summary := r.planned(ctx)
	if err := r.showPlan(summary); err != nil {
		return err
	}
	if ctx.Err() == nil && summary.Changes && r.asks() {
		if ok, err := c.confirm(ctx, "Apply these changes?"); !ok {
			_ = r.run.Close() // a refusal is no failure of the hosts
			_ = r.log.Discard()
			fmt.Fprintln(c.stderr, "Nothing was changed.")
			if err == nil {
				err = exitStatus(statusFailed)
			}
			return err
		}
	}
	r.apply(ctx)
	return r.close(ctx)
}
