package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"provision/internal/ssh/sshconfig"
)

// maxJumps bounds a chain of jump hosts, so that hosts that name each other end in an error.
const maxJumps = 16

// remoteCommand is what a session runs, for Match command of ssh_config.
const remoteCommand = "exec /bin/sh"

// ErrConfig is within the error of Resolve where ssh_config is the reason: ssh refuses that host, and goes on with others.
var ErrConfig = errors.New("ssh config")

// A Config is what ssh_config files say about hosts. A nil Config says nothing.
type Config struct {
	files *sshconfig.Config
}

// LoadConfig reads ssh_config files, by default ~/.ssh/config and /etc/ssh/ssh_config; one that does not exist is empty. The
// error names every line that ssh would refuse.
func LoadConfig(files ...string) (*Config, error) {
	var parsed *sshconfig.Config
	var err error
	if len(files) == 0 {
		parsed, err = sshconfig.LoadUser()
	} else {
		parsed, err = sshconfig.Load(files...)
	}
	if err != nil {
		return nil, fmt.Errorf("ssh config: %w", err)
	}
	return &Config{files: parsed}, nil
}

// Warnings names lines of the files that are passed over although ssh knows, or refuses, them.
func (c *Config) Warnings() []string {
	if c == nil {
		return nil
	}
	return c.files.Warnings
}

// Resolve says how to reach name: overrides win, then the config, then ssh's defaults. A jump among the overrides needs
// only its Name, "[user@]host[:port]", and is resolved by the config too; a non-nil empty list of jumps means none.
func (c *Config) Resolve(ctx context.Context, name string, overrides Target) (Target, error) {
	user, host, err := splitName(name)
	if err != nil {
		return Target{}, err
	}
	if overrides.Name == "" {
		overrides.Name = name
	}
	if overrides.Address == name || strings.Trim(overrides.Address, "[]") == host {
		overrides.Address = host
	}
	overrides.User = cmp.Or(overrides.User, user)
	return c.resolve(ctx, host, overrides, nil)
}

// splitName reads "[user@]host", as ssh does; unlike there, an IPv6 address may stand in brackets.
func splitName(name string) (user, host string, err error) {
	host = name
	if at := strings.LastIndex(name, "@"); at >= 0 {
		user, host = name[:at], name[at+1:]
		if user == "" || host == "" {
			return "", "", fmt.Errorf("the address %q is not [user@]host", name)
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") && strings.Contains(inner, ":") {
		host = strings.TrimSuffix(inner, "]")
	}
	return user, host, nil
}

// resolve also knows the names on the way from the target to this hop, to notice hosts that jump through each other.
func (c *Config) resolve(ctx context.Context, name string, overrides Target, behind []string) (Target, error) {
	t := overrides
	t.Name = cmp.Or(overrides.Name, name)
	query := sshconfig.Query{Host: name, User: t.User, Command: remoteCommand}
	if len(behind) > 0 { // as ssh -W
		query.Command, query.NoSession = "", true
	}
	if t.Port != 0 {
		query.Port = strconv.Itoa(t.Port)
	}
	var s *sshconfig.Settings
	if c != nil {
		var err error
		if s, err = c.files.Lookup(ctx, query); err != nil && t.Transport != TransportOpenSSH { // ssh reads it itself
			return Target{}, fmt.Errorf("%w: host %s: %w", ErrConfig, name, err)
		}
	}
	if t.Port == 0 {
		t.Port = defaultPort
		if n, err := strconv.Atoi(s.Text("port")); err == nil {
			t.Port = n
		}
	}
	if t.Address == "" {
		t.Address = name
		if s != nil {
			t.Address = s.Host
		}
	}
	t.HostKeyAlias = cmp.Or(t.HostKeyAlias, s.Text("hostkeyalias"))
	tokens := sshconfig.Tokens{Name: name, Host: t.Address, Key: t.HostKeyAlias, Port: strconv.Itoa(t.Port)}
	if jump, set := s.First("proxyjump"); set && jump.Text() != "none" {
		tokens.Jump = strings.Join(jump.Words, ",")
	}
	if t.User == "" {
		var err error
		if t.User, err = expandUser(s, tokens); err != nil {
			return Target{}, fmt.Errorf("%w: host %s: %w", ErrConfig, name, err)
		}
	}
	tokens.User = t.User
	if err := t.takePaths(s, tokens); err != nil {
		return Target{}, fmt.Errorf("%w: host %s: %w", ErrConfig, name, err)
	}
	if command, set := s.First("knownhostscommand"); set && !strings.EqualFold(command.Text(), "none") {
		words, err := sshconfig.SplitCommand(command.Text())
		if err != nil {
			return Target{}, fmt.Errorf("%w: %s: KnownHostsCommand: %w", ErrConfig, command.Source, err)
		}
		t.KnownHostsCommand = KnownHostsCommand{Words: words, Tokens: tokens}
	}
	if s != nil {
		t.Refused = s.Refused
	}
	t.takeTimes(s)
	t.takeNetwork(s)
	prompts, err := strconv.Atoi(s.Text("numberofpasswordprompts"))
	if yes(s.Text("batchmode")) || err == nil && prompts <= 0 {
		t.Answer, t.Passphrase = nil, nil // nobody is to be asked
	}
	if err == nil && prompts > 0 && t.PasswordPrompts == 0 {
		t.PasswordPrompts = prompts
	}
	if t.Transport != TransportBuiltin {
		command := ""
		if c != nil && (c.files.Asks("command") || c.files.Asks("sessiontype")) {
			command, t.OpenSSHSession = query.Command, c.files.Asks("sessiontype") && !query.NoSession
		}
		if t.OpenSSHWords, err = opensshWords(name, overrides, command); err != nil {
			return Target{}, fmt.Errorf("host %s: %w", cmp.Or(overrides.Name, name), err)
		}
		// It would leave behind a process that nobody ends. Only a client that knows the setting has it in its files.
		if yes(s.Text("forkafterauthentication")) {
			t.OpenSSHWords = append([]string{"-o", "ForkAfterAuthentication=no"}, t.OpenSSHWords...)
		}
	}
	if t.Transport != TransportOpenSSH {
		t.Unheeded = unheeded(s)
		if s != nil {
			t.Unheeded = append(t.Unheeded, s.Notes...)
		}
	}
	t.NotDone = notDone(s)
	if t.Jumps, err = c.jumps(ctx, t, overrides, s, tokens, append(slices.Clone(behind), name)); err != nil {
		return Target{}, err
	}
	if command, set := s.First("proxycommand"); set && overrides.Jumps == nil && !strings.EqualFold(command.Text(), "none") {
		if t.ProxyCommand, err = tokens.Expand(command.Text()); err != nil {
			return Target{}, fmt.Errorf("%w: %s: ProxyCommand: %w", ErrConfig, command.Source, err)
		}
	}
	return t, nil
}

// expandUser is the user that ssh_config names, with the tokens that ssh 10.6 knows there.
func expandUser(s *sshconfig.Settings, tokens sshconfig.Tokens) (string, error) {
	v, set := s.First("user")
	if !set || v.File == "" {
		return s.Text("user"), nil
	}
	if plain := strings.ReplaceAll(v.Text(), "%%", ""); strings.Contains(plain, "%r") || strings.Contains(plain, "%C") {
		return "", fmt.Errorf("%s: User: ssh knows neither %%r nor %%C there", v.Source)
	}
	user, err := tokens.Variables(v.Text())
	if err != nil {
		return "", fmt.Errorf("%s: User: %w", v.Source, err)
	}
	return user, nil
}

// takePaths fills the fields that name files.
func (t *Target) takePaths(s *sshconfig.Settings, tokens sshconfig.Tokens) error {
	expand := func(v sshconfig.Value, word string) (string, error) {
		path, err := tokens.Path(word)
		if err != nil {
			return "", fmt.Errorf("%s: %s: %w", v.Source, v.Keyword, err)
		}
		return path, nil
	}
	if len(t.IdentityFiles) == 0 {
		_, t.AgentFirst = s.First("identityfile")
		for _, v := range s.All("identityfile") {
			if strings.EqualFold(v.Text(), "none") {
				t.IdentityFiles = append([]string{}, t.IdentityFiles...) // not nil: no default names either
				continue
			}
			path, err := expand(v, v.Text())
			if err != nil {
				return err
			}
			t.IdentityFiles = append(t.IdentityFiles, path)
		}
	}
	for _, v := range s.All("certificatefile") {
		path, err := expand(v, v.Text())
		if err != nil {
			return err
		}
		t.CertificateFiles = append(t.CertificateFiles, path)
	}
	t.IdentitiesOnly = t.IdentitiesOnly || yes(s.Text("identitiesonly"))
	if agent, set := s.First("identityagent"); set && t.AgentSocket == "" {
		switch word := agent.Text(); {
		case word == "SSH_AUTH_SOCK":
		case strings.EqualFold(word, "none"):
			t.AgentSocket = "none"
		case strings.HasPrefix(word, "$") && !strings.HasPrefix(word, "${"):
			t.AgentSocket = cmp.Or(os.Getenv(word[1:]), "none")
		default:
			var err error
			if t.AgentSocket, err = expand(agent, word); err != nil {
				return err
			}
		}
	}
	if revoked, set := s.First("revokedhostkeys"); set && !strings.EqualFold(revoked.Text(), "none") {
		var err error
		if t.RevokedHostKeys, err = expand(revoked, revoked.Text()); err != nil {
			return err
		}
	}
	if len(t.KnownHostsFiles) > 0 {
		return nil
	}
	t.HashKnownHosts = yes(s.Text("hashknownhosts")) // a file of the playbook is for others to read
	user, users := s.First("userknownhostsfile")
	global, globals := s.First("globalknownhostsfile")
	if !users && !globals {
		return nil
	}
	if !users {
		user.Words = []string{"~/.ssh/known_hosts", "~/.ssh/known_hosts2"}
	}
	if !globals {
		global.Words = []string{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"}
	}
	t.KnownHostsFiles = []string{} // not nil: "none" means none
	for i, v := range []sshconfig.Value{user, global} {
		if i == 1 { // nothing is recorded for everyone
			t.NewKnownHosts = "none"
			if len(t.KnownHostsFiles) > 0 {
				t.NewKnownHosts = t.KnownHostsFiles[0]
			}
		}
		for _, word := range v.Words {
			if strings.EqualFold(word, "none") {
				continue
			}
			path, err := expand(v, word)
			if err != nil {
				return err
			}
			t.KnownHostsFiles = append(t.KnownHostsFiles, path)
		}
	}
	return nil
}

// takeTimes fills the time-outs; 0 is ssh's way of saying that there is none, which leaves ours.
func (t *Target) takeTimes(s *sshconfig.Settings) {
	for keyword, to := range map[string]*time.Duration{"connecttimeout": &t.ConnectTimeout, "serveraliveinterval": &t.KeepAlive} {
		if d, err := sshconfig.ParseTime(s.Text(keyword)); err == nil && *to == 0 {
			*to = d
		}
	}
	if n, err := strconv.Atoi(s.Text("connectionattempts")); err == nil && t.ConnectionAttempts == 0 {
		t.ConnectionAttempts = n
	}
	// ssh gives up at the question after so many; here the last span of silence is one of them.
	if n, err := strconv.Atoi(s.Text("serveralivecountmax")); err == nil && n >= 0 && t.KeepAliveMisses == 0 {
		t.KeepAliveMisses = n + 1
	}
}

// takeNetwork fills what chooses among addresses, algorithms and methods.
func (t *Target) takeNetwork(s *sshconfig.Settings) {
	t.AddressFamily = cmp.Or(t.AddressFamily, s.Text("addressfamily"))
	t.BindAddress = cmp.Or(t.BindAddress, s.Text("bindaddress"))
	for keyword, to := range map[string]*string{
		"hostkeyalgorithms": &t.HostKeyAlgorithms, "kexalgorithms": &t.KexAlgorithms, "ciphers": &t.Ciphers, "macs": &t.MACs,
		"pubkeyacceptedalgorithms": &t.PubkeyAcceptedAlgorithms, "casignaturealgorithms": &t.CASignatureAlgorithms,
	} {
		*to = cmp.Or(*to, s.Text(keyword))
	}
	if bits, err := strconv.Atoi(s.Text("requiredrsasize")); err == nil && t.RequiredRSASize == 0 {
		t.RequiredRSASize = bits
	}
	t.PreferredAuthentications = cmp.Or(t.PreferredAuthentications, s.Text("preferredauthentications"))
	for keyword, method := range map[string]string{
		"pubkeyauthentication": "publickey", "passwordauthentication": "password", "kbdinteractiveauthentication": "keyboard-interactive",
	} {
		if no(s.Text(keyword)) {
			t.WithoutMethods = append(t.WithoutMethods, method)
		}
	}
	slices.Sort(t.WithoutMethods)
}

// jumps resolves the hosts to go through. As with ssh, only the nearest of a list is reached by a ProxyJump of its own;
// a host that would jump through itself (ProxyJump under "Host *") is reached directly.
func (c *Config) jumps(ctx context.Context, t, over Target, s *sshconfig.Settings, tokens sshconfig.Tokens, behind []string) ([]Target, error) {
	specs := t.Jumps
	if jump, set := s.First("proxyjump"); specs == nil && set && jump.Text() != "none" {
		for _, word := range jump.Words {
			hop, err := tokens.Expand(word)
			if err != nil {
				return nil, fmt.Errorf("%w: %s: ProxyJump: %w", ErrConfig, jump.Source, err)
			}
			specs = append(specs, Target{Name: hop})
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
		hop.Outside = hop.Outside || spec.Address == ""
		hop.Passphrase, hop.AgentSocket = over.Passphrase, cmp.Or(hop.AgentSocket, t.AgentSocket)
		if hop.Answer == nil {
			hop.Answer = over.Answer
		}
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

// parseJump reads "[user@]host[:port]" or "ssh://[user@]host[:port]" from a hop's Name into its fields, which win.
func parseJump(hop Target) (Target, error) {
	parsed, err := sshconfig.ParseHop(hop.Name)
	if err != nil {
		return hop, err
	}
	hop.User = cmp.Or(hop.User, parsed.User)
	if parsed.Port != "" && hop.Port == 0 {
		if hop.Port, err = net.LookupPort("tcp", parsed.Port); err != nil {
			return hop, err
		}
	}
	hop.Name = parsed.Host
	return hop, nil
}

func yes(s string) bool { return s == "yes" || s == "true" }
func no(s string) bool  { return s == "no" || s == "false" }
