package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"provision/internal/engine"
)

func (c *cli) testCommand() *cobra.Command {
	o := options{sandbox: true, parallel: 1}
	cmd := &cobra.Command{
		Use:   "test [PATH]",
		Short: "Apply on a throw-away host, plan again (must be empty), run the checks",
		Long: `Applies the playbook to a throw-away copy of this machine, runs its checks, and plans it once more: a step that
still has something to do then is named with what differs, and the test fails.`,
		Args: onePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			r, err := c.prepare(ctx, engine.CommandTest, pathOf(args), &o)
			if err != nil {
				return err
			}
			defer r.closeSandbox()
			if err := r.planAskApply(ctx); err != nil {
				return err
			}
			return r.planAgain(ctx)
		},
	}
	o.variables(cmd.Flags())
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "what steps print, and the steps that need nothing")
	return cmd
}

// planAgain fails if anything is left to do right after an apply.
func (r *rollout) planAgain(ctx context.Context) error {
	fmt.Fprintln(r.cli.stdout, "\nPlanning once more: nothing may be left to do.")
	second, err := r.again(ctx, engine.CommandPlan)
	if err != nil {
		return err
	}
	summary := second.planned(ctx)
	if err := second.plan.Text(r.cli.stdout, r.cli.out.Style, false); err != nil {
		return err
	}
	if err := second.close(ctx); err != nil {
		return err
	}
	if summary.Changes {
		fmt.Fprintln(r.cli.stderr, "Error: the steps above are not idempotent: right after an apply they would change something again")
		return exitStatus(statusFailed)
	}
	return nil
}
