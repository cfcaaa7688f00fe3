package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"provision/internal/event"
	"provision/internal/steps"
)

// execAddr stands for the command where events name a step.
const execAddr = "run"

const (
	killTenths = 30               // of a second between TERM and KILL
	endTimeout = 15 * time.Second // for a host to say that what was killed has ended
	tailLimit  = 4 << 10          // bytes of output in a Failure; step_output events have all of it
)

// Exec runs one command on every host, in place of Plan and Apply, and Close follows it. It is the nearest to "ssh HOST
// COMMAND" that an event stream allows: one exchange, without facts, without a lock, and not detached. The command is told of
// as a step named "run" that has no place in the playbook.
//
// Stop keeps further hosts from beginning; the end of the context kills what runs on the hosts.
func (r *Run) Exec(ctx context.Context, c *Command) {
	r.began = time.Now()
	r.keepHosts()
	r.emit(&event.RunStart{
		Schema: event.Schema, Command: r.Command, Playbook: r.Playbook, Hosts: len(r.Hosts), Sandbox: r.Sandbox, Version: r.Version,
		Owner: r.Owner, Selection: r.Selection, Argv: c.Argv,
	})
	r.hosts = make([]*hostRun, len(r.Hosts))
	for i := range r.Hosts {
		r.hosts[i] = &hostRun{Host: r.Hosts[i], run: r}
	}
	r.each(ctx, r.hosts, nil, func(h *hostRun) {
		err := h.exec(ctx, c)
		switch {
		case err == nil:
		case ctx.Err() != nil && errors.Is(err, errMaybeBegun):
			h.end(event.HostInterrupted, err.Error())
		case ctx.Err() != nil, errors.Is(err, context.Canceled) && !errors.Is(err, errMaybeBegun): // at a question as well
			h.end(event.HostInterrupted, "interrupted before the command began")
		default:
			h.fail(ctx, err)
		}
	})
}

// exec runs the command on one host. Its error is why the command did not begin; how one that began has ended is told.
func (h *hostRun) exec(ctx context.Context, c *Command) error {
	runAs, root := c.user(&h.Host)
	// As the only step of the host, it decides whether the session becomes root.
	h.instances = []steps.Instance{{Addr: execAddr, Become: root, RunAs: runAs}}
	h.emit(event.HostConnecting{})
	if err := h.connect(ctx); err != nil {
		return err
	}
	x := &execution{host: h, command: c, line: c.shown()}
	err := x.begin(ctx, runAs)
	if h.roundabout(err) {
		err = x.begin(ctx, runAs)
	}
	if err != nil {
		return err
	}
	x.attend(ctx)
	return nil
}

// An execution is a command that has begun on a host.
type execution struct {
	host    *hostRun
	command *Command
	line    string // for people
	session *Session
	shell   shellProcess

	begun sync.Once
	since time.Time

	mu   sync.Mutex
	tail []byte // the end of what it printed, on both streams as it came
}

// begin opens a session and starts the command in it.
func (x *execution) begin(ctx context.Context, runAs string) error {
	h := x.host
	if err := h.open(ctx); err != nil {
		return err
	}
	x.session = h.session
	x.session.stderr.follow(readyMark, func(p []byte) { x.print(event.StreamStderr, p) })
	script := x.command.script(runAs)
	if h.as != "" {
		script = "HOME=~" + h.as + "\ncd 2>/dev/null || cd /\n" + x.command.script("")
	}
	shell, err := x.session.begin(ctx, script, x.command.Input)
	if err != nil {
		return err
	}
	x.shell = shell
	x.begun.Do(x.tellBegin)
	return nil
}

func (x *execution) tellBegin() {
	h := x.host
	x.since = time.Now()
	h.emit(&event.HostConnected{Address: h.Address, User: h.User})
	h.emit(&event.StepStart{Addr: execAddr, Kind: "command", Action: steps.Execute, Source: x.source()})
}

func (x *execution) source() event.Source { return event.Source{Text: x.line} }

// print passes output on as it comes: a sink that is slow slows the host down.
func (x *execution) print(stream string, p []byte) {
	x.begun.Do(x.tellBegin) // stderr may be faster than the mark on stdout
	x.mu.Lock()
	x.tail = append(x.tail, p...)
	if extra := len(x.tail) - tailLimit; extra > 0 {
		x.tail = slices.Clone(x.tail[extra:])
	}
	x.mu.Unlock()
	x.host.emit(&event.StepOutput{Addr: execAddr, Stream: stream, Text: string(p)})
}

// attend waits for the command, kills it if it must, and tells how it ended.
func (x *execution) attend(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		chunk := make([]byte, 32<<10)
		for {
			n, err := x.session.stdout.Read(chunk)
			if n > 0 {
				x.print(event.StreamStdout, chunk[:n])
			}
			if err != nil {
				break
			}
		}
		<-x.session.stderr.ended
	}()
	var expired <-chan time.Time
	if x.command.Timeout > 0 {
		timer := time.NewTimer(x.command.Timeout)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-ended:
		status, err := x.session.process.Wait()
		x.tellEnd(status, err)
	case <-ctx.Done():
		x.tellKilled(event.StepInterrupted, event.HostInterrupted, "", x.kill(ctx, ended))
	case <-expired:
		text := fmt.Sprintf("it had not ended after %s: ", x.command.Timeout)
		x.tellKilled(event.StepFailed, event.HostFailed, text, x.kill(ctx, ended))
	}
}

// kill ends the command with all that it has started, over a session of its own, and waits until the output has ended
// too. The error says that something may go on.
func (x *execution) kill(ctx context.Context, ended <-chan struct{}) error {
	h := x.host
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	err := x.killOnHost(ctx)
	if err == nil {
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			err = errors.New("its output did not end")
		}
	}
	x.session.Close()
	h.close() // nothing is left to read then, whatever the host does
	<-ended
	return err
}

func (x *execution) killOnHost(ctx context.Context) error {
	h := x.host
	if x.shell.pid == "" {
		return errors.New("the host has no /proc to find its processes in")
	}
	conn, err := h.link.await(ctx)
	if err != nil {
		return err
	}
	session, err := OpenSession(ctx, conn, h.privilege())
	if err != nil {
		return err
	}
	defer session.Close()
	_, err = session.Ask(ctx, "", []Fragment{{Text: x.shell.killScript(h.privilege().Method != "")}})
	return err
}

// tellKilled ends a host whose command was killed, or could not be.
func (x *execution) tellKilled(step event.StepStatus, host event.HostStatus, why string, err error) {
	if err == nil {
		x.tell(step, host, &event.Failure{Message: why + "it was killed, with all that it had started"})
		return
	}
	x.tell(step, host, &event.Failure{Message: fmt.Sprintf("%sit could not be killed: %v", why, err), Hint: "it may go on there: look at the host"})
}

// tellEnd ends a host whose command ended by itself, or whose link broke.
func (x *execution) tellEnd(status int, err error) {
	switch {
	case errors.Is(err, ErrUnreachable):
		x.tell(event.StepInterrupted, event.HostUnreached, &event.Failure{
			Message: "the connection was lost while it ran: nobody knows how it ended, or whether it has",
			Hint:    "look at the host; what must outlive a connection belongs into a step of kind command",
		})
	case err != nil:
		x.tell(event.StepFailed, event.HostFailed, &event.Failure{Message: "how it ended is not known: " + err.Error(), Hint: "look at the host"})
	case status != 0:
		f := &event.Failure{Message: fmt.Sprintf("exit status %d", status), Exit: status}
		switch {
		case status == 127:
			f.Hint = "is it installed, and in the PATH of that user? a line of shell is written as: sh -c 'LINE'"
		case status == 126:
			f.Hint = "it is there and cannot be run: look at its mode, and at its first line"
		case status > 128 && status <= 128+64:
			f.Message += fmt.Sprintf(" (signal %d)", status-128)
		}
		x.tell(event.StepFailed, event.HostFailed, f)
	default:
		x.tell(event.StepChanged, event.HostOK, nil)
	}
}

func (x *execution) tell(step event.StepStatus, host event.HostStatus, f *event.Failure) {
	message := ""
	end := &event.StepEnd{
		Addr: execAddr, Kind: "command", Action: steps.Execute, Source: x.source(), Status: step,
		Duration: event.Millis(time.Since(x.since)), Error: f,
	}
	if f != nil {
		message, end.Reason = f.Message, f.Message
		f.Command, f.Output = x.line, strings.TrimRight(string(x.tail), "\n")
	}
	x.host.emit(end)
	x.host.end(host, message)
}
