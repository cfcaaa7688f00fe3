package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"provision/internal/ssh/sshd"
	"provision/internal/ssh/sshtest"
)

// How the hosts of a fleet answer. The probes of a thousand hosts, run by one machine, would measure that machine: so
// they are run once and their output is played back, or they are run by sh each time, to see that this is honest.
const (
	recorded = "recorded"
	byShell  = "sh"
)

// fleetVariable makes the test binary the hosts of a fleet: it holds the directory of their files.
const fleetVariable = "PROVISION_BENCH_FLEET"

// A fleet is a number of hosts in a process of their own, each at a loopback address of its own.
type fleet struct {
	dir       string // their files, and the playbook
	Hosts     []string
	Answer    string // recorded or byShell
	RoundTrip time.Duration
	Identity  string
	Known     string
	hostKey   ssh.PublicKey
	client    ssh.Signer
}

// newFleet starts count hosts, which end with the test.
func newFleet(tb testing.TB, count int, answer string, roundTrip time.Duration) *fleet {
	tb.Helper()
	if runtime.GOOS != "linux" {
		tb.Skip("only Linux has all of 127.0.0.0/8")
	}
	dir := tb.TempDir()
	f := &fleet{dir: dir, Answer: answer, RoundTrip: roundTrip, Identity: filepath.Join(dir, "id_ed25519"), Known: filepath.Join(dir, "known_hosts")}
	_, private, client := sshtest.NewKey(tb)
	sshtest.WriteKey(tb, f.Identity, private)
	hostKey, private, _ := sshtest.NewKey(tb)
	sshtest.WriteKey(tb, filepath.Join(dir, "host_key"), private)
	f.hostKey, f.client = hostKey, client
	for i := range count {
		f.Hosts = append(f.Hosts, fmt.Sprintf("127.7.%d.%d", i/250, i%250+1))
	}
	f.start(tb)
	var known strings.Builder
	for _, host := range f.Hosts {
		fmt.Fprintf(&known, "[%s]:%s %s", hostOf(host), portOf(host), ssh.MarshalAuthorizedKey(hostKey))
	}
	write(tb, f.Known, known.String())
	return f
}

// start runs the hosts in a process of their own, so that what is measured of ours is ours alone.
func (f *fleet) start(tb testing.TB) {
	tb.Helper()
	text, err := json.Marshal(f)
	if err != nil {
		tb.Fatal(err)
	}
	write(tb, filepath.Join(f.dir, "fleet.json"), string(text))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fleetVariable+"="+f.dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		stdin.Close() // its end is what the process waits for
		_ = cmd.Wait()
	})
	if err := json.NewDecoder(stdout).Decode(&f.Hosts); err != nil {
		tb.Fatalf("the hosts do not start: %v", err)
	}
}

// serveFleet is the process of the hosts. It ends with its standard input.
func serveFleet(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "fleet.json"))
	if err != nil {
		return err
	}
	var f fleet
	if err := json.Unmarshal(text, &f); err != nil {
		return err
	}
	config := sshd.Config{
		PublicKey: func(string, ssh.PublicKey) error { return nil },
		Exec:      (&recorder{dir: dir, forget: f.Answer == byShell, answers: map[string]answer{}}).exec,
	}
	key, err := os.ReadFile(filepath.Join(dir, "host_key"))
	if err != nil {
		return err
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		return err
	}
	config.HostKeys = []ssh.Signer{signer}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i, address := range f.Hosts {
		l, err := net.Listen("tcp", address+":0")
		if err != nil {
			return err
		}
		f.Hosts[i] = l.Addr().String()
		running.Go(func() { _ = sshd.Serve(ctx, farAway{l, f.RoundTrip / 2}, config) })
	}
	if err := json.NewEncoder(os.Stdout).Encode(f.Hosts); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// A recorder answers a script with what sh printed when the same script came first.
type recorder struct {
	dir    string // gets the first script, for whoever wants to send the same
	forget bool   // sh answers each time

	mu      sync.Mutex
	answers map[string]answer // by the script without what differs from run to run
}

type answer struct{ stdout, stderr []byte }

var (
	nonceText = regexp.MustCompile(`provision-[0-9a-f]{32}`)
	saltText  = regexp.MustCompile(`SALT=\S+`)
)

// scriptEnd is how every script ends.
const scriptEnd = "\n} </dev/null\n"

func (r *recorder) exec(ctx context.Context, s *sshd.Session) int {
	if s.Command == "true" {
		return 0
	}
	script, err := readScript(s.Stdin)
	if err != nil {
		return 1
	}
	nonce := nonceText.Find(script)
	a, err := r.answer(ctx, script, nonce)
	if err != nil {
		fmt.Fprintln(s.Stderr, err)
		return 1
	}
	_, _ = s.Stderr.Write(bytes.ReplaceAll(a.stderr, []byte("NONCE"), nonce))
	_, _ = s.Stdout.Write(bytes.ReplaceAll(a.stdout, []byte("NONCE"), nonce))
	// A second script has no recording: the host is as wanted, and nobody asks twice.
	if n, _ := io.Copy(io.Discard, s.Stdin); n > 0 {
		return 1
	}
	return 0
}

func readScript(r io.Reader) ([]byte, error) {
	var script []byte
	chunk := make([]byte, 32<<10)
	for {
		n, err := r.Read(chunk)
		script = append(script, chunk[:n]...)
		if bytes.HasSuffix(script, []byte(scriptEnd)) {
			return script, nil
		}
		if err != nil {
			return nil, errors.New("the script has no end")
		}
	}
}

func (r *recorder) answer(ctx context.Context, script, nonce []byte) (answer, error) {
	key := string(saltText.ReplaceAll(bytes.ReplaceAll(script, nonce, nil), nil))
	r.mu.Lock()
	a, known := r.answers[key]
	if known && r.forget {
		r.mu.Unlock()
		return runScript(ctx, script, nonce)
	}
	defer r.mu.Unlock()
	if known {
		return a, nil
	}
	a, err := runScript(ctx, script, nonce)
	if err == nil && len(r.answers) == 0 {
		err = os.WriteFile(scriptFile(r.dir), script, 0o600)
	}
	r.answers[key] = a
	return a, err
}

func scriptFile(dir string) string { return filepath.Join(dir, "script") }

// runScript has sh answer, with NONCE in place of the nonce.
func runScript(ctx context.Context, script, nonce []byte) (answer, error) {
	cmd := exec.CommandContext(ctx, "/bin/sh")
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(script), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return answer{}, err
	}
	return answer{bytes.ReplaceAll(stdout.Bytes(), nonce, []byte("NONCE")), bytes.ReplaceAll(stderr.Bytes(), nonce, []byte("NONCE"))}, nil
}
