package main

import (
	"context"
	"fmt"

	"provision/internal/container"
	"provision/internal/playbook"
	"provision/internal/sandbox"
	"provision/internal/ssh"
)

// A box is a throw-away host: a sandbox, or a container that boots.
type box struct {
	name  string // "sandbox" or "container"
	reach ssh.Target
	notes []string
	done  <-chan struct{} // closed when it ended by itself; nil: it does not

	close     func() error
	container *container.Container // nil: it is a sandbox
}

// startBox starts a container of an image, or a sandbox where the image is empty. Whoever asked closes it.
func (c *cli) startBox(ctx context.Context, image string) (*box, error) {
	if image == "" {
		s, err := sandbox.Start(ctx, sandbox.Options{})
		if err != nil {
			return nil, err
		}
		at := ssh.Target{Address: s.Address, Port: s.Port, User: s.User, IdentityFiles: []string{s.IdentityFile}, KnownHostsFiles: []string{s.KnownHostsFile}}
		return &box{name: "sandbox", reach: at, notes: s.Notes, done: s.Done(), close: s.Close}, nil
	}
	s, err := container.Start(ctx, container.Options{Image: image, Tell: func(what string) { fmt.Fprintln(c.stderr, c.clean(what)) }})
	if err != nil {
		return nil, err
	}
	at := ssh.Target{Address: s.Address, Port: s.Port, User: s.User, IdentityFiles: []string{s.IdentityFile}, KnownHostsFiles: []string{s.KnownHostsFile}}
	return &box{name: "container", reach: at, notes: s.Notes, close: s.Close, container: s}, nil
}

// target is how a host that the box stands for is reached: by the box's own key, whatever the user's settings say.
func (b *box) target(name string) ssh.Target {
	t := b.reach
	t.Name, t.IdentitiesOnly, t.AgentSocket = name, true, "none"
	return t
}

// imageFor is the image of the throw-away host: that of the flag, in a test else that of the playbook; "" for the sandbox.
func (o *options) imageFor(pb *playbook.Playbook) string {
	if o.image == "" && o.test {
		return pb.Test().Image
	}
	return o.image
}
