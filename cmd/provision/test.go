package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"provision/internal/engine"
	"provision/internal/inventory"
	"provision/internal/playbook"
	"provision/internal/sandbox"
)

func (c *cli) testCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "test [PATH]",
		Short: "Apply on a throw-away host, plan again (must be empty), run the checks",
		Long: `Applies the playbook to a throw-away copy of this machine, runs its checks, and plans it once more: a step that
still has something to do then is named with what differs, and the test fails.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			pb, err := c.load(cmd.Context(), pathOf(args), &o)
			if err != nil {
				return err
			}
			o.sandbox = true
			hosts, box, err := c.choose(ctx, pb, &o)
			if err != nil {
				return err
			}
			defer box.Close()
			r, err := c.newRollout(ctx, engine.CommandTest, pathOf(args), pb, hosts, box, &o)
			if err != nil {
				return err
			}
			if err := r.planAskApply(ctx, box); err != nil {
				return err
			}
			return c.secondPlan(ctx, pathOf(args), pb, hosts, box, &o)
		},
	}
	o.variables(cmd.Flags())
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "what steps print, and the steps that need nothing")
	o.parallel = 1
	return cmd
}

// secondPlan fails if anything is left to do right after an apply.
func (c *cli) secondPlan(ctx context.Context, path string, pb *playbook.Playbook, hosts []*inventory.Host, box *sandbox.Sandbox, o *options) error {
	fmt.Fprintln(c.stdout, "\nPlanning once more: nothing may be left to do.")
	r, err := c.newRollout(ctx, engine.CommandPlan, path, pb, hosts, box, o)
	if err != nil {
		return err
	}
	summary := r.planned(ctx)
	if err := r.plan.Text(c.stdout, c.out.Style, false); err != nil {
		return err
	}
	if err := r.close(); err != nil {
		return err
	}
	if summary.Changes {
		fmt.Fprintln(c.stderr, "Error: the steps above are not idempotent: right after an apply they would change something again")
		return exitStatus(statusFailed)
	}
	return nil
}
