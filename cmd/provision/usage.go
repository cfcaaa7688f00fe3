package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"provision/internal/suggest"
)

// onePath accepts the playbook's path, or nothing for the current directory.
func onePath(cmd *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return fmt.Errorf("%s takes one PATH, a file or a directory, and was given %d: %s", cmd.Name(), len(args), strings.Join(args, " "))
}

// noArguments accepts nothing but flags.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%s takes no arguments, and was given %s", cmd.Name(), strings.Join(args, " "))
}

// flagError says in our own words what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	help := cmd.CommandPath() + " --help lists the flags"
	var unknown *pflag.NotExistError
	var value *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if len(unknown.GetSpecifiedShortnames()) > 0 {
			return fmt.Errorf("there is no flag -%s; %s", name, help)
		}
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if near := suggest.Nearest(name, known); near != "" {
			return fmt.Errorf("there is no flag --%s. Did you mean --%s? %s", name, near, help)
		}
		return fmt.Errorf("there is no flag --%s; %s", name, help)
	case errors.As(err, &value) && value.GetFlag().Value.Type() == "int":
		return fmt.Errorf("--%s %s: write a whole number", value.GetFlag().Name, value.GetValue())
	case errors.As(err, &value) && value.GetFlag().Value.Type() == "bool":
		return fmt.Errorf("--%s=%s: it is true or false, or given without a value", value.GetFlag().Name, value.GetValue())
	}
	return fmt.Errorf("%w; %s", err, help)
}

// unknownCommand is the error about a command line that names none.
func unknownCommand(root *cobra.Command, name string) error {
	names := map[string]bool{}
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			names[cmd.Name()] = true
		}
	}
	// What other tools call it.
	known := map[string]string{
		"up": "apply", "deploy": "apply", "check": "plan", "diff": "plan", "preview": "plan", "lint": "validate", "history": "runs", "log": "runs", "logs": "runs", "retry": "resume",
		"inventory": "hosts", "new": "init", "format": "fmt", "exec": "run", "ssh": "run", "shell": "run", "command": "run", "kinds": "steps", "modules": "steps",
	}
	near := known[name]
	if near == "" {
		near = suggest.Nearest(name, slices.Sorted(maps.Keys(names)))
	}
	if near != "" {
		return fmt.Errorf("there is no command %q. Did you mean %q? provision --help lists them all", name, near)
	}
	return fmt.Errorf("there is no command %q; provision --help lists them all", name)
}

// helpCommand is cobra's, except that an unknown topic is an error.
func (c *cli) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | TOPIC]",
		Short: "Help about a command or a topic",
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, sub := range cmd.Root().Commands() {
				if sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
					names = append(names, sub.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			target, _, err := root.Find(args)
			if err != nil || target == root && len(args) > 0 {
				return unknownCommand(root, strings.Join(args, " "))
			}
			if target.IsAdditionalHelpTopicCommand() {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), target.Long)
				return err
			}
			target.InitDefaultHelpFlag()
			return target.Help()
		},
	}
}
