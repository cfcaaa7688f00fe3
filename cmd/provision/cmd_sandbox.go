package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func (c *cli) sandboxCommand() *cobra.Command {
	var image string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Start a throw-away host and keep it until interrupted",
		Long: `Starts a throw-away host and prints how ssh reaches it. Whatever happens in it is gone when the command is interrupted.

Without --image it is a copy-on-write view of this machine, which needs Linux and nothing else. With --image it is a container
that boots the init of that image, so that services and Docker work in it; that needs Docker on this machine.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			box, err := c.startBox(cmd.Context(), image)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, box.close()) }()
			at := box.reach
			fmt.Fprintf(c.stdout, "ssh -p %d -i %s -o IdentitiesOnly=yes -o UserKnownHostsFile=%s %s@%s\n", at.Port, at.IdentityFiles[0], at.KnownHostsFiles[0], at.User, at.Address)
			for _, note := range box.notes {
				fmt.Fprintln(c.stderr, "Note:", note)
			}
			fmt.Fprintf(c.stderr, "The %s runs until you press Ctrl-C.\n", box.name)
			select {
			case <-cmd.Context().Done():
				return nil
			case <-box.done:
				return errors.New("the sandbox ended by itself")
			}
		},
	}
	cmd.Flags().StringVar(&image, "image", "", "a container of `IMAGE` that boots, in place of a copy of this machine; needs Docker")
	return cmd
}
