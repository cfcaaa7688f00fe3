package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"provision/internal/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.MaybeChild()
	if len(os.Args) == 4 && os.Args[1] == holdArg {
		os.Exit(hold(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// cannot skips a test that this machine cannot run, and fails it in CI, where every test must run.
func cannot(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("PROVISION_CI") == "1" {
		t.Fatal("PROVISION_CI=1 and this test cannot run: " + reason)
	}
	t.Skip("NOT RUN: " + reason)
}

// startAsRoot starts a sandbox that ends with the test.
func startAsRoot(t *testing.T, o sandbox.Options) *sandbox.Sandbox {
	t.Helper()
	if os.Geteuid() != 0 {
		cannot(t, "it needs root")
	}
	s, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// dial logs in as ssh would with the sandbox's files: the host key is checked.
func dial(s *sandbox.Sandbox) (*ssh.Client, error) {
	key, err := os.ReadFile(s.IdentityFile)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		return nil, err
	}
	pinned, err := knownhosts.New(s.KnownHostsFile)
	if err != nil {
		return nil, err
	}
	return ssh.Dial("tcp", net.JoinHostPort(s.Address, strconv.Itoa(s.Port)), &ssh.ClientConfig{
		User: s.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: pinned,
	})
}

// try runs one command and returns its output and status.
func try(s *sandbox.Sandbox, command string) (out string, status int, err error) {
	c, err := dial(s)
	if err != nil {
		return "", 0, err
	}
	defer c.Close()
	session, err := c.NewSession()
	if err != nil {
		return "", 0, err
	}
	text, err := session.CombinedOutput(command)
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return string(text), exit.ExitStatus(), nil
	}
	return string(text), 0, err
}

// run is try for a command that must succeed.
func run(t *testing.T, s *sandbox.Sandbox, command string) string {
	t.Helper()
	out, status, err := try(s, command)
	if err != nil || status != 0 {
		t.Fatalf("%s\nstatus %d, error %v\n%s", command, status, err, out)
	}
	return strings.TrimSpace(out)
}

// holdArg makes this executable a process that holds a sandbox until it is killed: the parent in the tests of what is
// left after SIGKILL, and the user without root. What follows it is a script and the directory for what the sandbox
// writes, if any.
const holdArg = "hold-a-sandbox"

// ready begins the line that says that the script has run; the sandbox's notes follow.
const ready = "READY "

// hold starts a sandbox, runs the script in it, prints what it printed, and waits for the end of its standard input; then
// it closes the sandbox.
func hold(script, dir string) int {
	s, err := sandbox.Start(context.Background(), sandbox.Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	out, status, err := try(s, script)
	fmt.Print(out)
	if err != nil || status != 0 {
		fmt.Println("status", status, "error", err)
	}
	fmt.Printf("%s%q\n", ready, s.Notes)
	_, _ = os.Stdin.Read(make([]byte, 1))
	if err := s.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
