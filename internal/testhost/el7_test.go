package testhost

import (
	"strings"
	"testing"
)

// What programs and people ask a system about itself, and what fresh CentOS 7 answers.
func TestEL7LooksLikeCentOS7(t *testing.T) {
	h := EL7(t, AsAdminPassword(), OldOpenSSH())
	for script, want := range map[string]string{
		". /etc/os-release; echo $ID $VERSION_ID, $ID_LIKE, $PRETTY_NAME":                                 "centos 7, rhel fedora, CentOS Linux 7 (Core)",
		"cat /etc/centos-release /etc/redhat-release":                                                     "CentOS Linux release 7.9.2009 (Core)\nCentOS Linux release 7.9.2009 (Core)",
		"for c in yum rpm dnf apt-get apt dpkg python3 wget git gcc make cc; do command -v $c; done || :": "/usr/bin/yum\n/usr/bin/rpm",
		"sqlite3 --version | cut -d' ' -f1":                                                               "3.7.17",
		"getent group wheel | cut -d: -f1,3":                                                              "wheel:10",
		"sudo -u nobody -n true 2>/dev/null; sudo printenv PATH":                                          "/sbin:/bin:/usr/sbin:/usr/bin",
		"adduser bicycle; getent passwd bicycle | cut -d: -f6,7; stat -c %a /home/bicycle":                "/home/bicycle:/bin/bash\n700",
		"readlink /bin/sh":                     "bash",
		"systemctl is-system-running":          "running",
		"rpm -q centos-release":                "centos-release-7-9.2009.0.el7.centos.x86_64",
		"yum -q repolist | grep -c CentOS-7 -": "3",
	} {
		if got := strings.TrimSpace(h.Run(t, script)); got != want {
			t.Errorf("%s\n%q, want %q", script, got, want)
		}
	}
	if out, err := overSSH(t, h, h.Password+"\n", "sudo -S -p '' id -un"); err != nil || out != "root\n" {
		t.Errorf("wheel's sudo with a password: %q, %v", out, err)
	}
	if h.Status(t, "yum -q -y install wget") == 0 {
		t.Error("yum installs although the mirror list is gone")
	}
}

func TestEL7Reboots(t *testing.T) {
	h := EL7(t, AsAdmin())
	h.Reboot(t)
	if out, err := overSSH(t, h, "", "sudo -n id -un"); err != nil || out != "root\n" {
		t.Errorf("sudo after a reboot: %q, %v", out, err)
	}
}
