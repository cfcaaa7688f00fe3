package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// sudoHost is a host with something that behaves as sudo does: it wants a password, and its shell says that it is root.
type sudoHost struct {
	*localHost
	refuses string // what it says in place of asking; "" to ask
}

func (s sudoHost) Dial(ctx context.Context, name string) (Conn, error) {
	c, err := s.localHost.Dial(ctx, name)
	if err != nil {
		return nil, err
	}
	return sudoConn{c.(*localConn), s.refuses}, nil
}

type sudoConn struct {
	*localConn
	refuses string
}

func (c sudoConn) Start(ctx context.Context, command string) (*Process, error) {
	sh := map[string]string{
		plainCommand: "exec sh",
		sudoCommand:  "echo 'sudo: a password is required' >&2; exit 1",
		sudoPasswordCommand: `printf provision-password: >&2; IFS= read -r p
[ "$p" = right ] || { echo 'sudo: 1 incorrect password attempt' >&2; exit 1; }
LEVEL=root sh`,
	}
	if c.refuses != "" {
		sh[sudoCommand] = "echo '" + c.refuses + "' >&2; exit 1"
	}
	text, ok := sh[command]
	if !ok {
		return nil, fmt.Errorf("unexpected command %q", command)
	}
	as := &localHost{t: c.host.t, home: c.host.home, shell: []string{"/bin/sh", "-c", text}}
	p, err := (&localConn{host: as}).Start(ctx, plainCommand)
	if err == nil {
		// As with SSH, what was printed stays there to be read.
		p.Close = p.Stdin.Close
	}
	return p, err
}

func TestExecBecomes(t *testing.T) {
	cases := map[string]struct {
		command  Command
		password string // "" where nobody can be asked
		refuses  string
		exit     int
		want     string // printed, or the message of the host
	}{
		"not asked for":    {command: Command{}, password: "right", want: "[]"},
		"with a password":  {command: Command{Become: map[string]bool{"web1": true}}, password: "right", want: "[root]"},
		"with input":       {command: Command{Become: map[string]bool{"web1": true}, Input: []byte("data")}, password: "right", want: "[root]"},
		"another host":     {command: Command{Become: map[string]bool{"web2": true}}, password: "right", want: "[]"},
		"as root":          {command: Command{RunAs: "root"}, password: "right", want: "[root]"},
		"as who logs in":   {command: Command{RunAs: "app", Become: map[string]bool{"web1": true}}, password: "right", want: "[]"},
		"wrong password":   {command: Command{RunAs: "root"}, password: "wrong", exit: 1, want: "the password was not accepted"},
		"nobody to ask":    {command: Command{RunAs: "root"}, exit: 1, want: "--ask-become-pass"},
		"not in sudoers":   {command: Command{RunAs: "root"}, password: "right", refuses: "app is not in the sudoers file", exit: 1, want: "not in the sudoers"},
		"somebody unknown": {command: Command{RunAs: "no-such-user"}, password: "right", exit: 1, want: "no-such-user"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rec := &recorder{}
			run := commandRun(sudoHost{newLocalHost(t), c.refuses}, rec, "web1")
			if c.password != "" {
				run.Hosts[0].Become.Password = func(context.Context) (string, error) { return c.password, nil }
			}
			c.command.Argv = []string{"sh", "-c", `echo "[$LEVEL]"; cat >&2`}
			run.Exec(t.Context(), &c.command)
			exit := run.Close()
			got := rec.printed(StreamStdout)
			if c.exit != 0 {
				got = rec.printed(StreamStderr) + rec.dump()
			}
			if exit != c.exit || !strings.Contains(got, c.want) {
				t.Errorf("exit %d, %q\n%s", exit, got, rec.dump())
			}
			if c.exit != 0 && strings.Contains(rec.dump(), "unreachable") {
				t.Errorf("the host was reached:\n%s", rec.dump())
			}
			if in := string(c.command.Input); rec.printed(StreamStderr) != in && exit == 0 {
				t.Errorf("the command read %q, want %q", rec.printed(StreamStderr), in)
			}
			if strings.Contains(rec.dump(), c.password) && c.password != "" {
				t.Errorf("the password is told:\n%s", rec.dump())
			}
		})
	}
}
