package ssh

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kevinburke/ssh_config"
)

// maxJumps bounds a chain of jump hosts, so that hosts that name each other end in an error.
const maxJumps = 16

// A Config is what ssh_config files say about hosts. A nil Config says nothing.
type Config struct {
	files []*ssh_config.Config // the first one that sets a value wins

	// Set where a file has what the library cannot read: then the real ssh is asked about each host.
	ssh     string   // path of the ssh binary
	sshArgs []string // "-F", FILE where files were named
	mu      sync.Mutex
	cache   map[string]*settings // what ssh -G said, by host
}

// LoadConfig reads ssh_config files, by default ~/.ssh/config and /etc/ssh/ssh_config; one that does not exist is empty.
// Where a file has a form of Match that the library cannot read, `ssh -G` answers for each host instead; without an ssh
// binary that is an error naming the file.
func LoadConfig(files ...string) (*Config, error) {
	c := &Config{cache: map[string]*settings{}}
	named := len(files) > 0
	if !named {
		files = []string{inHome(".ssh/config"), "/etc/ssh/ssh_config"}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("ssh config: %w", err)
		}
		parsed, err := ssh_config.DecodeBytes(text)
		if err == nil {
			c.files = append(c.files, parsed)
			continue
		}
		binary, lookErr := exec.LookPath("ssh")
		if lookErr != nil || (named && len(files) > 1) {
			return nil, fmt.Errorf("ssh config: %s: %w; simplify that part, or install OpenSSH's ssh, which is asked instead", file, err)
		}
		c.ssh = binary
		if named {
			c.sshArgs = []string{"-F", file}
		}
		return c, nil
	}
	return c, nil
}

// settings are the values for one host, keys in lower case.
type settings struct{ values map[string][]string }

func (s *settings) get(key string) string {
	if v := s.values[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// keywords are what is taken from the files.
func keywords() []string {
	return []string{
		"hostname", "user", "port", "identityfile", "identitiesonly", "identityagent", "proxyjump", "proxycommand",
		"userknownhostsfile", "globalknownhostsfile", "hostkeyalias", "connecttimeout", "serveraliveinterval",
	}
}

// lookup finds what the files say about a name.
func (c *Config) lookup(ctx context.Context, name string) (*settings, error) {
	if c == nil {
		return &settings{}, nil
	}
	if c.ssh != "" {
		return c.ask(ctx, name)
	}
	s := &settings{values: map[string][]string{}}
	for _, file := range c.files {
		for _, key := range keywords() {
			if len(s.values[key]) > 0 && key != "identityfile" {
				continue
			}
			all, err := file.GetAll(name, key)
			if err != nil {
				return nil, fmt.Errorf("ssh config: %s of %s: %w", key, name, err)
			}
			s.values[key] = append(s.values[key], all...)
		}
	}
	return s, nil
}

// ask lets ssh itself evaluate the files: `ssh -G` prints what it would use, and connects to nothing.
func (c *Config) ask(ctx context.Context, name string) (*settings, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.cache[name]; s != nil {
		return s, nil
	}
	if name == "" || name[0] == '-' {
		return nil, fmt.Errorf("ssh config: %q is no host name", name)
	}
	cmd := exec.CommandContext(ctx, c.ssh, append(slices.Clone(c.sshArgs), "-G", "--", name)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ssh config: ssh -G %s: %w: %s", name, err, strings.TrimSpace(stderr.String()))
	}
	s := &settings{values: map[string][]string{}}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), " ")
		if slices.Contains(keywords(), key) {
			s.values[key] = append(s.values[key], value)
		}
	}
	// Defaults are printed like settings. The default identities must stay what they are: tried after the agent's keys.
	if isDefaultIdentities(s.values["identityfile"]) {
		delete(s.values, "identityfile")
	}
	c.cache[name] = s
	return s, nil
}

func isDefaultIdentities(files []string) bool {
	for _, f := range files {
		if !strings.HasPrefix(f, "~/.ssh/id_") {
			return false
		}
	}
	return len(files) > 1
}

// Resolve says how to reach name: overrides win, then the config, then ssh's defaults. A jump among the overrides needs
// only its Name, "[user@]host[:port]", and is resolved by the config too; a non-nil empty list of jumps means none.
func (c *Config) Resolve(ctx context.Context, name string, overrides Target) (Target, error) {
	return c.resolve(ctx, name, overrides, nil)
}

// resolve also knows the names on the way from the target to this hop, to notice hosts that jump through each other.
func (c *Config) resolve(ctx context.Context, name string, overrides Target, behind []string) (Target, error) {
	s, err := c.lookup(ctx, name)
	if err != nil {
		return Target{}, err
	}
	t := overrides
	t.Name = cmp.Or(overrides.Name, name)
	if t.Port == 0 {
		if t.Port, err = s.port(); err != nil {
			return Target{}, fmt.Errorf("ssh config: host %s: %w", name, err)
		}
	}
	e := expansion{name: name, port: t.Port}
	if t.Address == "" {
		e.host = name
		if t.Address, err = e.expand(cmp.Or(s.get("hostname"), name)); err != nil {
			return Target{}, fmt.Errorf("ssh config: HostName of %s: %w", name, err)
		}
	}
	t.User = cmp.Or(t.User, s.get("user"))
	t.HostKeyAlias = cmp.Or(t.HostKeyAlias, s.get("hostkeyalias"))
	e.host, e.user, e.key = t.Address, t.User, cmp.Or(t.HostKeyAlias, name)
	if err := t.takePaths(s, e); err != nil {
		return Target{}, fmt.Errorf("ssh config: host %s: %w", name, err)
	}
	if err := t.takeTimes(s); err != nil {
		return Target{}, fmt.Errorf("ssh config: host %s: %w", name, err)
	}
	if t.Jumps, err = c.jumps(ctx, t, s, append(slices.Clone(behind), name)); err != nil {
		return Target{}, err
	}
	return t, nil
}

func (s *settings) port() (int, error) {
	text := s.get("port")
	if text == "" {
		return defaultPort, nil
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("port %q is not a number from 1 to 65535", text)
	}
	return port, nil
}

// takePaths fills the fields that name files.
func (t *Target) takePaths(s *settings, e expansion) (err error) {
	if len(t.IdentityFiles) == 0 {
		for _, f := range s.values["identityfile"] {
			if f = unquote(f); f == "none" {
				continue
			}
			if f, err = e.path(f); err != nil {
				return fmt.Errorf("IdentityFile: %w", err)
			}
			t.IdentityFiles = append(t.IdentityFiles, f)
		}
	}
	t.IdentitiesOnly = t.IdentitiesOnly || yes(s.get("identitiesonly"))
	if t.AgentSocket == "" {
		switch agent := unquote(s.get("identityagent")); {
		case agent == "SSH_AUTH_SOCK", agent == "":
		case strings.HasPrefix(agent, "$") && !strings.HasPrefix(agent, "${"):
			t.AgentSocket = cmp.Or(os.Getenv(agent[1:]), "none")
		default:
			if t.AgentSocket, err = e.path(agent); err != nil {
				return fmt.Errorf("IdentityAgent: %w", err)
			}
		}
	}
	if len(t.KnownHostsFiles) > 0 || s.get("userknownhostsfile")+s.get("globalknownhostsfile") == "" {
		return nil
	}
	user := cmp.Or(s.get("userknownhostsfile"), "~/.ssh/known_hosts ~/.ssh/known_hosts2")
	global := cmp.Or(s.get("globalknownhostsfile"), "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2")
	for _, f := range append(words(user), words(global)...) {
		if f == "none" {
			continue
		}
		if f, err = e.path(f); err != nil {
			return fmt.Errorf("UserKnownHostsFile: %w", err)
		}
		t.KnownHostsFiles = append(t.KnownHostsFiles, f)
	}
	return nil
}

// takeTimes fills the time-outs; 0 is ssh's way of saying that there is none, which leaves ours.
func (t *Target) takeTimes(s *settings) error {
	for _, f := range []struct {
		key string
		to  *time.Duration
	}{{"connecttimeout", &t.ConnectTimeout}, {"serveraliveinterval", &t.KeepAlive}} {
		text := s.get(f.key)
		if *f.to != 0 || text == "" || text == "none" {
			continue
		}
		d, err := parseTime(text)
		if err != nil {
			return fmt.Errorf("%s: %w", f.key, err)
		}
		*f.to = d
	}
	return nil
}

// jumps resolves the hosts to go through. As with ssh, only the nearest of a list is reached by a ProxyJump of its own;
// a host that would jump through itself (ProxyJump under "Host *") is reached directly.
func (c *Config) jumps(ctx context.Context, t Target, s *settings, behind []string) ([]Target, error) {
	var specs []Target
	switch jump := s.get("proxyjump"); {
	case t.Jumps != nil:
		specs = t.Jumps
	case jump != "" && jump != "none":
		for spec := range strings.SplitSeq(jump, ",") {
			specs = append(specs, Target{Name: strings.TrimSpace(spec)})
		}
	default:
		if command := s.get("proxycommand"); command != "" && command != "none" {
			return nil, fmt.Errorf("ssh config: host %s: ProxyCommand is not supported; use ProxyJump", t.Name)
		}
	}
	if len(behind) > maxJumps {
		return nil, fmt.Errorf("ssh config: host %s: more than %d jumps: %s", t.Name, maxJumps, strings.Join(behind, " through "))
	}
	var hops []Target
	for i, spec := range specs {
		hop, err := parseJump(spec)
		if err != nil {
			return nil, fmt.Errorf("ssh config: jump of %s: %w", t.Name, err)
		}
		if slices.Contains(behind, hop.Name) {
			continue
		}
		hop.Passphrase, hop.AgentSocket = t.Passphrase, cmp.Or(hop.AgentSocket, t.AgentSocket)
		if i > 0 {
			hop.Jumps = []Target{}
		}
		hop, err = c.resolve(ctx, hop.Name, hop, behind)
		if err != nil {
			return nil, err
		}
		hops = append(hops, hop)
	}
	return hops, nil
}
