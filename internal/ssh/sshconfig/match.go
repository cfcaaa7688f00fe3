package sshconfig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
)

// A guard decides whether a block applies.
type guard interface {
	matches(*evaluation) (bool, error)
}

// A hostGuard holds the patterns of a Host line.
type hostGuard []string

func (g hostGuard) matches(e *evaluation) (bool, error) {
	found := false
	for _, pattern := range g {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if MatchPattern(e.host, pattern) {
			if negated {
				return false, nil
			}
			found = true
		}
	}
	return found, nil
}

// A matchGuard holds the criteria of a Match line, all of which must hold.
type matchGuard []criterion

type criterion struct {
	name    string
	negated bool
	arg     string
}

// openSSH is the release that Match version compares with.
const openSSH = "OpenSSH_10.6"

// parseMatch reads the criteria of a Match line. OpenSSH 10 splits them as it does other words, and takes "criterion=argument";
// older ones also take "criterion = argument".
func parseMatch(words []string) (matchGuard, error) {
	var g matchGuard
	for i := 0; i < len(words); i++ {
		name, negated := strings.CutPrefix(words[i], "!")
		name, arg, given := strings.Cut(name, "=")
		c := criterion{name: strings.ToLower(name), negated: negated, arg: arg}
		switch c.name {
		case "all":
			// ssh lets one criterion stand before it, meant for canonical and final.
			if len(g) > 1 || i+1 < len(words) {
				return nil, errors.New("all cannot be combined with other criteria of Match")
			}
		case "canonical", "final":
		case "host", "originalhost", "user", "localuser", "localnetwork", "tagged", "exec", "version", "sessiontype", "command":
			if !given {
				if i+2 < len(words) && words[i+1] == "=" {
					i++
				}
				if i++; i >= len(words) {
					return nil, fmt.Errorf("the argument of %s is missing", c.name)
				}
				c.arg = words[i]
			}
			if c.arg == "" && c.name != "tagged" && c.name != "command" {
				return nil, fmt.Errorf("the argument of %s is empty", c.name)
			}
			if c.name == "localnetwork" {
				if _, err := parseNetworks(c.arg); err != nil {
					return nil, err
				}
			}
		default:
			return nil, fmt.Errorf("%q is no criterion of Match", name)
		}
		g = append(g, c)
	}
	if len(g) == 0 {
		return nil, errors.New("a Match line needs a criterion")
	}
	return g, nil
}

func (g matchGuard) matches(e *evaluation) (bool, error) {
	for _, c := range g {
		yes, err := c.holds(e)
		if err != nil {
			return false, err
		}
		if yes == c.negated {
			return false, nil
		}
	}
	return true, nil
}

func (c criterion) holds(e *evaluation) (bool, error) {
	switch c.name {
	case "all":
		return true, nil
	case "canonical", "final":
		return e.final, nil
	case "host":
		host, err := e.hostNow()
		return err == nil && MatchList(strings.ToLower(host), c.arg, true), err
	case "originalhost":
		return MatchList(strings.ToLower(e.query.Host), c.arg, true), nil
	case "user":
		return MatchList(e.userNow(), c.arg, false), nil
	case "localuser":
		return MatchList(localUser(), c.arg, false), nil
	case "localnetwork":
		return onNetwork(c.arg)
	case "tagged":
		return matchSet(e.settings.Text("tag"), c.arg), nil
	case "version":
		return MatchList(openSSH, c.arg, false), nil
	case "sessiontype":
		return MatchList(e.sessionNow(), c.arg, false), nil
	case "command":
		return matchSet(e.query.Command, c.arg), nil
	}
	return e.exec(c.arg)
}

// matchSet is for what may not be set: then the empty argument alone matches it, and * does not.
func matchSet(s, list string) bool {
	if s == "" {
		return list == ""
	}
	return MatchList(s, list, false)
}

// sessionNow is the type of the session: what the query says, else what the files have set so far.
func (e *evaluation) sessionNow() string {
	set := strings.ToLower(e.settings.Text("sessiontype"))
	switch {
	case e.query.NoSession:
		return "none"
	case set == "none", set == "subsystem":
		return set
	case e.query.Command == "":
		return "shell"
	}
	return "exec"
}

// parseNetworks reads the list of Match localnetwork. As with ssh (addrmatch.c), an address has no bits outside of its mask.
func parseNetworks(list string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for text := range strings.SplitSeq(list, ",") {
		network, err := netip.ParsePrefix(text)
		if address, other := netip.ParseAddr(text); other == nil {
			network, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("localnetwork: %q is no network such as 192.0.2.0/24", text)
		case network != network.Masked():
			return nil, fmt.Errorf("localnetwork: %q has bits outside of its mask: write %s", text, network.Masked())
		}
		all = append(all, network)
	}
	return all, nil
}

// onNetwork reports whether an address of this machine is in one of the networks of a list.
func onNetwork(list string) (bool, error) {
	networks, err := parseNetworks(list)
	if err != nil {
		return false, err
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false, nil //nolint:nilerr // no address is on any network
	}
	for _, network := range networks {
		for _, a := range addresses {
			if ip, ok := a.(*net.IPNet); ok {
				if address, ok := netip.AddrFromSlice(ip.IP); ok && network.Contains(address.Unmap()) {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// exec runs the command of Match exec, as ssh does: with the user's shell, without input and output. The same command is run
// once for a Config.
func (e *evaluation) exec(text string) (bool, error) {
	tokens, err := e.tokensNow()
	if err != nil {
		return false, err
	}
	command, err := tokens.Expand(text)
	if err != nil {
		return false, fmt.Errorf("match exec: %w", err)
	}
	return e.config.runs(e.ctx, command)
}

// tokensNow are the tokens as far as they are known.
func (e *evaluation) tokensNow() (Tokens, error) {
	host, err := e.hostNow()
	if err != nil {
		return Tokens{}, err
	}
	t := Tokens{Name: e.query.Host, Host: host, User: e.userNow(), Key: e.settings.Text("hostkeyalias"), Port: e.settings.Text("port")}
	if v, set := e.settings.First("proxyjump"); set && v.Text() != "none" {
		t.Jump = strings.Join(v.Words, ",")
	}
	return t, nil
}

func (c *Config) runs(ctx context.Context, command string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if yes, known := c.ran[command]; known {
		return yes, nil
	}
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	cmd := exec.CommandContext(ctx, shell, "-c", command)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		return false, fmt.Errorf("match exec %q: %w", command, errors.Join(err, ctx.Err()))
	}
	if c.ran == nil {
		c.ran = map[string]bool{}
	}
	c.ran[command] = err == nil
	return err == nil, nil
}
