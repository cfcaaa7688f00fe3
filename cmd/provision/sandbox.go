package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"provision/internal/sandbox"
)

func (c *cli) sandboxCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sandbox",
		Short: "Start a throw-away host and keep it until interrupted",
		Long: `Starts a copy-on-write view of this machine behind a real SSH connection on loopback, and prints how to reach it.
Whatever happens in it is gone when the command is interrupted.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			box, err := sandbox.Start(cmd.Context(), sandbox.Options{})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, box.Close()) }()
			fmt.Fprintf(c.stdout, "ssh -p %d -i %s -o IdentitiesOnly=yes -o UserKnownHostsFile=%s %s@%s\n", box.Port, box.IdentityFile, box.KnownHostsFile, box.User, box.Address)
			for _, note := range box.Notes {
				fmt.Fprintln(c.stderr, "Note:", note)
			}
			fmt.Fprintln(c.stderr, "The sandbox runs until you press Ctrl-C.")
			select {
			case <-cmd.Context().Done():
				return nil
			case <-box.Done():
				return errors.New("the sandbox ended by itself")
			}
		},
	}
}
