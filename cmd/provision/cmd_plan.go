package main

import (
	"errors"

	"github.com/spf13/cobra"

	"provision/internal/event"
)

func (c *cli) planCommand() *cobra.Command {
	var o options
	var detailedExit, detail, markdown bool
	var out string
	cmd := &cobra.Command{
		Use:   "plan [PATH]",
		Short: "Show what would change, with diffs; change nothing",
		Args:  onePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if markdown && o.json {
				return errors.New("--json and --markdown exclude each other")
			}
			if o.quiet && (markdown || detail) {
				return errors.New("--quiet shows no plan: leave out --markdown and --detail, or --quiet")
			}
			if out != "" {
				if err := checkOut(out, &o); err != nil {
					return err
				}
			}
			r, err := c.prepare(ctx, event.CommandPlan, pathOf(args), &o)
			if err != nil {
				return err
			}
			defer r.closeSandbox()
			summary := r.planned(ctx)
			switch {
			case o.json, o.quiet && !summary.Failed:
			case markdown:
				err = r.plan.Markdown(c.stdout, 0)
			default:
				if err = r.plan.Text(c.stdout, c.out.Style, detail || o.verbose); summary.Changes {
					r.tellRollout()
				}
			}
			if err != nil {
				return err
			}
			if out != "" {
				err = r.save(out)
			}
			if err := r.keep(ctx, out, err); err != nil {
				return err
			}
			if detailedExit && summary.Changes {
				return exitStatus(statusChanges)
			}
			return nil
		},
	}
	o.plays(cmd.Flags())
	o.reports.flags(cmd.Flags())
	o.again(cmd.Flags())
	cmd.Flags().BoolVar(&detailedExit, "detailed-exitcode", false, "exit with 2 if there are changes")
	cmd.Flags().StringVar(&out, "out", "", "save the plan in `FILE`, for provision apply FILE and provision show FILE")
	cmd.Flags().BoolVar(&detail, "detail", false, "list the steps that need nothing too, and whole diffs")
	cmd.Flags().BoolVar(&markdown, "markdown", false, "as Markdown, bounded in size, for a pull request")
	c.complete(cmd)
	return cmd
}
