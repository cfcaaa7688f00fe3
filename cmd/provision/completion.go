package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"provision/internal/playbook"
	"provision/playbooks"
)

func (c *cli) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a completion script for a shell",
		Long:  "Prints a completion script. For bash: source <(provision completion bash)",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("completion takes the name of a shell: bash, zsh, fish or powershell")
			}
			return nil
		},
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(c.stdout, true)
			case "zsh":
				return root.GenZshCompletion(c.stdout)
			case "fish":
				return root.GenFishCompletion(c.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(c.stdout)
			}
			return fmt.Errorf("no completion for %q: bash, zsh, fish and powershell are known", args[0])
		},
	}
}

// complete completes flags from the playbook that the command line names: hosts and groups for --limit, tags for
// --tags and --skip-tags.
func (c *cli) complete(cmd *cobra.Command) {
	names := func(pb *playbook.Playbook) []string {
		list := pb.Inventory().Groups()
		for _, h := range pb.Inventory().Hosts() {
			list = append(list, h.Name)
		}
		return list
	}
	tags := func(pb *playbook.Playbook) []string { return pb.Tags() }
	for flag, list := range map[string]func(*playbook.Playbook) []string{"limit": names, "tags": tags, "skip-tags": tags} {
		if cmd.Flags().Lookup(flag) == nil {
			continue
		}
		// It fails only for flags that do not exist.
		_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			pb, diags := playbook.Load(cmd.Context(), pathOf(args), playbook.Options{Environ: os.Environ(), Shipped: playbooks.FS})
			if diags.HasErrors() {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return list(pb), cobra.ShellCompDirectiveNoFileComp
		})
	}
}
