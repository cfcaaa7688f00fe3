package bench

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// playbook writes a playbook for the fleet whose steps, about thirty, are all as wanted, and returns its directory.
func (f *fleet) playbook(tb testing.TB) string {
	tb.Helper()
	state, dir := filepath.Join(f.dir, "state"), filepath.Join(f.dir, "site")
	var hosts strings.Builder
	fmt.Fprintf(&hosts, "ssh {\n  user = \"root\"\n  identity_file = %q\n  known_hosts_file = %q\n}\n", f.Identity, f.Known)
	for i, host := range f.Hosts {
		fmt.Fprintf(&hosts, "host \"web%d\" {\n  address = %q\n  port = %s\n  groups = [\"web\"]\n}\n", i+1, hostOf(host), portOf(host))
	}
	steps := fmt.Sprintf("locals { dir = %q }\n", state)
	for _, dir := range []string{state, filepath.Join(state, "conf"), filepath.Join(state, "data"), dir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	var names []string
	for i := range 20 {
		name := fmt.Sprintf("%c.conf", 'a'+i)
		names = append(names, fmt.Sprintf("%q", name))
		write(tb, filepath.Join(state, "conf", name), "name = "+name+"\nworkers = 4\nlisten = 127.0.0.1:8000\n")
	}
	write(tb, filepath.Join(state, "lines"), "one\nkey = value\n")
	write(tb, filepath.Join(state, "conf.ini"), "[main]\nkey = value\n")
	if err := os.Symlink("data", filepath.Join(state, "current")); err != nil {
		tb.Fatal(err)
	}
	steps += `
step "directory" "state" { path = local.dir }
step "directory" "conf" { path = "${local.dir}/conf" }
step "directory" "data" { path = "${local.dir}/data" }
step "file" "conf" {
  for_each = toset([` + strings.Join(names, ", ") + `])
  path     = "${local.dir}/conf/${each.value}"
  content  = "name = ${each.value}\nworkers = 4\nlisten = 127.0.0.1:8000\n"
  mode     = "0600"
}
step "symlink" "current" {
  path   = "${local.dir}/current"
  target = "data"
}
step "line" "one" {
  path = "${local.dir}/lines"
  line = "one"
}
step "ini" "key" {
  path    = "${local.dir}/conf.ini"
  section = "main"
  key     = "key"
  value   = "value"
}
step "group" "root" { name = "root" }
step "user" "root" { name = "root" }
step "command" "made" {
  run     = ["touch", "${local.dir}/lines"]
  creates = "${local.dir}/lines"
}
`
	write(tb, filepath.Join(dir, "hosts.hcl"), hosts.String())
	write(tb, filepath.Join(dir, "site.hcl"), steps)
	return dir
}

func write(tb testing.TB, file, text string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func hostOf(address string) string { host, _, _ := net.SplitHostPort(address); return host }
func portOf(address string) string { _, port, _ := net.SplitHostPort(address); return port }

// bare is what nothing can beat: connecting to every host and running one command there, parallel at a time, with the
// SSH library alone. script is the standard input of the command.
func (f *fleet) bare(tb testing.TB, parallel int, command, script string) time.Duration {
	config := &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(f.client)}, HostKeyCallback: ssh.FixedHostKey(f.hostKey),
		Config: ssh.Config{KeyExchanges: []string{ssh.KeyExchangeMLKEM768X25519}, Ciphers: []string{ssh.CipherAES128GCM}},
	}
	start := time.Now()
	slots := make(chan struct{}, parallel)
	var all sync.WaitGroup
	for _, host := range f.Hosts {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if err := dialAndRun(config, host, command, script); err != nil {
				tb.Error(err)
			}
		})
	}
	all.Wait()
	return time.Since(start)
}

func dialAndRun(config *ssh.ClientConfig, host, command, script string) error {
	c, err := ssh.Dial("tcp", host, config)
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := c.NewSession()
	if err != nil {
		return err
	}
	s.Stdin = strings.NewReader(script)
	_, err = s.Output(command)
	return err
}
