package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (c *cli) validateCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "validate [PATH]",
		Short: "Check a playbook offline",
		Long: `Checks everything that can be known without asking a host: syntax, types, references, arguments, local files and
the syntax of shell text, for every host of the playbook. All mistakes are reported at once.`,
		Args: onePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			pb, err := c.load(cmd.Context(), pathOf(args), &o)
			if err != nil {
				return err
			}
			if err := c.diagnose(pb.ShortSecrets(), pb.Files()); err != nil {
				return err
			}
			hosts := len(pb.Inventory().Hosts())
			fmt.Fprintf(c.stdout, "%s is valid: %s for %s.\n", pathOf(args), count(len(pb.Plays()), "play"), count(hosts, "host"))
			return nil
		},
	}
	o.variables(cmd.Flags())
	return cmd
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
