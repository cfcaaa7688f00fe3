package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"provision/internal/playbook"
	"provision/internal/steps"
	"provision/internal/steps/kinds"
	"provision/internal/suggest"
	"provision/playbooks"
)

func (c *cli) stepsCommand() *cobra.Command {
	path := ""
	cmd := &cobra.Command{
		Use:   "steps [KIND]",
		Short: "The manual of the step kinds",
		Long: `Lists the kinds of steps, of data and messages, or prints the manual of one. The kinds that the playbook of the current directory and its modules
define are among them; --playbook names another playbook.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("steps takes the name of one kind")
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			own, _ := c.ownKinds(cmd.Context(), path)
			return kindNames(own), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			own, err := c.ownKinds(cmd.Context(), path)
			switch {
			case err != nil && path != "":
				return err
			case len(args) == 0:
				return c.listKinds(own)
			}
			if k := kinds.Named(args[0]); k != nil {
				_, err := fmt.Fprint(c.stdout, k.Manual())
				return err
			}
			found := false
			for _, k := range own {
				if k.Name == args[0] {
					if found {
						fmt.Fprintln(c.stdout)
					}
					found = true
					fmt.Fprint(c.stdout, k.Manual())
				}
			}
			if found {
				return nil
			}
			return fmt.Errorf("there is no kind of step %q.%s provision steps lists them all", args[0], suggest.DidYouMean(args[0], kindNames(own)))
		},
	}
	cmd.Flags().StringVar(&path, "playbook", "", "the playbook whose own kinds are meant too (default: that of the current directory)")
	return cmd
}

// ownKinds returns the kinds of a playbook: without a name, those of the current directory, where there need be none and mistakes are
// not told.
func (c *cli) ownKinds(ctx context.Context, path string) ([]playbook.OwnKind, error) {
	own, files, diags := playbook.OwnKinds(ctx, pathOf([]string{path}), playbooks.FS)
	if path == "" {
		return own, nil
	}
	return own, c.diagnose(diags, files)
}

func (c *cli) listKinds(own []playbook.OwnKind) error {
	w := tabwriter.NewWriter(c.stdout, 0, 4, 2, ' ', 0)
	line := func(k *steps.Kind, where string) {
		summary, _, _ := strings.Cut(k.Doc, "\n")
		fmt.Fprintf(w, "%s\t%s%s\n", k.Title(), summary, where)
	}
	for _, k := range kinds.All() {
		line(k, "")
	}
	fmt.Fprint(w, "\nBlocks that change nothing:\n\n")
	for _, k := range kinds.Asides() {
		line(k, "")
	}
	if len(own) > 0 {
		fmt.Fprint(w, "\nOf the playbook:\n\n")
	}
	for _, k := range own {
		where := ""
		if k.Place != "" {
			where = " (" + k.Place + ")"
		}
		line(k.Kind, where)
	}
	fmt.Fprintln(w, "\nprovision steps KIND prints the manual of one.")
	return w.Flush()
}

func kindNames(own []playbook.OwnKind) []string {
	var names []string
	for _, k := range append(kinds.All(), kinds.Asides()...) {
		names = append(names, k.Title())
	}
	for _, k := range own {
		names = append(names, k.Name)
	}
	return names
}
