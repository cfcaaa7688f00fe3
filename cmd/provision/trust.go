package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"provision/internal/ssh"
	"provision/internal/ui"
)

func (c *cli) trustCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "trust [PATH]",
		Short: "Show the keys of unknown hosts and record them after one confirmation",
		Long: `Asks every host that is not yet known for its keys, shows their fingerprints, and records them in known_hosts
after one confirmation. Compare the fingerprints with those that the provider's console shows. A host whose key
changed is never recorded.`,
		Args: onePath,
		RunE: func(cmd *cobra.Command, args []string) error { return c.trust(cmd, args, &o) },
	}
	o.variables(cmd.Flags())
	cmd.Flags().StringArrayVar(&o.limit, "limit", nil, "only hosts that match `PATTERN` (repeatable)")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask: only where nobody can stand between you and the hosts")
	c.complete(cmd)
	return cmd
}

// unknownHost is a host with keys to be recorded.
type unknownHost struct {
	name, file string
	keys       []ssh.HostKey
}

func (c *cli) trust(cmd *cobra.Command, args []string, o *options) error {
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
	for _, h := range hosts {
		target := reach.targets[h.Name]
		keys, err := ssh.Scan(ctx, target)
		if err != nil {
			failed = true
			fmt.Fprintf(c.stderr, "Error: %s\n", c.clean(err.Error()))
			continue
		}
		file, err := knownHostsFile(target)
		if err != nil {
			return err
		}
		fresh, err := ssh.Unrecorded(target, keys)
		if err != nil {
			failed = true
			fmt.Fprintf(c.stderr, "Error: %s: %s\n", h.Name, c.clean(err.Error()))
			continue
		}
		if len(fresh) == 0 {
			fmt.Fprintf(c.stdout, "%s is known already.\n", ui.Line(h.Name))
			continue
		}
		unknown = append(unknown, unknownHost{name: h.Name, file: file, keys: fresh})
		fmt.Fprintf(c.stdout, "%s (%s)\n", ui.Line(h.Name), ui.Line(fresh[0].Host))
		for _, k := range fresh {
			fmt.Fprintf(c.stdout, "  %-20s %s\n", k.Type(), k.Fingerprint())
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
	for _, h := range unknown {
		if err := ssh.Remember(h.file, h.keys); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.stdout, "Recorded %s.\n", count(len(unknown), "host"))
	return nil
}

// knownHostsFile is where new keys of a target go.
func knownHostsFile(t ssh.Target) (string, error) {
	if len(t.KnownHostsFiles) > 0 {
		return t.KnownHostsFiles[0], nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".ssh", "known_hosts"), nil
}
