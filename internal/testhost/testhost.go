// Package testhost boots real hosts for acceptance tests: containers with systemd as PID 1 and a real sshd on a loopback port.
//
// A test takes the host that its whole test binary shares, or one of its own:
//
//	func TestMain(m *testing.M) { testhost.Main(m) }
//
//	func TestApply(t *testing.T) {
//		h := testhost.Debian(t, testhost.AsAdmin())
//		// connect to h.Addr:h.Port as h.User with h.KeyFile and h.KnownHostsFile, do something, then look:
//		h.Run(t, "getent passwd bicycle")
//	}
//
// [EL7] hosts stand in for fresh CentOS 7 machines, [Mirror] serves what such a machine installs, and [BaseImage] is what compose
// projects are built from where no registry is reached.
//
// Hosts need Linux, root, Docker and debootstrap; see [Require]. Images are built on first use and kept by Docker, the mirror's
// content and the base image in /var/cache/provision-test.
package testhost

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// A Host is a booted container whose sshd listens on loopback.
type Host struct {
	Name           string // of the container, for docker exec
	Addr           string // 127.0.0.1
	Port           int    // of sshd; the same after a reboot
	User           string // the login user
	Password       string // the login user's ([AsAdminPassword]) or root's ([AsAdminSu]); else ""
	KeyFile        string // ed25519 private key, not encrypted, that logs User in
	Init           string // "" for systemd, "none", "openrc", "sysv" or "runit"
	KnownHostsFile string // every host key of the host, read through Docker and not over SSH

	docker engine
}

// Debian returns the host with these options, Debian 12 unless they say otherwise, that all tests of this process share. It is
// started by the first caller and removed by [Main]. A test that leaves something behind which others would notice takes [Fresh].
func Debian(t testing.TB, opts ...Option) *Host {
	t.Helper()
	docker := require(t)
	s := newSetup(opts)
	r := s.recipe()
	own, err := self()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%s%d-%s-%s", namePrefix, own.pid, own.start, s.digest(r))
	unlock, err := lock(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if h, err := load(docker, name); err == nil {
		return h
	}
	h, err := start(t.Context(), docker, r, name, own, s)
	if err != nil {
		// Half a host would be in the way of the next test that tries.
		err = errors.Join(err, remove(context.WithoutCancel(t.Context()), docker, name))
		t.Fatalf("starting a shared test host: %v", err)
	}
	return h
}

// Fresh returns a host of the test's own, Debian 12 without other options, removed when the test ends.
func Fresh(t testing.TB, opts ...Option) *Host {
	t.Helper()
	return Fleet(t, 1, opts...)[0]
}

// Fleet returns n hosts like [Fresh], booted side by side. More than about twenty need fs.inotify.max_user_instances above the
// usual 128 on this machine; the test command sees to that.
func Fleet(t testing.TB, n int, opts ...Option) []*Host {
	t.Helper()
	docker := require(t)
	own, err := self()
	if err != nil {
		t.Fatal(err)
	}
	hosts := make([]*Host, n)
	var booting errgroup.Group
	booting.SetLimit(4)
	for i := range hosts {
		name := fmt.Sprintf("%s%d-%s", namePrefix, own.pid, randomHex(6))
		t.Cleanup(func() {
			if err := remove(context.WithoutCancel(t.Context()), docker, name); err != nil {
				t.Errorf("removing a test host: %v", err)
			}
		})
		booting.Go(func() error {
			s := newSetup(opts)
			h, err := start(t.Context(), docker, s.recipe(), name, own, s)
			hosts[i] = h
			return err
		})
	}
	if err := booting.Wait(); err != nil {
		t.Fatalf("starting %d test hosts: %v", n, err)
	}
	return hosts
}

// Main runs the tests of a package and then removes what they shared. Packages that call [Debian] or [Mirror] have
//
//	func TestMain(m *testing.M) { testhost.Main(m) }
//
// Hosts of a process that was killed are removed when the next one starts a host.
func Main(m *testing.M) {
	code := m.Run()
	if err := removeOwn(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "removing the shared test hosts:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// Run runs sh text as root in the host, by way of Docker and so independently of any SSH code, and returns its stdout. An exit
// status other than 0 fails the test.
func (h *Host) Run(t testing.TB, script string) string {
	t.Helper()
	out, err := h.docker.exec(t.Context(), h.Name, nil, script)
	if err != nil {
		t.Fatalf("in test host %s: %v\nstdout: %s", h.Name, err, out)
	}
	return out
}

// Status runs sh text like [Host.Run] and returns its exit status: "is it so?" where both answers are fine.
func (h *Host) Status(t testing.TB, script string) int {
	t.Helper()
	_, err := h.docker.exec(t.Context(), h.Name, nil, script)
	var failed *commandError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &failed) && failed.exit >= 0:
		return failed.exit
	}
	t.Fatalf("in test host %s: %v", h.Name, err)
	return -1
}

// Reboot reboots the host from outside and returns when it is up again, with a new boot id.
func (h *Host) Reboot(t testing.TB) {
	t.Helper()
	before := h.Run(t, "cat "+bootID)
	h.Run(t, inits[h.Init].reboot)
	if err := h.waitBooted(t.Context(), before); err != nil {
		t.Fatal(err)
	}
}

// SSHArgs returns the arguments with which the ssh binary of this machine reaches the host, reading none of this machine's own
// configuration, agents and known hosts. The remote command follows them.
func (h *Host) SSHArgs() []string {
	return []string{
		"-F", "none", "-p", strconv.Itoa(h.Port), "-l", h.User, "-i", h.KeyFile,
		"-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + h.KnownHostsFile, "-o", "GlobalKnownHostsFile=none",
		h.Addr,
	}
}

// save marks the host as ready for the other tests of this process.
func (h *Host) save() error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(stateDir(h.Name), "host.json"), text, 0o600)
}

func load(docker engine, name string) (*Host, error) {
	text, err := os.ReadFile(filepath.Join(stateDir(name), "host.json"))
	if err != nil {
		return nil, err
	}
	h := &Host{docker: docker}
	return h, json.Unmarshal(text, h)
}

// start boots a container and makes it ready: what its recipe prepares, the login user, the options, the pinned host keys.
func start(ctx context.Context, docker engine, r recipe, name string, own owner, s setup) (*Host, error) {
	if err := sweep(ctx, docker); err != nil {
		return nil, err
	}
	image, err := r.ensure(ctx, docker)
	if err != nil {
		return nil, err
	}
	h := &Host{Name: name, Addr: "127.0.0.1", User: s.login, Init: r.init, docker: docker}
	if s.password {
		h.Password = randomHex(12)
	}
	public, err := h.newState(own)
	if err != nil {
		return nil, err
	}
	if h.Port, err = run(ctx, docker, image, name, own, s); err != nil {
		return nil, err
	}
	// apt takes a second to name its sources, where it has many: time in which the host boots.
	var env []string
	var envErr error
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		if r.environment != nil {
			env, envErr = r.environment(ctx, docker)
		}
	}()
	bootErr := h.waitBooted(ctx, "")
	<-asked
	if err := errors.Join(bootErr, envErr); err != nil {
		return nil, err
	}
	env = append(env, "LOGIN="+h.User, "PASSWORD="+h.Password, "PUBLIC_KEY="+public)
	if _, err := docker.exec(ctx, name, env, s.script(r)); err != nil {
		return nil, fmt.Errorf("setting up the host: %w", err)
	}
	if err := h.pinKeys(ctx); err != nil {
		return nil, err
	}
	if err := h.waitSSH(ctx); err != nil {
		return nil, err
	}
	return h, h.save()
}

// newState makes the host's private directory on this machine and a key pair in it, and returns the public half.
func (h *Host) newState(own owner) (public string, err error) {
	dir := stateDir(h.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "owner"), []byte(own.String()), 0o600); err != nil {
		return "", err
	}
	h.KeyFile, h.KnownHostsFile = filepath.Join(dir, "id_ed25519"), filepath.Join(dir, "known_hosts")
	return newKey(h.KeyFile)
}

// digest tells hosts that may be shared from those that may not: the same image and the same options give the same digest.
func (s setup) digest(r recipe) string {
	text := fmt.Sprintf("%q %q %v %q %q", r.tag(), s.login, s.password, s.flags, s.edits)
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}

// poll calls try about ten times a second until it is content, ctx ends, or limit has passed.
func poll(ctx context.Context, limit time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gave up after %v: %w", limit, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
