package engine

import (
	"context"
	"os"
	"strings"
	"testing"

	"provision/internal/event"
)

// sudoHost is a host with a program in front of its PATH that behaves as sudo does: it wants a password, and its shell says that it is root.
type sudoHost struct {
	*localHost
	refuses string // what it says in place of asking; "" to ask
}

// fakeSudo asks up to three times, and counts wrong answers in a file.
const fakeSudo = `#!/bin/sh
case $1 in
-n) shift; refuses='a password is required' ;;
esac
[ -z "$refuses" ] || { echo "sudo: $refuses" >&2; exit 1; }
while [ "$#" -gt 0 ]; do
	case $1 in
	-k | -S) ;;
	-p) ask=$2; shift ;;
	-u) echo "sudo: unknown user $2" >&2; exit 1 ;;
	*) break ;;
	esac
	shift
done
for try in 1 2 3; do
	printf '%s' "$ask" >&2
	IFS= read -r p
	[ "$p" != right ] || LEVEL=root exec "$@"
	echo "$p" >>"$HOME/wrong"
	echo 'Sorry, try again.' >&2
done
exit 1
`

func newSudoHost(t *testing.T, refuses string) sudoHost {
	host := newLocalHost(t)
	text := strings.Replace(fakeSudo, "\n", "\nrefuses='"+strings.ReplaceAll(refuses, "'", `'\''`)+"'\n", 1)
	if err := os.WriteFile(host.path("sudo"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return sudoHost{host, refuses}
}

func (s sudoHost) Dial(ctx context.Context, name string) (Conn, error) {
	c, err := s.localHost.Dial(ctx, name)
	if err != nil {
		return nil, err
	}
	return sudoConn{c.(*localConn)}, nil
}

type sudoConn struct{ *localConn }

func (c sudoConn) Start(ctx context.Context, command string) (*Process, error) {
	as := &localHost{t: c.host.t, home: c.host.home, shell: []string{"/bin/sh", "-c", `PATH=$HOME:$PATH; ` + command}}
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
			host := newSudoHost(t, c.refuses)
			run := commandRun(host, rec, "web1")
			if c.password != "" {
				run.Hosts[0].Become.Password = func(context.Context) (string, error) { return c.password, nil }
			}
			c.command.Argv = []string{"sh", "-c", `echo "[$LEVEL]"; cat >&2`}
			run.Exec(t.Context(), &c.command)
			exit := run.Close()
			got := rec.printed(event.StreamStdout)
			if c.exit != 0 {
				got = rec.printed(event.StreamStderr) + rec.dump()
			}
			if exit != c.exit || !strings.Contains(got, c.want) {
				t.Errorf("exit %d, %q\n%s", exit, got, rec.dump())
			}
			if c.password == "wrong" && host.read("wrong") != "wrong\n" {
				t.Errorf("sudo was given %q", host.read("wrong"))
			}
			if c.exit != 0 && strings.Contains(rec.dump(), "unreachable") {
				t.Errorf("the host was reached:\n%s", rec.dump())
			}
			if in := string(c.command.Input); rec.printed(event.StreamStderr) != in && exit == 0 {
				t.Errorf("the command read %q, want %q", rec.printed(event.StreamStderr), in)
			}
			if strings.Contains(rec.dump(), c.password) && c.password != "" {
				t.Errorf("the password is told:\n%s", rec.dump())
			}
		})
	}
}
