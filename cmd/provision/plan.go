package main

import (
	"github.com/spf13/cobra"

	"provision/internal/engine"
)

func (c *cli) planCommand() *cobra.Command {
	var o options
	var detailedExit, detail, markdown bool
	cmd := &cobra.Command{
		Use:   "plan [PATH]",
		Short: "Show what would change, with diffs; change nothing",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
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
			r, err := c.newRollout(ctx, engine.CommandPlan, pathOf(args), pb, hosts, box, &o)
			if err != nil {
				return err
			}
			summary := r.planned(ctx)
			switch {
			case o.json:
			case markdown:
				err = r.plan.Markdown(c.stdout, 0)
			default:
				err = r.plan.Text(c.stdout, c.out.Style, detail)
			}
			if err != nil {
				return err
			}
			if err := r.close(); err != nil {
				return err
			}
			if detailedExit && summary.Changes {
				return exitStatus(statusChanges)
			}
			return nil
		},
	}
	o.plays(cmd.Flags())
	cmd.Flags().BoolVar(&detailedExit, "detailed-exitcode", false, "exit with 2 if there are changes")
	cmd.Flags().BoolVar(&detail, "detail", false, "list the steps that need nothing too, and whole diffs")
	cmd.Flags().BoolVar(&markdown, "markdown", false, "as Markdown, bounded in size, for a pull request")
	c.completeHosts(cmd, &o)
	return cmd
}

func (c *cli) completeHosts(cmd *cobra.Command, o *options) {
	// The flag exists, so registering cannot fail.
	_ = cmd.RegisterFlagCompletionFunc("limit", c.completeLimit(o))
}
