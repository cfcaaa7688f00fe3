package ssh

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"pgregory.net/rapid"
)

// A loginLab is where real clients and ours log in to a real sshd. Accounts and PAM are those of a mount namespace of its own, so
// that the machine keeps its own. Each login has an sshd of its own, which speaks through its standard input and output.
type loginLab struct {
	dir       string // for every user to read
	enter     []string
	keys      []labKey
	authority ssh.Signer
	port      int
	log       atomic.Value // string: of the sshds that start now
	mu        sync.Mutex
	running   []chan struct{} // each closed at the end of an sshd
}

type labKey struct {
	name      string
	private   crypto.Signer
	signer    ssh.Signer
	plain     []byte // the file
	encrypted []byte
}

const (
	labUser       = "u"
	labPassword   = "right"
	labPassphrase = "open sesame"
	// The hash of labPassword with few rounds.
	labShadow = "$6$rounds=1000$provision$DyoANwcW4J7oUn6UUr8YDN7hbeak9SgKcBbXUqade/7FKe.kUddUC3ca1xmOpEuAyUtPvE3f9Z1D55HVYZCn01"
)

func newLoginLab(t *testing.T) *loginLab {
	t.Helper()
	for _, need := range []string{"/usr/sbin/sshd", "/usr/bin/unshare", "/usr/bin/nsenter"} {
		if _, err := os.Stat(need); err != nil || os.Geteuid() != 0 {
			labLacks(t, "logins need root, OpenSSH's sshd, unshare and nsenter: install openssh-server and util-linux")
		}
	}
	lab := &loginLab{dir: t.TempDir()}
	for _, dir := range []string{filepath.Dir(lab.dir), lab.dir, "/run/sshd"} {
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	lab.makeKeys(t)
	lab.write(t, "passwd", "root:x:0:0::"+lab.path("home")+":/bin/sh\nsshd:x:65533:65533::/run/sshd:/bin/false\n"+
		labUser+":x:65532:65532::"+lab.dir+":/bin/sh\n")
	lab.write(t, "group", "root:x:0:\nshadow:x:42:\nsshd:x:65533:\n"+labUser+":x:65532:\n")
	lab.write(t, "shadow", "root:*:20000:0:99999:7:::\n"+labUser+":"+labShadow+":20000:0:99999:7:::\n")
	lab.write(t, "pam.d/sshd", "auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n")
	lab.write(t, "pam.d/other", "auth required pam_deny.so\naccount required pam_deny.so\nsession required pam_deny.so\n")
	lab.write(t, "home/.ssh/.keep", "")
	// It answers ssh's questions from the files of the case.
	lab.write(t, "askpass", "#!/bin/sh\ncase $1 in\n*passphrase*) cat "+lab.path("case/passphrase")+" ;;\n*) cat "+lab.path("case/password")+" ;;\nesac\n")

	script := ""
	for _, name := range []string{"passwd", "group", "shadow"} {
		script += fmt.Sprintf("mount --bind %s /etc/%s && ", lab.path(name), name)
	}
	script += fmt.Sprintf("mount --bind %s /etc/pam.d && echo ready && exec cat", lab.path("pam.d"))
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		labLacks(t, fmt.Sprintf("a mount namespace cannot be made: %q, %v", line, err))
	}
	lab.enter = []string{"nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", cmd.Process.Pid), "--"}
	lab.listen(t)
	return lab
}

// listen starts an sshd for each connection.
func (lab *loginLab) listen(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	lab.port = l.Addr().(*net.TCPAddr).Port
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			lab.serve(nc.(*net.TCPConn))
		}
	}()
}

func (lab *loginLab) serve(nc *net.TCPConn) {
	defer nc.Close()
	socket, err := nc.File()
	if err != nil {
		return
	}
	defer socket.Close()
	args := append(slices.Clone(lab.enter[1:]), "/usr/sbin/sshd", "-i", "-f", lab.path("case/sshd_config"), "-E", lab.path(lab.log.Load().(string)))
	cmd := exec.Command(lab.enter[0], args...)
	cmd.Stdin, cmd.Stdout = socket, socket
	if cmd.Start() == nil {
		ended := make(chan struct{})
		lab.mu.Lock()
		lab.running = append(lab.running, ended)
		lab.mu.Unlock()
		go func() {
			defer close(ended)
			_ = cmd.Wait() // it ends with its client, and with a status that says nothing
		}()
	}
}

// labLacks skips, or fails where PROVISION_CI=1 says that nothing may be left out.
func labLacks(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("PROVISION_CI") == "1" {
		t.Fatal(what)
	}
	t.Skip("NOT TESTED: " + what)
}

func (lab *loginLab) path(name string) string { return filepath.Join(lab.dir, name) }

func (lab *loginLab) write(t testing.TB, name, text string) {
	t.Helper()
	mode := os.FileMode(0o644)
	if strings.HasPrefix(text, "#!") {
		mode = 0o755
	}
	if strings.Contains(text, "PRIVATE KEY") {
		mode = 0o600
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(lab.path(name)), 0o755), os.WriteFile(lab.path(name), []byte(text), mode)); err != nil {
		t.Fatal(err)
	}
}

func (lab *loginLab) makeKeys(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"ed25519", "rsa", "ecdsa", "ed25519", "ed25519", "rsa", "host", "authority"} {
		var private crypto.Signer
		var err error
		switch kind {
		case "rsa":
			private, err = rsa.GenerateKey(rand.Reader, 2048)
		case "ecdsa":
			private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		default:
			_, private, err = ed25519.GenerateKey(rand.Reader)
		}
		if err != nil {
			t.Fatal(err)
		}
		signer, err1 := ssh.NewSignerFromKey(private)
		plain, err2 := ssh.MarshalPrivateKey(private, "")
		locked, err3 := ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(labPassphrase))
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		switch kind {
		case "host":
			lab.write(t, "host_key", string(pem.EncodeToMemory(plain)))
			lab.write(t, "known_hosts", "h "+string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
		case "authority":
			lab.authority = signer
			lab.write(t, "authorities", string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
		default:
			name := fmt.Sprintf("%s-%d", kind, len(lab.keys))
			lab.keys = append(lab.keys, labKey{name, private, signer, pem.EncodeToMemory(plain), pem.EncodeToMemory(locked)})
		}
	}
}

// serveAgent serves what a case has in its agent, until close.
func (lab *loginLab) serveAgent(a agent.Agent) (close func(), err error) {
	l, err := net.Listen("unix", lab.path("case/agent"))
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				_ = agent.ServeAgent(a, nc)
			}()
		}
	}()
	return func() { l.Close() }, nil
}

// An attempt is what sshd's log says of one: "Failed publickey ED25519 SHA256:…".
type attempt struct{ verdict, method, key string }

func (a attempt) String() string { return strings.TrimSpace(a.verdict + " " + a.method + " " + a.key) }

var attemptLine = regexp.MustCompile(`(Accepted|Failed|Partial|Postponed) (\S+) for (?:invalid user )?\S+ from .*? ssh2(?:: (.*?))?(?: \[preauth\])?\r?\n|userauth_pubkey: signature algorithm (\S+) not in PubkeyAcceptedAlgorithms`)

// attempts reads a log of sshd.
func (lab *loginLab) attempts(t rapid.TB, log string) ([]attempt, string) {
	t.Helper()
	lab.mu.Lock()
	running := lab.running
	lab.running = nil
	lab.mu.Unlock()
	for _, ended := range running {
		<-ended
	}
	text, err := os.ReadFile(lab.path(log))
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for _, k := range lab.keys {
		pairs = append(pairs, ssh.FingerprintSHA256(k.signer.PublicKey()), k.name)
	}
	names := strings.NewReplacer(pairs...)
	var all []attempt
	for _, m := range attemptLine.FindAllStringSubmatch(string(text), -1) {
		if m[4] != "" { // counted as a failure, and written down in other words
			all = append(all, attempt{"Failed", methodKey, m[4]})
			continue
		}
		method, _, _ := strings.Cut(m[2], "/")
		all = append(all, attempt{m[1], method, names.Replace(m[3])})
	}
	return all, string(text)
}

// byOpenSSH logs in with a real client.
func (lab *loginLab) byOpenSSH(t rapid.TB, binary string) (in bool, said string, attempts []attempt, log string) {
	t.Helper()
	lab.log.Store("case/log-ssh")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args := append(append([]string{}, lab.enter...), "setsid", "-w", binary, "-F", lab.path("case/config"), "h", "echo entered")
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = lab.dir
	cmd.Env = append(os.Environ(), "SSH_ASKPASS="+lab.path("askpass"), "SSH_ASKPASS_REQUIRE=force")
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("ssh does not end: %s", out)
	}
	attempts, log = lab.attempts(t, "case/log-ssh")
	return err == nil && strings.Contains(string(out), "entered"), string(out), attempts, log
}

// byProvision logs in with ours.
func (lab *loginLab) byProvision(t rapid.TB, given Target) (attempts []attempt, log string, err error) {
	t.Helper()
	config, err := LoadConfig(lab.path("case/config"))
	if err != nil {
		t.Fatal(err)
	}
	target, err := config.Resolve(context.Background(), "h", given)
	if err != nil {
		t.Fatal(err)
	}
	lab.log.Store("case/log-provision")
	client, err := Dial(context.Background(), target)
	if err == nil {
		client.Close()
	}
	attempts, log = lab.attempts(t, "case/log-provision")
	return attempts, log, err
}

// config is what both clients read beside the drawn lines.
func (lab *loginLab) config(drawn string) string {
	return fmt.Sprintf("%s\nHost h\n HostName 127.0.0.1\n Port %d\n User %s\n UserKnownHostsFile %s\n GlobalKnownHostsFile none\n StrictHostKeyChecking yes\n HostKeyAlias h\n",
		drawn, lab.port, labUser, lab.path("known_hosts"))
}
