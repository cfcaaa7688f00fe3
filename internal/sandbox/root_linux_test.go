package sandbox_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pkg/sftp"
	"golang.org/x/sys/unix"

	"provision/internal/sandbox"
)

// changes is what a playbook does to a host, as a script that leaves a daemon running.
const changes = `set -e
groupadd wheely
useradd -m -G wheely bob
echo changed >/etc/provision-sandbox-test
echo changed >>/etc/hosts
mkdir -p /usr/local/bin
printf '#!/bin/sh\necho installed\n' >/usr/local/bin/provision-sandbox-test
chmod 755 /usr/local/bin/provision-sandbox-test
setsid sleep 4321 >/dev/null 2>&1 </dev/null &
chown bob /etc/provision-sandbox-test
id -nG bob
provision-sandbox-test
stat -c %U /etc/provision-sandbox-test
readlink /proc/self/ns/pid
`

func TestNothingIsLeftAfterClose(t *testing.T) {
	tmp := ownTempDir(t)
	before := takeSnapshot(t)
	s := startAsRoot(t, sandbox.Options{})
	lines := strings.Fields(run(t, s, changes))
	if got := strings.Join(lines[:len(lines)-1], " "); got != "bob wheely installed bob" {
		t.Errorf("inside: %s", got)
	}
	namespace := lines[len(lines)-1]
	if len(processesIn(t, namespace)) == 0 {
		t.Fatalf("no process of %s is seen, so that none would be missed", namespace)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	default:
		t.Error("closed and not done")
	}
	compareSnapshots(t, before, takeSnapshot(t))
	expectGone(t, namespace, tmp)
	if _, err := dial(s); err == nil {
		t.Error("a closed sandbox lets people in")
	}
	if err := s.Close(); err != nil {
		t.Errorf("closed a second time: %v", err)
	}
}

// The terminal sends its Ctrl-C to the whole foreground process group. What the sandbox runs is the caller's to stop.
func TestInterruptOfTheProcessGroupIsNotTheSandboxes(t *testing.T) {
	s := startAsRoot(t, sandbox.Options{})
	own, err := unix.Getpgid(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processesIn(t, run(t, s, "readlink /proc/self/ns/pid")) {
		pid, err := strconv.Atoi(filepath.Base(process))
		if err != nil {
			t.Fatal(err)
		}
		if group, err := unix.Getpgid(pid); err != nil || group == own {
			t.Errorf("%s is in our process group %d (error %v)", process, own, err)
		}
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "it needs root")
	}
	tmp := ownTempDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := sandbox.Start(ctx, sandbox.Options{}); !errors.Is(err, context.Canceled) {
		if err == nil {
			s.Close()
		}
		t.Errorf("error %v", err)
	}
	expectEmpty(t, tmp)
}

func TestDoneTellsThatTheSandboxEndedByItself(t *testing.T) {
	tmp := ownTempDir(t)
	s := startAsRoot(t, sandbox.Options{})
	namespace := run(t, s, "readlink /proc/self/ns/pid")
	_, _, _ = try(s, "kill -9 $PPID")
	<-s.Done()
	expectGone(t, namespace, tmp)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestNothingIsLeftWhenTheParentIsKilled(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "it needs root")
	}
	for name, dir := range map[string]string{"in memory": "", "on disk": "/var/tmp"} {
		t.Run(name, func(t *testing.T) {
			tmp := ownTempDir(t)
			if dir != "" {
				dir = tempDirIn(t, dir)
			}
			before := takeSnapshot(t)
			parent := holdSandbox(t, exec.Command("/proc/self/exe", holdArg, changes, dir))
			lines := strings.Fields(parent.output)
			if err := parent.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			expectGone(t, lines[len(lines)-1], tmp)
			if dir != "" {
				expectEmpty(t, dir)
			}
			compareSnapshots(t, before, takeSnapshot(t))
		})
	}
}

func TestWritesGoToTheDirectoryThatWasNamed(t *testing.T) {
	// Not below /tmp, which is a fresh one inside: this one must not show its own layers.
	dir := tempDirIn(t, "/var/tmp")
	t.Chdir(filepath.Dir(dir))
	s := startAsRoot(t, sandbox.Options{Dir: filepath.Base(dir)})
	run(t, s, "echo hello >/etc/provision-sandbox-test; echo there >/tmp/x")
	if found := filesNamed(t, dir, "provision-sandbox-test"); found != 1 {
		t.Errorf("the file was found %d times below %s", found, dir)
	}
	if out := run(t, s, "ls -A "+dir+"/*"); out != "" {
		t.Errorf("the layers show: %s", out)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	expectEmpty(t, dir)
}

func TestServicesAndSettingsOfTheMachineAreOutOfReach(t *testing.T) {
	t.Setenv("PROVISION_TEST_SECRET", "hunter2")
	s := startAsRoot(t, sandbox.Options{})
	for _, c := range []struct{ command, want string }{
		{"hostname", "sandbox"},
		{"cat /etc/hostname", "sandbox"},
		{"find /run /tmp -mindepth 1", "/run/lock"},
		{"stat -c %a /tmp /run /run/lock", "1777\n755\n1777"},
		{"env | grep -c SECRET", "0"},
		{"echo $HOME $USER $LANG", "/root root C.UTF-8"},
		{"echo x 2>&1 >/proc/sys/vm/swappiness", "/bin/sh: 1: cannot create /proc/sys/vm/swappiness: Read-only file system"},
		{"mount -t tmpfs x /mnt 2>&1 | wc -l | sed s/[1-9]/some/", "some"},
		{"ls /proc/1/root 2>&1 | grep -o 'ermission denied'", "ermission denied"},
		{"mknod /root/disk b 254 0 && head -c1 /root/disk 2>&1 | grep -o 'ermission denied'", "ermission denied"},
		{"mkdir /usr/local/x && mv /usr/local/x /usr/local/y && ls -d /usr/local/y", "/usr/local/y"},
	} {
		out, _, err := try(s, c.command)
		if err != nil || strings.TrimSpace(out) != c.want {
			t.Errorf("%s\ngot  %q, %v\nwant %q", c.command, out, err, c.want)
		}
	}
}

func TestPackagesAreInstalled(t *testing.T) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		cannot(t, "the machine has no apt-get")
	}
	s := startAsRoot(t, sandbox.Options{})
	// dpkg and Python rename directories, which an overlay refuses unless told otherwise.
	run(t, s, `perl -e 'rename("/usr/share/doc", "/usr/share/docs") or die "$!\n"'`)
	if out := run(t, s, installPackage); !strings.HasSuffix(out, "installed 1.0") {
		t.Errorf("%s", out)
	}
	if _, err := os.Stat("/usr/share/provision-sandbox-test"); err == nil {
		t.Error("the package is outside too")
	}
}

// installPackage makes a Debian package and installs it with apt-get, which runs a script of the package's.
const installPackage = `set -e
cd /tmp
mkdir -p p/DEBIAN p/usr/share/provision-sandbox-test
printf 'Package: provision-sandbox-test\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: test\n' >p/DEBIAN/control
printf '#!/bin/sh\nuseradd -r psandbox\nchown psandbox /usr/share/provision-sandbox-test\n' >p/DEBIAN/postinst
chmod 755 p/DEBIAN/postinst
echo hello >p/usr/share/provision-sandbox-test/file
dpkg-deb --root-owner-group -b p p.deb >/dev/null
DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get install -y --no-install-recommends ./p.deb >log 2>&1 </dev/null || { cat log; exit 1; }
test "$(stat -c %U /usr/share/provision-sandbox-test)" = psandbox
cat /usr/share/provision-sandbox-test/file >/dev/null
dpkg-query -W -f 'installed ${Version}\n' provision-sandbox-test
`

func TestFilesTravelBySFTP(t *testing.T) {
	s := startAsRoot(t, sandbox.Options{})
	c, err := dial(s)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	files, err := sftp.NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	f, err := files.Create("/etc/provision-sandbox-test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("by sftp")); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if out := run(t, s, "cat /etc/provision-sandbox-test"); out != "by sftp" {
		t.Errorf("inside: %q", out)
	}
	if _, err := os.Stat("/etc/provision-sandbox-test"); err == nil {
		t.Error("the file is outside too")
	}
}

func TestTwoSandboxesAreApart(t *testing.T) {
	a, b := startAsRoot(t, sandbox.Options{}), startAsRoot(t, sandbox.Options{})
	mixed := *a
	mixed.IdentityFile = b.IdentityFile
	if _, err := dial(&mixed); err == nil {
		t.Error("the key of one opens the other")
	}
	mixed = *a
	mixed.KnownHostsFile = b.KnownHostsFile
	if _, err := dial(&mixed); err == nil {
		t.Error("the host key of one passes for the other's")
	}
	run(t, a, "echo a >/etc/provision-sandbox-test")
	if _, status, err := try(b, "test -e /etc/provision-sandbox-test"); err != nil || status != 1 {
		t.Errorf("status %d, error %v: the other's file is seen", status, err)
	}
}
