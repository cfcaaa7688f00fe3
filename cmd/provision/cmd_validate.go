package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"provision/internal/ui"
)

func (c *cli) validateCommand() *cobra.Command {
	o := options{offline: true}
	cmd := &cobra.Command{
		Use:   "validate [PATH]",
		Short: "Check a playbook offline",
		Long: `Checks everything that can be known without asking a host: syntax, types, references, arguments, local files and
the syntax of shell text, for every host of the playbook. All mistakes are reported at once.

With --json each mistake is one JSON object a line on stdout, for editors and CI; docs/events.md describes them.`,
		Args: onePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			pb, diags, err := c.read(cmd.Context(), pathOf(args), &o)
			if err != nil {
				return err
			}
			if !diags.HasErrors() {
				diags = append(append(diags, pb.ShortSecrets()...), pb.LossyFiles()...)
			}
			if o.json {
				if err := ui.DiagnosticsJSON(c.stdout, diags); err != nil {
					return err
				}
				if diags.HasErrors() {
					return exitStatus(statusFailed)
				}
				return nil
			}
			if err := c.diagnose(diags, pb.Files()); err != nil {
				return err
			}
			hosts := len(pb.Inventory().Hosts())
			fmt.Fprintf(c.stdout, "%s is valid: %s for %s.\n", pathOf(args), count(len(pb.Plays()), "play"), count(hosts, "host"))
			return nil
		},
	}
	o.variables(cmd.Flags())
	cmd.Flags().BoolVar(&o.json, "json", false, "the mistakes on stdout, one JSON object a line")
	return cmd
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
