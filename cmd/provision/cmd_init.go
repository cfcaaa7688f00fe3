package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"provision/examples"
	"provision/internal/shell"
	"provision/internal/suggest"
)

func (c *cli) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [EXAMPLE] DIR",
		Short: "Start a new project from a shipped example",
		Long:  "Copies an example into a new directory. The examples are: " + strings.Join(exampleNames(), ", ") + ". Without a name it is quickstart.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return errors.New("init takes the directory to make, after the name of an example if you want another than quickstart: provision init myserver")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			example, dir := "quickstart", args[len(args)-1]
			if len(args) == 2 {
				example = args[0]
			}
			source, err := fs.Sub(examples.FS, example)
			if err == nil {
				_, err = fs.Stat(source, ".")
			}
			if err != nil {
				return fmt.Errorf("there is no example %q.%s There are: %s", example, suggest.DidYouMean(example, exampleNames()), strings.Join(exampleNames(), ", "))
			}
			if info, err := os.Stat(dir); err == nil && !info.IsDir() {
				return fmt.Errorf("%s is a file: name a new directory", dir)
			}
			if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
				return fmt.Errorf("%s is not empty: name a new directory", dir)
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			if err := os.CopyFS(dir, source); err != nil {
				return err
			}
			fmt.Fprintf(c.stdout, "Made %s from the example %s. %s", dir, example, nextCommands(example, shell.Quote(filepath.Clean(dir))))
			return nil
		},
	}
}

// nextCommands says what to do with a new project. The sandbox suits quickstart alone: the others want services and Docker.
func nextCommands(example, dir string) string {
	if example == "quickstart" {
		return "Try it on a throw-away copy of this machine:\n\n  provision apply --sandbox " + dir + "\n"
	}
	if example == "fleet" {
		return fmt.Sprintf("Read its README.md, put in hosts of your own, and then:\n\n"+
			"  provision validate %[1]s    finds mistakes, and touches nothing\n"+
			"  provision hosts %[1]s       the fleet as it is understood\n"+
			"  provision plan %[1]s        shows what it would do\n", dir)
	}
	return fmt.Sprintf("Read its README.md, and then:\n\n"+
		"  provision validate %[1]s    finds mistakes, and touches nothing\n"+
		"  provision test %[1]s        does it to a container that boots, and needs Docker on this machine\n"+
		"  provision plan %[1]s        shows what it would do to your server\n", dir)
}

func exampleNames() []string {
	entries, err := fs.ReadDir(examples.FS, ".")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}
