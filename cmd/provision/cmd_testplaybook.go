package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"provision/internal/event"
)

func (c *cli) testCommand() *cobra.Command {
	o := options{sandbox: true, test: true, parallel: 1}
	keep := false
	cmd := &cobra.Command{
		Use:   "test [PATH]",
		Short: "Apply on a throw-away host, plan again (must be empty), run the checks",
		Long: `Applies the playbook to a throw-away host, runs its checks, and plans it once more: a step that still has something to do then is
named with what differs, and the test fails.

The host is a container that boots an image, where --image or the playbook names one:

  test {
    image = "quay.io/centos/centos:centos7"
    vars  = { env_file = "test/env" }
  }

Services, packages and Docker work in it. It needs Docker on this machine; the image needs an init (systemd) and sh, and neither
sshd nor anything of provision. Else the host is a copy of this machine (Linux), which has no service manager and no Docker.

The vars of the test block are values of variables for tests. What --var-file and --var give wins.`,
		Args: onePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			r, err := c.prepare(ctx, event.CommandTest, pathOf(args), &o)
			if err != nil {
				return err
			}
			defer r.closeSandbox()
			if keep && r.box.container == nil {
				return errors.New("--keep is for containers, and the sandbox goes with this command: give --image, or write a test block")
			}
			err = r.planAskApply(ctx)
			if err == nil {
				err = r.planAgain(ctx)
			}
			if err != nil && !interrupted(ctx, err) {
				r.leaveFailed(ctx, keep)
			}
			return err
		},
	}
	o.variables(cmd.Flags())
	o.reports.flags(cmd.Flags())
	cmd.Flags().StringVar(&o.image, "image", "", "a container of `IMAGE` that boots is the host, whatever the playbook says; needs Docker")
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the container of a failed test there, and say how to look at it")
	o.telling(cmd.Flags())
	return cmd
}

// leaveFailed says what to do about a test that failed, and leaves its container there if that is asked for.
func (r *rollout) leaveFailed(ctx context.Context, keep bool) {
	c, box := r.cli, r.box.container
	switch {
	case box == nil:
		fmt.Fprintln(c.stderr, "The sandbox has no service manager and no Docker. A playbook that needs them is tested in a container: give --image, or write a test block.")
	case keep:
		fmt.Fprintf(c.stderr, "The container is kept:\n  docker exec -it %s sh     looks at it\n  docker rm -f -v %s        removes it\n", box.Name, box.Name)
		if err := box.Keep(ctx); err != nil {
			fmt.Fprintln(c.stderr, "Warning:", c.clean(err.Error()))
		}
	default:
		fmt.Fprintln(c.stderr, "The container is removed. With --keep it stays, to be looked at.")
	}
}

// interrupted tells whether an error is what became of an interrupt.
func interrupted(ctx context.Context, err error) bool {
	var status exitStatus
	return ctx.Err() != nil || errors.As(err, &status) && status == statusInterrupted
}

// planAgain fails if anything is left to do right after an apply.
func (r *rollout) planAgain(ctx context.Context) error {
	if !r.options.quiet {
		fmt.Fprintln(r.cli.stdout, "\nPlanning once more: nothing may be left to do.")
	}
	second, err := r.again(ctx, event.CommandPlan)
	if err != nil {
		return err
	}
	summary := second.planned(ctx)
	if !r.options.quiet || summary.Changes || summary.Failed {
		if err := second.plan.Text(r.cli.stdout, r.cli.out.Style, false); err != nil {
			return err
		}
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
