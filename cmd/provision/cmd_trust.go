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
changed is never recorded.`,
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

// scanAll asks the hosts for their keys, parallel at a time. The answers are in the order of the hosts.
func scanAll(ctx context.Context, reach *reacher, hosts []*inventory.Host, parallel int) []scanned {
	list := make([]scanned, len(hosts))
	slots := make(chan struct{}, parallel)
	var all sync.WaitGroup
	for i, h := range hosts {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			list[i].unknownHost, list[i].err = reach.scan(ctx, h)
		})
	}
	all.Wait()
	return list
}

// scan asks one host for its key.
func (r *reacher) scan(ctx context.Context, h *inventory.Host) (unknownHost, error) {
	target := r.targets[h.Name]
	key, err := r.dialer.Scan(ctx, target)
	if err != nil {
		return unknownHost{}, err
	}
	fresh, err := r.dialer.Unrecorded(ctx, target, key)
	if err != nil {
		return unknownHost{}, fmt.Errorf("%s: %w", h.Name, err)
	}
	if fresh == nil {
		return unknownHost{}, nil
	}
	file, err := knownHostsFile(target)
	if err == nil {
		err = ssh.Recordable(file)
	}
	if err != nil {
		return unknownHost{}, fmt.Errorf("%s: its key cannot be recorded: %w", h.Name, err)
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
	var unknown []unknownHost
	failed := false
	answers := scanAll(ctx, reach, hosts, o.parallel)
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
			fmt.Fprintf(c.stdout, "%s (%s)\n", ui.Line(name), ui.Line(found.key.Host))
			fmt.Fprintf(c.stdout, "  %-20s %s\n", found.key.Type(), found.key.Fingerprint())
			for _, line := range found.key.Foreign {
				fmt.Fprintf(c.stdout, "  on record of a type that provision does not know: %s\n", ui.Line(line))
			}
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
