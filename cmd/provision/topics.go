package main

import (
	"embed"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed help
var helpTexts embed.FS

// helpText returns a page of provision help.
func helpText(name string) string {
	text, err := helpTexts.ReadFile("help/" + name + ".txt")
	if err != nil {
		panic(err) // it is built in
	}
	return strings.TrimSuffix(string(text), "\n")
}

// topics are the pages of provision help that belong to no command.
func topics() []*cobra.Command {
	topic := func(name, short string) *cobra.Command {
		return &cobra.Command{Use: name, Short: short, Long: helpText(name)}
	}
	return []*cobra.Command{
		topic("exit-codes", "What the exit statuses mean"),
		topic("variables", "Where the values of variables come from"),
		topic("secrets", "Where secrets come from, and where they are hidden"),
	}
}
