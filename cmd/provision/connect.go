package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/engine"
	"provision/internal/inventory"
	"provision/internal/playbook"
	"provision/internal/redact"
	"provision/internal/shell"
	"provision/internal/ssh"
	"provision/internal/steps"
)

// A reacher knows how to reach the hosts of a run.
type reacher struct {
	cli     *cli
	path    string // of the playbook, as it was given
	config  *ssh.Config
	inv     *inventory.Inventory
	targets map[string]ssh.Target
	dialer  *ssh.Dialer
	become  func(context.Context) (string, error) // asks for the password of sudo once; nil: it was not asked for
	secret  func(string)                          // is told of what was typed, to be kept out of sight; nil: nothing is shown

	mu      sync.Mutex
	answers map[string]string // to questions, so that each is asked once

	passwords map[string]givenPassword // by user
}

// jumpLinger is how long a connection to a jump host waits for the next host behind it: hosts are connected to again when
// their batch comes.
const jumpLinger = 30 * time.Second

// newReacher resolves every host through the settings of the playbook and ~/.ssh/config.
func (c *cli) newReacher(ctx context.Context, pb *playbook.Playbook, hosts []*inventory.Host, box *box, o *options, secret func(string)) (*reacher, error) {
	r := &reacher{cli: c, secret: secret, inv: pb.Inventory(), targets: map[string]ssh.Target{}, dialer: &ssh.Dialer{Linger: jumpLinger}, answers: map[string]string{}, passwords: map[string]givenPassword{}}
	if o.askBecomePass {
		r.become = func(ctx context.Context) (string, error) { return r.ask(ctx, "Password for sudo: ", r.cli.password) }
		// Asked before anything else, so that nobody has to wait beside the terminal.
		if _, err := r.become(ctx); err != nil {
			return nil, err
		}
	}
	if box != nil {
		r.targets[hosts[0].Name] = box.target(hosts[0].Name)
		return r, nil
	}
	config, err := ssh.LoadConfig()
	if err != nil {
		return nil, err
	}
	r.config = config
	for _, h := range hosts {
		target, err := r.target(ctx, h)
		if errors.Is(err, ssh.ErrConfig) && ctx.Err() == nil { // one host's alone
			target, err = ssh.Target{Name: h.Name, Address: cmp.Or(h.Address, h.Name), Port: cmp.Or(h.Settings.Port, 22), User: h.Settings.User, Refused: err.Error()}, nil
		}
		if err != nil {
			return nil, err
		}
		r.targets[h.Name] = target
	}
	r.tellUnheeded()
	for _, w := range r.dialer.KnownHostsWarnings(slices.Collect(maps.Values(r.targets))...) {
		fmt.Fprintln(c.stderr, "Warning:", c.clean(w))
	}
	return r, nil
}

// tellUnheeded prints what ssh_config says and is not done, each line once however many hosts it is for.
func (r *reacher) tellUnheeded() {
	all := slices.Clone(r.config.Warnings())
	for _, t := range r.targets {
		all = append(all, t.NotDone...)
		if t.Transport == ssh.TransportAuto { // ssh(1) does what they ask for
			continue
		}
		all = append(all, t.Unheeded...)
		for _, hop := range t.Jumps {
			all = append(all, hop.Unheeded...)
		}
	}
	slices.Sort(all)
	for _, line := range slices.Compact(all) {
		fmt.Fprintln(r.cli.stderr, "Warning:", r.cli.clean(line))
	}
}

func (r *reacher) target(ctx context.Context, h *inventory.Host) (ssh.Target, error) {
	s := h.Settings
	over := ssh.Target{Name: h.Name, Address: h.Address, Port: s.Port, User: s.User, ConnectTimeout: s.ConnectTimeout}
	if s.IdentityFile != "" {
		over.IdentityFiles = []string{s.IdentityFile}
	}
	if s.KnownHostsFile != "" {
		over.KnownHostsFiles = []string{s.KnownHostsFile}
	}
	if s.Legacy != nil {
		over.Legacy = *s.Legacy
	}
	if s.Transport != "builtin" {
		over.Transport = ssh.Transport(s.Transport)
	}
	over.Notice = func(text string) { fmt.Fprintf(r.cli.stderr, "%s: %s\n", r.cli.clean(h.Name), r.cli.clean(text)) }
	if s.Password != nil {
		over.Password = func(context.Context) (string, error) { return s.Password.Reveal(), nil }
	}
	if r.cli.canAskForSSH() {
		over.Answer, over.Passphrase = r.answer, r.passphrase
	}
	if s.Jump != nil {
		over.Jumps = []ssh.Target{}
		for _, name := range s.Jump {
			hop := ssh.Target{Name: name}
			if jump := r.inv.Host(name); jump != nil && jump != h {
				resolved, err := r.target(ctx, jump)
				if err != nil {
					return hop, err
				}
				hop = resolved
			}
			over.Jumps = append(over.Jumps, hop)
		}
	}
	name := h.Name
	if h.Address != "" {
		name = h.Address
	}
	target, err := r.config.Resolve(ctx, name, over)
	target.Name = h.Name
	return target, err
}

// answer asks a person what a host asks.
func (r *reacher) answer(ctx context.Context, p ssh.Prompt) (string, error) {
	question := p.User + "@" + p.Host + ": " + r.cli.clean(p.Text) + " "
	switch p.Kind {
	case ssh.PromptPassword:
		return r.askPassword(ctx, p)
	case ssh.PromptCode: // good once: it is no answer to the next one
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.cli.askForSSH(ctx, question)
	}
	return r.ask(ctx, question, r.cli.askForSSH)
}

func (r *reacher) passphrase(ctx context.Context, file string, attempt int) (string, error) {
	question := "Passphrase for " + file + ": "
	if attempt == 1 {
		return r.ask(ctx, question, r.cli.askForSSH)
	}
	r.mu.Lock()
	delete(r.answers, question)
	r.mu.Unlock()
	return r.ask(ctx, question, func(ctx context.Context, _ string) (string, error) {
		return r.cli.askForSSH(ctx, "Passphrase for "+file+" (the last was wrong): ")
	})
}

// ask asks each question once, one at a time.
func (r *reacher) ask(ctx context.Context, question string, by func(context.Context, string) (string, error)) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if answer, ok := r.answers[question]; ok {
		return answer, nil
	}
	answer, err := by(ctx, question)
	if err == nil {
		r.answers[question] = answer
		r.typed(answer)
	}
	return answer, err
}

// host describes a host to the engine, without its steps.
func (r *reacher) host(h *inventory.Host) engine.Host {
	target := r.targets[h.Name]
	become := engine.Become{Method: h.Settings.BecomeMethod, Password: r.become}
	if h.Settings.BecomePassword != nil {
		become.Password = func(context.Context) (string, error) { return h.Settings.BecomePassword.Reveal(), nil }
	}
	return engine.Host{
		Name: h.Name, Address: net.JoinHostPort(target.Address, strconv.Itoa(target.Port)), User: target.User, Become: become,
	}
}

// Dial implements engine.Dialer.
func (r *reacher) Dial(ctx context.Context, name string) (engine.Conn, error) {
	client, err := r.dialer.Dial(ctx, r.targets[name])
	if err != nil {
		return nil, sshError{error: err, host: name, path: r.path}
	}
	return conn{client, r.targets[name], r.dialer}, nil
}

// An sshError is an error of the connection as the engine sees it.
type sshError struct {
	error
	host string // that was to be reached
	path string // of the playbook
}

func (e sshError) Error() string { return e.typed(e.error.Error()) }

// typed makes the commands in a text those that can be typed here.
func (e sshError) typed(text string) string {
	if e.path == "" || e.path == "." {
		return text
	}
	return strings.ReplaceAll(text, "`provision trust`", "`provision trust "+shell.Quote(e.path)+"`")
}

func (e sshError) Is(target error) bool {
	return target == engine.ErrUnreachable && ssh.Unreachable(e.error)
}

func (e sshError) Unwrap() error { return e.error }

// Unreachable gives the parts of the message to the engine's event.
func (e sshError) Unreachable() (phase, message, hint string) {
	var err *ssh.Error
	if errors.As(e.error, &err) {
		message = string(err.Phase) + ": " + err.Err.Error()
		if err.Host != e.host {
			message = "jump host " + err.Host + ": " + message
		}
		return string(err.Phase), message, e.typed(err.Hint)
	}
	return string(ssh.PhaseSession), e.Error(), ""
}

// conn is an SSH connection as the engine wants it. To a host that allows few sessions on a connection (MaxSessions) a
// session too many gets a connection of its own.
type conn struct {
	client *ssh.Client
	target ssh.Target
	dialer *ssh.Dialer
}

func (c conn) Start(ctx context.Context, command string) (*engine.Process, error) {
	p, err := c.client.Start(ctx, command)
	var own *ssh.Client
	if ssh.TooManySessions(err) {
		if own, err = c.dialer.Dial(ctx, c.target); err == nil {
			if p, err = own.Start(ctx, command); err != nil {
				own.Close()
			}
		}
	}
	if err != nil {
		return nil, sshError{error: err, host: c.target.Name}
	}
	wait := func() (int, error) {
		status, err := p.Wait()
		if err != nil {
			return status, sshError{error: err, host: c.target.Name}
		}
		return status, nil
	}
	end := func() error {
		err := p.Close()
		if own != nil {
			err = errors.Join(err, own.Close())
		}
		return err
	}
	return &engine.Process{Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Wait: wait, Close: end, RoundTrip: p.RoundTrip()}, nil
}

func (c conn) Upload(ctx context.Context, path string, mode os.FileMode, size int64, r io.Reader) error {
	err := c.client.Upload(ctx, path, mode, size, r)
	if ssh.TooManySessions(err) { // then nothing of r was read
		var own *ssh.Client
		if own, err = c.dialer.Dial(ctx, c.target); err == nil {
			defer own.Close()
			err = own.Upload(ctx, path, mode, size, r)
		}
	}
	if err != nil {
		return sshError{error: err, host: c.target.Name}
	}
	return nil
}

func (c conn) Close() error { return c.client.Close() }

// Forced is what the engine asks a certified connection.
func (c conn) Forced() string { return c.client.Forced() }

// A hostSource yields the steps of one host to the engine.
type hostSource struct {
	pb      *playbook.Playbook
	host    *inventory.Host
	options *options
	secrets *redact.Secrets
}

func (s hostSource) Steps(facts *steps.Facts, results map[string]cty.Value) ([]steps.Instance, hcl.Diagnostics) {
	instances, diags := s.pb.Chosen(s.host, facts, results, s.options.tagged)
	// Evaluating may have met more secrets, and what comes of them is shown next.
	s.secrets.Add(s.pb.Secrets()...)
	return instances, diags
}
