package testhost

import (
	"os/exec"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

// overSSH runs a command through the ssh binary of this machine, which checks the pinned key and asks nothing.
func overSSH(t *testing.T, h *Host, stdin string, command ...string) (stdout string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ssh", append(h.SSHArgs(), command...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	return string(out), err
}

func TestHostIsAServer(t *testing.T) {
	h := Debian(t)
	if got := h.Run(t, "cat /proc/1/comm; systemctl is-system-running"); got != "systemd\nrunning\n" {
		t.Errorf("PID 1 and its state: %q", got)
	}
	if got := h.Run(t, "systemd-run --wait --pipe --quiet printf unit"); got != "unit" {
		t.Errorf("a unit of systemd-run printed %q", got)
	}
	out, err := overSSH(t, h, "", "id -un; loginctl show-session $XDG_SESSION_ID -p Name")
	if err != nil || out != "root\nName=root\n" {
		t.Errorf("over ssh with the pinned key: %q, %v; want root in a session of logind", out, err)
	}
	h.Run(t, "sysctl -q -w net.ipv4.ip_forward=1")
	if h.Status(t, "echo x >/proc/sys/vm/overcommit_memory") == 0 {
		t.Error("the host can change a setting of the machine that runs it")
	}
	if got := h.Status(t, "exit 7"); got != 7 {
		t.Errorf("Status of exit 7: %d", got)
	}
}

func TestAptInstalls(t *testing.T) {
	h := Debian(t)
	h.Run(t, "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq hello")
	if got := h.Run(t, "hello"); got != "Hello, world!\n" {
		t.Errorf("hello says %q", got)
	}
}

func TestRebootIsAReboot(t *testing.T) {
	h := Fresh(t)
	h.Run(t, "echo web1 >/etc/hostname.new && mv /etc/hostname.new /etc/hostname; touch /tmp/gone /root/kept")
	before := h.Run(t, "cat "+bootID)
	h.Reboot(t)
	if after := h.Run(t, "cat "+bootID); after == before {
		t.Errorf("boot id %q after a reboot is the one before", after)
	}
	if got := h.Run(t, "hostname; cd /tmp; ls gone 2>/dev/null; ls /root"); got != "web1\nkept\n" {
		t.Errorf("after a reboot: %q", got)
	}
	if out, err := overSSH(t, h, "", "echo here"); err != nil || out != "here\n" {
		t.Errorf("ssh after a reboot: %q, %v", out, err)
	}
}

func TestHostsAreShared(t *testing.T) {
	if a, b := Debian(t), Debian(t); *a != *b {
		t.Errorf("two calls give two hosts: %+v and %+v", a, b)
	}
	r := debian()
	if newSetup(nil).digest(r) == newSetup([]Option{AsAdmin()}).digest(r) {
		t.Error("hosts with and without an option would be shared")
	}
}

func TestFleetIsDistinctHosts(t *testing.T) {
	hosts := Fleet(t, 3)
	seen := map[string]bool{}
	for _, h := range hosts {
		for line := range strings.Lines(h.Run(t, "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub "+bootID)) {
			if seen[line] {
				t.Errorf("two hosts have the same %q", line)
			}
			seen[line] = true
		}
		if out, err := overSSH(t, h, "", "true"); err != nil {
			t.Errorf("ssh to %s: %q, %v", h.Name, out, err)
		}
	}
}

func TestOddHosts(t *testing.T) {
	sudo := func(t *testing.T, h *Host, stdin, command string) string {
		t.Helper()
		out, err := overSSH(t, h, stdin, command)
		if err != nil {
			return "failed"
		}
		return out
	}
	t.Run("AsAdmin", func(t *testing.T) {
		h := Fresh(t, AsAdmin(), NoSFTP(), MaxSessions1(), NoexecTmp(), FullDisk(), KillUserProcesses(), OldOpenSSH(), BusyboxSh(), NoisyShell())
		if got := sudo(t, h, "", "sudo -n id -un"); !strings.HasSuffix(got, "\nroot\n") || !strings.HasPrefix(got, "Welcome") {
			t.Errorf("sudo without a password, after noise: %q", got)
		}
		if out, err := exec.CommandContext(t.Context(), "ssh", append([]string{"-s"}, append(h.SSHArgs(), "sftp")...)...).Output(); err == nil {
			t.Errorf("the SFTP subsystem answers: %q", out)
		}
		config := h.Run(t, "sshd -T")
		for _, want := range []string{"maxsessions 1\n", "\nkexalgorithms curve25519-sha256,", "hostkeyalgorithms ssh-rsa,"} {
			if !strings.Contains(config, want) {
				t.Errorf("sshd -T lacks %q", want)
			}
		}
		if strings.Contains(config, "sntrup") {
			t.Error("sshd offers a key exchange that OpenSSH 7.4 does not know")
		}
		if got := h.Status(t, "cp /bin/true /tmp/true && /tmp/true"); got != 126 {
			t.Errorf("a program in /tmp exits %d, want 126 for noexec", got)
		}
		if h.Status(t, "echo x >/full/file && test -s /full/file") == 0 {
			t.Error("there is room on the full disk")
		}
		if got := h.Run(t, "readlink -f /bin/sh; busctl get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager KillUserProcesses"); got != "/usr/bin/busybox\nb true\n" {
			t.Errorf("/bin/sh and KillUserProcesses: %q", got)
		}
	})
	t.Run("AsAdminPassword", func(t *testing.T) {
		h := Fresh(t, AsAdminPassword(), RequireTTY(), FishLogin(), BashSh())
		if got := sudo(t, h, "", "set -l x 1; echo $version"); !strings.HasPrefix(got, "3.") {
			t.Errorf("fish is not the login shell: %q", got)
		}
		if got := sudo(t, h, h.Password+"\n", "sudo -S -p '' id -un"); got != "failed" {
			t.Errorf("sudo without a terminal: %q", got)
		}
		h.Run(t, "rm /etc/sudoers.d/requiretty")
		if got := sudo(t, h, h.Password+"\n", "sudo -S -p '' id -un"); got != "root\n" {
			t.Errorf("sudo with the password: %q", got)
		}
		if got := sudo(t, h, "", "sudo -n id -un"); got != "failed" {
			t.Errorf("sudo without the password: %q", got)
		}
		if got := h.Run(t, "readlink -f /bin/sh"); got != "/usr/bin/bash\n" {
			t.Errorf("/bin/sh: %q", got)
		}
	})
	t.Run("AsAdminSu", func(t *testing.T) {
		h := Fresh(t, AsAdminSu(), TcshLogin())
		if got := sudo(t, h, h.Password+"\n", "echo $shell; su -c 'id -un'"); got != "/usr/bin/tcsh\nroot\n" {
			t.Errorf("su with the password, from tcsh: %q", got)
		}
		if got := sudo(t, h, h.Password+"\n", "sudo -S id -un"); got != "failed" {
			t.Errorf("sudo: %q", got)
		}
	})
	t.Run("CshLogin", func(t *testing.T) {
		h := Fresh(t, AsAdmin(), CshLogin(), Edit("echo edited >/etc/motd"))
		if got := sudo(t, h, "", "echo $shell; cat /etc/motd"); got != "/bin/csh\nedited\n" {
			t.Errorf("csh is not the login shell, or no edit: %q", got)
		}
	})
}
