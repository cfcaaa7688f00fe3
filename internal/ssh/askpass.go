package ssh

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// askpassVariable names the socket on which a process that ssh(1) has started to ask something reaches the one that wants to
// connect.
const askpassVariable = "PROVISION_ASKPASS"

// MaybeAskpass does not return in a process that ssh(1) has started as its SSH_ASKPASS: it passes the question on, and prints the
// answer. Call it first in main.
func MaybeAskpass() {
	socket := os.Getenv(askpassVariable)
	if socket == "" {
		return
	}
	answer, err := passOn(socket, os.Getenv("SSH_ASKPASS_PROMPT"), strings.Join(os.Args[1:], " "))
	if err != nil {
		os.Exit(1)
	}
	fmt.Println(answer)
	os.Exit(0)
}

func passOn(socket, kind, question string) (string, error) {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	if _, err := fmt.Fprintf(nc, "%s\n%s", kind, question); err != nil {
		return "", err
	}
	if err := nc.(*net.UnixConn).CloseWrite(); err != nil {
		return "", err
	}
	reply, err := io.ReadAll(nc)
	if err != nil {
		return "", err
	}
	answer, ok := strings.CutPrefix(string(reply), "=")
	if !ok {
		return "", errors.New("no answer")
	}
	return answer, nil
}

// An askpass answers what ssh(1) asks while it logs in.
type askpass struct {
	ctx    context.Context
	target Target
	watch  *watchdog
	giveUp func() // gives up; without an answer ssh would try an empty one
	listen net.Listener
	served sync.WaitGroup

	mu      sync.Mutex
	given   bool  // the password
	refusal error // why the last question was not answered
}

func newAskpass(ctx context.Context, t Target, watch *watchdog, giveUp func(), socket string) (*askpass, error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	a := &askpass{ctx: ctx, target: t, watch: watch, giveUp: giveUp, listen: l}
	a.served.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			a.served.Go(func() { a.serve(nc) })
		}
	})
	return a, nil
}

// close ends the asking, and returns why a question had no answer. It is safe to call twice.
func (a *askpass) close() error {
	_ = a.listen.Close()
	a.served.Wait()
	return a.refusal
}

func (a *askpass) serve(nc net.Conn) {
	defer nc.Close()
	in := bufio.NewReader(io.LimitReader(nc, 64<<10))
	kind, err := in.ReadString('\n')
	if err != nil {
		return
	}
	question, err := io.ReadAll(in)
	if err != nil {
		return
	}
	defer a.watch.pause()()
	answer, err := a.answer(strings.TrimSpace(kind), string(question))
	if err != nil {
		a.mu.Lock()
		a.refusal = err
		a.mu.Unlock()
		a.giveUp()
		return
	}
	_, _ = io.WriteString(nc, "="+answer)
}

var (
	opensshPassphrase = regexp.MustCompile(`^Enter passphrase for (?:key )?'?(.+?)'?: ?$`)
	opensshPassword   = regexp.MustCompile(`^(\S+)@(\S+)'s password: ?$`)
	opensshPrefix     = regexp.MustCompile(`^\(([^()\s]+)@([^()\s]+)\) `)
)

// answer gives the answer to a question in the words of OpenSSH. Its kind is that of SSH_ASKPASS_PROMPT.
func (a *askpass) answer(kind, question string) (string, error) {
	text := strings.TrimSpace(question)
	switch kind {
	case "none": // a notice: the key has to be touched. ssh ends this process when it was.
		if a.target.Notice != nil {
			a.target.Notice(text)
		}
		return "", nil
	case "confirm":
		return "", fmt.Errorf("ssh asks %q: answer it in a terminal, with ssh", text)
	}
	if m := opensshPassphrase.FindStringSubmatch(question); m != nil {
		if a.target.Passphrase == nil {
			return "", fmt.Errorf("ssh asks %q, and nobody is there to answer", text)
		}
		return a.target.Passphrase(a.ctx, m[1], 1)
	}
	p := Prompt{Host: a.target.Name, User: a.target.User, Text: strings.TrimSpace(opensshPrefix.ReplaceAllString(question, ""))}
	p.Kind = promptKind(p.Text)
	who := opensshPrefix.FindStringSubmatch(question)
	if m := opensshPassword.FindStringSubmatch(question); m != nil {
		who, p.Kind = m, PromptPassword
	}
	// A jump host may ask as well, and is never given what is the target's.
	own := a.target.ProxyCommand == "" && len(a.target.Jumps) == 0
	if who != nil {
		own = who[1] == a.target.User && slices.Contains([]string{a.target.Address, a.target.Name, a.target.HostKeyAlias}, who[2])
		p.User = who[1]
		if !own {
			p.Host = who[2]
		}
	}
	a.mu.Lock()
	given := a.given && own
	a.given = a.given || own && p.Kind == PromptPassword
	a.mu.Unlock()
	switch {
	case p.Kind == PromptNewPassword, p.Kind == PromptConfirm:
		return "", p.expired()
	case p.Kind == PromptPassword && given:
		return "", fmt.Errorf("the host asks %q once more: the password is wrong", p.Text)
	case own && p.Kind == PromptPassword && a.target.Password != nil:
		return a.target.Password(a.ctx)
	case a.target.Answer == nil:
		return "", fmt.Errorf("the host asks %q, and nobody is there to answer", p.Text)
	}
	return a.target.Answer(a.ctx, p)
}
