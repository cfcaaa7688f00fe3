package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/mattn/go-isatty"

	"provision/internal/ssh"
)

// defaultAskpass is the program that ssh asks with where SSH_ASKPASS names none.
const defaultAskpass = "/usr/bin/ssh-askpass"

// askpass is the program that asks what ssh would ask; "" where the terminal is to be asked. It is chosen as ssh does (ssh(1), SSH_ASKPASS_REQUIRE).
// One that the environment names is tried even if it is not there: as with ssh, nothing else asks in its place.
func (c *cli) askpass() string {
	display := c.getenv("DISPLAY") != "" || c.getenv("WAYLAND_DISPLAY") != ""
	use, may, named := !c.onTerminal(), display, c.getenv("SSH_ASKPASS") != ""
	switch strings.ToLower(c.getenv("SSH_ASKPASS_REQUIRE")) {
	case "force":
		use, may, named = true, true, true
	case "prefer":
		use = use || display
	case "never":
		may = false
	}
	program := cmp.Or(c.getenv("SSH_ASKPASS"), defaultAskpass)
	if _, err := exec.LookPath(program); !use || !may || err != nil && !named {
		return ""
	}
	return program
}

func (c *cli) onTerminal() bool { return isatty.IsTerminal(c.stdin.Fd()) }

// canAskForSSH reports whether there is somebody to answer what ssh would ask.
func (c *cli) canAskForSSH() bool { return c.onTerminal() || c.askpass() != "" }

// askForSSH asks what ssh would ask, without showing the answer.
func (c *cli) askForSSH(ctx context.Context, question string) (string, error) {
	program := c.askpass()
	if program == "" {
		return c.password(ctx, question)
	}
	cmd := exec.CommandContext(ctx, program, question)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var ended *exec.ExitError
	question = strings.TrimRight(question, ": ")
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.As(err, &ended): // such as by a press on Cancel
		return "", fmt.Errorf("%s: %w: %s: %w", question, ssh.ErrNoAnswer, program, err)
	case err != nil:
		return "", fmt.Errorf("%s: %w, since the program of SSH_ASKPASS cannot be run: %w", question, ssh.ErrNoAnswer, err)
	}
	answer, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSuffix(answer, "\r"), nil
}

// A givenPassword is what a person has typed for one host.
type givenPassword struct {
	host, password string
	forAll         bool // the person said that it is that of the other hosts, too
}

// askPassword asks a person for the password of an account. Nothing that was typed for one host is given to another unless the person
// says so, which holds for the rest of the run then.
func (r *reacher) askPassword(ctx context.Context, p ssh.Prompt) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	question := p.User + "@" + r.cli.clean(p.Host) + "'s password"
	before, known := r.passwords[p.User]
	if p.Attempt <= 1 && known {
		if before.forAll {
			return before.password, nil
		}
		question += ", or Enter to give that of " + before.host + " to all that ask for " + p.User + "'s"
	} else if p.Attempt > 1 {
		question += " (the last was wrong)"
	}
	answer, err := r.cli.askForSSH(ctx, question+": ")
	switch {
	case err != nil:
		return "", err
	case answer == "" && p.Attempt <= 1 && known:
		before.forAll = true
		r.passwords[p.User] = before
		return before.password, nil
	case answer == "":
		return "", errors.New("no password was given")
	}
	r.typed(answer)
	if !before.forAll {
		r.passwords[p.User] = givenPassword{host: p.Host, password: answer}
	}
	return answer, nil
}

// typed keeps what was typed out of sight. The mutex is held.
func (r *reacher) typed(answer string) {
	if r.secret != nil {
		r.secret(answer)
	}
}
