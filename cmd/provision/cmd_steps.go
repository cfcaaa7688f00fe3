package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"provision/internal/steps/kinds"
	"provision/internal/suggest"
)

func (c *cli) stepsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "steps [KIND]",
		Short: "The manual of the step kinds",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("steps takes the name of one kind")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return kindNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				w := tabwriter.NewWriter(c.stdout, 0, 4, 2, ' ', 0)
				for _, k := range kinds.All() {
					summary, _, _ := strings.Cut(k.Doc, "\n")
					fmt.Fprintf(w, "%s\t%s\n", k.Name, summary)
				}
				fmt.Fprintln(w, "\nprovision steps KIND prints the manual of one.")
				return w.Flush()
			}
			k := kinds.Find(args[0])
			if k == nil {
				return fmt.Errorf("there is no kind of step %q.%s provision steps lists them all", args[0], suggest.DidYouMean(args[0], kindNames()))
			}
			_, err := fmt.Fprint(c.stdout, k.Manual())
			return err
		},
	}
}

func kindNames() []string {
	var names []string
	for _, k := range kinds.All() {
		names = append(names, k.Name)
	}
	return names
}
