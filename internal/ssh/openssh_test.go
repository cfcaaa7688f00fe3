//go:build unix

package ssh_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	xssh "golang.org/x/crypto/ssh"

	"provision/internal/ssh"
	"provision/internal/ssh/sshtest"
)

// lack skips a test that this machine cannot run, or fails where PROVISION_CI=1 says that it must.
func lack(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("PROVISION_CI") == "1" {
		t.Fatal("PROVISION_CI=1 and " + what)
	}
	t.Skip("NOT TESTED: " + what)
}

// openSSH starts the real sshd on loopback as the current user, with extra lines of configuration, and returns how to
// enter it. Without an sshd the test is skipped, unless PROVISION_CI=1 says that there must be one.
func openSSH(t testing.TB, lines ...string) ssh.Target {
	t.Helper()
	binary := "/usr/sbin/sshd"
	if _, err := os.Stat(binary); err != nil {
		lack(t, "there is no OpenSSH server: install openssh-server")
	}
	dir := t.TempDir()
	hostPublic, hostPrivate, _ := sshtest.NewKey(t)
	userPublic, userPrivate, _ := sshtest.NewKey(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	sshtest.WriteKey(t, file("host_key"), hostPrivate)
	sshtest.WriteKey(t, file("id_ed25519"), userPrivate)
	writePublic(t, file("authorized_keys"), userPublic)
	port := freePort(t)
	known := fmt.Sprintf("[127.0.0.1]:%d %s", port, xssh.MarshalAuthorizedKey(hostPublic))
	config := strings.Join(append(lines, []string{
		fmt.Sprintf("Port %d", port), "ListenAddress 127.0.0.1", "HostKey " + file("host_key"), "PidFile none",
		"AuthorizedKeysFile " + file("authorized_keys"), "StrictModes no", "UsePAM no", "PasswordAuthentication no",
		"PermitRootLogin yes", "PrintMotd no",
		"SetEnv HOME=" + dir, // bash reads ~/.bashrc when sshd runs it: the machine's own takes its time
	}...), "\n") + "\n"
	for name, text := range map[string]string{"known_hosts": known, "sshd_config": config} {
		if err := os.WriteFile(file(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		// sshd's privilege separation directory, which the distribution makes at boot.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	cmd := exec.Command(binary, "-D", "-e", "-f", file("sshd_config"))
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("sshd said:\n%s", log.String())
		}
	})
	awaitPort(t, port)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return ssh.Target{
		Name: "openssh", Address: "127.0.0.1", Port: port, User: me.Username, AgentSocket: "none", IdentitiesOnly: true,
		IdentityFiles: []string{file("id_ed25519")}, KnownHostsFiles: []string{file("known_hosts")},
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func awaitPort(t testing.TB, port int) {
	t.Helper()
	for range 500 {
		nc, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			nc.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("sshd does not listen")
}

const internalSFTP = "Subsystem sftp internal-sftp"

func TestOpenSSHRunsCommandsAndTakesFiles(t *testing.T) {
	for name, lines := range map[string][]string{"SFTP": {internalSFTP}, "no SFTP": nil} {
		t.Run(name, func(t *testing.T) {
			c := sshtest.Dial(t, openSSH(t, lines...))
			out, errText, status, err := run(t, c, "cat; echo problem >&2; exit 5", "some input")
			if out != "some input" || errText != "problem\n" || status != 5 || err != nil {
				t.Errorf("stdout %q, stderr %q, status %d, error %v", out, errText, status, err)
			}
			if _, _, status, err := run(t, c, "kill -TERM $$", ""); status != 128+15 || err != nil {
				t.Errorf("status %d, error %v", status, err)
			}
			content := bytes.Repeat([]byte("\x00\xff'binary\n"), 500_000)
			file := filepath.Join(t.TempDir(), "file")
			if err := c.Upload(t.Context(), file, 0o640, int64(len(content)), bytes.NewReader(content)); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(file)
			info, err2 := os.Stat(file)
			if err != nil || err2 != nil || !bytes.Equal(got, content) || info.Mode() != 0o640 {
				t.Errorf("%d bytes, mode %v, errors %v, %v", len(got), info.Mode(), err, err2)
			}
			if err := c.Upload(t.Context(), "/proc/nothing/file", 0o600, 1, strings.NewReader("x")); err == nil || ssh.Unreachable(err) {
				t.Errorf("upload to nowhere: %v", err)
			}
		})
	}
}

func TestOpenSSHWithOneSession(t *testing.T) {
	c := sshtest.Dial(t, openSSH(t, internalSFTP, "MaxSessions 1"))
	file := filepath.Join(t.TempDir(), "file")
	for _, size := range []int{2, 1 << 20, 3, 2 << 20} { // by shell, by SFTP, by the SFTP session left open
		content := strings.Repeat("x", size)
		if err := c.Upload(t.Context(), file, 0o600, int64(size), strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		if out, _, _, err := run(t, c, "cat "+file, ""); out != content || err != nil {
			t.Fatalf("%d bytes of output, error %v", len(out), err)
		}
	}
}

func TestOpenSSHByAgentAndThroughTwoJumps(t *testing.T) {
	first, second, last := openSSH(t), openSSH(t), openSSH(t)
	key, err := os.ReadFile(last.IdentityFiles[0])
	if err != nil {
		t.Fatal(err)
	}
	private, err := xssh.ParseRawPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	last.AgentSocket, last.IdentitiesOnly = startAgent(t, private), false
	last.IdentityFiles, last.Jumps = nil, []ssh.Target{first, second}
	t.Setenv("HOME", t.TempDir())
	if out, _, _, err := run(t, sshtest.Dial(t, last), "echo through", ""); out != "through\n" || err != nil {
		t.Errorf("output %q, error %v", out, err)
	}
}

func TestOpenSSHWithAnotherKey(t *testing.T) {
	target := openSSH(t)
	key, err := ssh.Scan(t.Context(), target)
	if err != nil || key.Type() != "ssh-ed25519" {
		t.Fatalf("scan: %v, %v", key, err)
	}
	other, _, _ := sshtest.NewKey(t)
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := ssh.Remember(file, []ssh.HostKey{{Host: key.Host, Key: other}}); err != nil {
		t.Fatal(err)
	}
	target.KnownHostsFiles = []string{file}
	_, err = ssh.Dial(t.Context(), target)
	var changed *ssh.ChangedHostKeyError
	if !errors.As(err, &changed) || changed.Fingerprint != key.Fingerprint() {
		t.Errorf("error %v", err)
	}
}

func TestOpenSSHRefusesAfterTooManyKeys(t *testing.T) {
	target := openSSH(t, "MaxAuthTries 2")
	var wrong []any
	for range 4 {
		_, private, _ := sshtest.NewKey(t)
		wrong = append(wrong, private)
	}
	target.AgentSocket, target.IdentitiesOnly = startAgent(t, wrong...), false
	sshtest.Dial(t, target) // the named key comes first
	target.IdentityFiles = nil
	t.Setenv("HOME", t.TempDir())
	if _, err := ssh.Dial(t.Context(), target); phaseOf(t, err) != ssh.PhaseAuthenticate || !strings.Contains(err.Error(), "identity_file") {
		t.Errorf("error %v", err)
	}
}

func TestOpenSSHThatClosesSilentChannels(t *testing.T) {
	c := sshtest.Dial(t, openSSH(t, "ChannelTimeout session*=2s"))
	_, _, _, err := run(t, c, "sleep 5", "")
	if err == nil || !strings.Contains(err.Error(), "ChannelTimeout") || !strings.Contains(err.Error(), "may still be running") {
		t.Errorf("error %v", err)
	}
	if out, _, status, err := run(t, c, "for i in 1 2 3 4 5; do sleep 0.5; echo $i; done", ""); out != "1\n2\n3\n4\n5\n" || status != 0 || err != nil {
		t.Errorf("a command that is not silent: %q, status %d, error %v", out, status, err)
	}
}

// Without PAM, sshd takes keyboard-interactive for a method and refuses it before it asks anything: no matter of messages.
func TestQuestionsThatAreNotAsked(t *testing.T) {
	target := openSSH(t, "AuthenticationMethods publickey,keyboard-interactive", "KbdInteractiveAuthentication yes")
	_, err := ssh.Dial(t.Context(), target)
	if err == nil || strings.Contains(err.Error(), "message type") || !strings.Contains(err.Error(), "wants keyboard-interactive besides") {
		t.Errorf("error %v", err)
	}
}
