package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"provision/internal/engine"
	"provision/internal/sandbox"
)

func (c *cli) applyCommand() *cobra.Command {
	var o options
	var rerun []string
	cmd := &cobra.Command{
		Use:   "apply [PATH]",
		Short: "Show the plan, ask, and make it so",
		Long: `Shows the plan, asks, and makes the hosts what the playbook says; then runs its checks.

Where stdin is no terminal it does not ask and needs --yes. With --sandbox it does all of it on a throw-away
copy of this machine, behind a real SSH connection, and asks nothing.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if !o.yes && !o.sandbox && !isatty.IsTerminal(c.stdin.Fd()) {
				return errors.New("apply asks before it changes anything, and stdin is no terminal: pass --yes if that is meant")
			}
			pb, err := c.load(cmd.Context(), pathOf(args), &o)
			if err != nil {
				return err
			}
			if err := o.checkTags(pb); err != nil {
				return err
			}
			hosts, box, err := c.choose(ctx, pb, &o)
			if err != nil {
				return err
			}
			if box != nil {
				defer box.Close()
			}
			r, err := c.newRollout(ctx, engine.CommandApply, pathOf(args), pb, hosts, box, &o)
			if err != nil {
				return err
			}
			r.run.Rerun = map[string]bool{}
			for _, addr := range rerun {
				r.run.Rerun[addr] = true
			}
			return r.planAskApply(ctx, box)
		},
	}
	o.plays(cmd.Flags())
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringArrayVar(&rerun, "rerun", nil, "run the step `ADDRESS` again although an earlier run was cut off in it (repeatable)")
	c.completeHosts(cmd, &o)
	return cmd
}

// planAskApply is what apply does once everything is known to be in order.
func (r *rollout) planAskApply(ctx context.Context, box *sandbox.Sandbox) error {
	c := r.cli
	summary := r.planned(ctx)
	if !r.options.json {
		if err := r.plan.Text(c.stdout, c.out.Style, false); err != nil {
			return err
		}
	}
	if summary.Changes && box == nil && !r.options.yes {
		ok, err := c.confirm(ctx, "Apply these changes?")
		if err != nil || !ok {
			r.run.Close()
			if err == nil {
				fmt.Fprintln(c.stderr, "Nothing was changed.")
				err = exitStatus(statusFailed)
			}
			return err
		}
	}
	if ctx.Err() == nil {
		r.apply(ctx)
	}
	return r.close()
}
