package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"provision/internal/inventory"
	"provision/internal/ssh"
	"provision/internal/ui"
)

func (c *cli) trustCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "trust [PATH]",
		Short: "Show the keys of unknown hosts and record them after one confirmation",
		Long: `Asks every host that is not yet known for its key, shows the fingerprint, and records the keys in known_hosts
after one confirmation. Compare the fingerprints with those that the provider's console shows. A host whose key
changed is never recorded. Jump hosts come first, with a confirmation of their own: through them the others are asked.`,
		Args: onePath,
		RunE: func(cmd *cobra.Command, args []string) error { return c.trust(cmd, args, &o) },
	}
	o.variables(cmd.Flags())
	cmd.Flags().StringArrayVar(&o.limit, "limit", nil, "only hosts that match `PATTERN` (repeatable)")
	cmd.Flags().IntVar(&o.parallel, "parallel", 32, "how many hosts at a time")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask: only where nobody can stand between you and the hosts")
	c.complete(cmd)
	return cmd
}

// An unknownHost is a host with the key to be recorded, and where.
type unknownHost struct {
	file string
	key  *ssh.HostKey
}

// A scanned is what became of asking a host for its key: none if it is known already.
type scanned struct {
	unknownHost
	err error
}

// scanAll asks hosts for their keys, parallel at a time. The answers are in the order of the hosts.
func scanAll(ctx context.Context, dialer *ssh.Dialer, targets []ssh.Target, parallel int) []scanned {
	list := make([]scanned, len(targets))
	slots := make(chan struct{}, parallel)
	var all sync.WaitGroup
	for i, t := range targets {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			list[i].unknownHost, list[i].err = scan(ctx, dialer, t)
		})
	}
	all.Wait()
	return list
}

// scan asks one host for its key.
func scan(ctx context.Context, dialer *ssh.Dialer, target ssh.Target) (unknownHost, error) {
	key, err := dialer.Scan(ctx, target)
	if err != nil {
		return unknownHost{}, err
	}
	fresh, err := dialer.Unrecorded(ctx, target, key)
	if err != nil {
		return unknownHost{}, fmt.Errorf("%s: %w", target.Name, err)
	}
	if fresh == nil {
		return unknownHost{}, nil
	}
	file, err := knownHostsFile(target)
	if err == nil {
		err = ssh.Recordable(file)
	}
	if err != nil {
		return unknownHost{}, fmt.Errorf("%s: its key cannot be recorded: %w", target.Name, err)
	}
	return unknownHost{file: file, key: fresh}, nil
}

func (c *cli) trust(cmd *cobra.Command, args []string, o *options) error {
	if err := o.check(); err != nil {
		return err
	}
	ctx := cmd.Context()
	pb, err := c.load(cmd.Context(), pathOf(args), o)
	if err != nil {
		return err
	}
	hosts, _, err := c.choose(ctx, pb, o)
	if err != nil {
		return err
	}
	reach, err := c.newReacher(ctx, pb, hosts, nil, o, nil)
	if err != nil {
		return err
	}
	if err := c.trustJumps(cmd, reach, hosts, o); err != nil {
		return err
	}
	var unknown []unknownHost
	failed := false
	targets := make([]ssh.Target, len(hosts))
	for i, h := range hosts {
		targets[i] = reach.targets[h.Name]
	}
	answers := scanAll(ctx, reach.dialer, targets, o.parallel)
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, found := range answers {
		name := hosts[i].Name
		switch {
		case found.err != nil:
			failed = true
			fmt.Fprintf(c.stderr, "Error: %s\n", c.clean(found.err.Error()))
		case found.key == nil:
			fmt.Fprintf(c.stdout, "%s is known already.\n", ui.Line(name))
		default:
			unknown = append(unknown, found.unknownHost)
			c.showKey(name, found.key)
		}
	}
	if err := c.record(cmd, unknown, o.yes); err != nil {
		return err
	}
	if failed {
		return exitStatus(statusUnreachable)
	}
	return nil
}

// trustJumps has the keys of jump hosts recorded, those nearest first: the hosts behind them cannot be asked before.
func (c *cli) trustJumps(cmd *cobra.Command, reach *reacher, hosts []*inventory.Host, o *options) error {
	for depth := 0; ; depth++ {
		var jumps []ssh.Target
		deeper, seen := false, map[string]bool{}
		for _, h := range hosts {
			way := reach.targets[h.Name].Way()
			if len(way) <= depth {
				continue
			}
			deeper = true
			if jump := way[depth]; !seen[jump.Name] {
				seen[jump.Name] = true
				jumps = append(jumps, jump)
			}
		}
		if !deeper {
			return nil
		}
		var unknown []unknownHost
		// One that cannot be asked is told of with the hosts behind it.
		for i, found := range scanAll(cmd.Context(), reach.dialer, jumps, o.parallel) {
			if found.key != nil {
				unknown = append(unknown, found.unknownHost)
				c.showKey("jump host "+jumps[i].Name, found.key)
			}
		}
		if err := cmd.Context().Err(); err != nil {
			return err
		}
		if err := c.record(cmd, unknown, o.yes); err != nil {
			return err
		}
	}
}

// showKey shows the key of a host that is not known.
func (c *cli) showKey(name string, key *ssh.HostKey) {
	fmt.Fprintf(c.stdout, "%s (%s)\n", ui.Line(name), ui.Line(key.Host))
	fmt.Fprintf(c.stdout, "  %-20s %s\n", key.Type(), key.Fingerprint())
	for _, line := range key.Foreign {
		fmt.Fprintf(c.stdout, "  on record of a type that provision does not know: %s\n", ui.Line(line))
	}
}

func (c *cli) record(cmd *cobra.Command, unknown []unknownHost, yes bool) error {
	if len(unknown) == 0 {
		return nil
	}
	if !yes {
		if !isatty.IsTerminal(c.stdin.Fd()) {
			return errors.New("nothing was recorded: stdin is no terminal to confirm on; pass --yes if nobody can stand between you and the hosts")
		}
		ok, err := c.confirm(cmd.Context(), fmt.Sprintf("Trust %s?", count(len(unknown), "host")))
		if err != nil {
			return err
		}
		if !ok {
			fmt.Fprintln(c.stderr, "Nothing was recorded.")
			return exitStatus(statusFailed)
		}
	}
	var files []string
	keys := map[string][]ssh.HostKey{}
	for _, h := range unknown {
		if keys[h.file] == nil {
			files = append(files, h.file)
		}
		keys[h.file] = append(keys[h.file], *h.key)
	}
	for _, file := range files {
		if err := ssh.Remember(file, keys[file]); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.stdout, "Recorded %s.\n", count(len(unknown), "host"))
	return nil
}

// knownHostsFile is where new keys of a target go.
func knownHostsFile(t ssh.Target) (string, error) {
	switch t.NewKnownHosts {
	case "":
	case "none":
		return "", errors.New("ssh_config says UserKnownHostsFile none: name a file there, or with known_hosts_file in the playbook")
	default:
		return t.NewKnownHosts, nil
	}
	if len(t.KnownHostsFiles) > 0 {
		return t.KnownHostsFiles[0], nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".ssh", "known_hosts"), nil
}
