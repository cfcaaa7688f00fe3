package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

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
				return c.bashCompletion(root)
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

// bashCompletion prints cobra's script, made to accept what it would escape. It compares what is typed with escaped candidates, so
// that "web,d" never becomes web,db1: printf %q of bash writes the comma as \, and the mark of exclusion as \!.
func (c *cli) bashCompletion(root *cobra.Command) error {
	var script bytes.Buffer
	if err := root.GenBashCompletionV2(&script, true); err != nil {
		return err
	}
	const escaped, both = `[[ $comp == "$cur"* ]] || continue`, `[[ $comp == "$cur"* || ${compline%%$tab*} == "$cur"* ]] || continue`
	_, err := c.stdout.Write(bytes.Replace(script.Bytes(), []byte(escaped), []byte(both), 1))
	return err
}

// complete completes flags from the playbook that the command line names: hosts and groups for --limit, tags for
// --tags and --skip-tags.
func (c *cli) complete(cmd *cobra.Command) {
	const files = cobra.ShellCompDirectiveDefault
	const closed, open = cobra.ShellCompDirectiveNoFileComp, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)
	limit := func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		before, item := lastItem(word)
		if strings.HasPrefix(item, "@") || strings.HasPrefix(item, "!@") {
			return nil, files
		}
		return patterns(playbookAt(cmd, args), before, item), open
	}
	tags := func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		before, _ := lastItem(word)
		var list []string
		for _, tag := range playbookAt(cmd, args).Tags() {
			list = append(list, before+tag)
		}
		return list, closed
	}
	for flag, list := range map[string]completion{"limit": limit, "tags": tags, "skip-tags": tags} {
		if cmd.Flags().Lookup(flag) != nil {
			// It fails only for flags that do not exist.
			_ = cmd.RegisterFlagCompletionFunc(flag, list)
		}
	}
}

// playbookAt is the playbook of a command line that is being typed. What is wrong in it does not hide the hosts and tags that
// can be read.
func playbookAt(cmd *cobra.Command, args []string) *playbook.Playbook {
	ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second) // an inventory may ask a program
	defer cancel()
	given := map[string]string{}
	if vars, err := cmd.Flags().GetStringArray("var"); err == nil {
		for _, v := range vars {
			name, value, _ := strings.Cut(v, "=")
			given[name] = value
		}
	}
	files, _ := cmd.Flags().GetStringArray("var-file") // a command without the flag has none
	pb, _ := playbook.Load(ctx, pathOf(args), playbook.Options{Vars: given, VarFiles: files, Environ: os.Environ(), Shipped: playbooks.FS})
	return pb
}

// patterns completes the last item of a value of --limit: groups and hosts, each with what it stands for, and the mark
// that excludes them.
func patterns(pb *playbook.Playbook, before, item string) []string {
	inv := pb.Inventory()
	mark := ""
	if strings.HasPrefix(item, "!") {
		mark = "!"
	}
	var list []string
	add := func(name, what string) { list = append(list, before+mark+name+"\t"+what) }
	for _, g := range inv.Groups() {
		add(g, "group of "+count(len(inv.In(g)), "host"))
	}
	for _, h := range inv.Hosts() {
		add(h.Name, "host "+strings.Join(slices.Concat([]string{h.Address}, h.Groups), " "))
	}
	if mark == "" {
		list = append(list, before+"!\texclude a host or group")
	}
	return list
}

// lastItem parts a list with commas before the item that is being typed.
func lastItem(word string) (before, item string) {
	at := strings.LastIndexByte(word, ',') + 1
	return word[:at], word[at:]
}
