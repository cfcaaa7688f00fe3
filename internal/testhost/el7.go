package testhost

import (
	"context"
	"embed"
	"os"
	"path/filepath"
	"testing"
)

const (
	// centos7Variable names an image of CentOS 7 itself, such as quay.io/centos/centos:centos7, for machines that reach a registry.
	centos7Variable = "PROVISION_TEST_CENTOS7_IMAGE"
	// vaultVariable is the vault for that, if another than CentOS's own is nearer.
	vaultVariable = "PROVISION_TEST_CENTOS7_VAULT"
)

//go:embed el7
var el7Files embed.FS

// releaseFiles are what the mirror needs of these: the packages of the image, once more, newer.
//
//go:embed el7/base.spec el7/os-release el7/CentOS-Base.repo
var releaseFiles embed.FS

//go:embed el7/centos7.sh
var centos7Script string

// EL7 returns a host of the test's own that stands in for a fresh CentOS 7 machine: yum and rpm and no apt, wheel, CentOS's sudoers,
// os-release and repositories, the last of which are dead as they are for everybody since 2024. What yum can install once it is told
// so is on the [Mirror]. With PROVISION_TEST_CENTOS7_IMAGE it is that image instead.
//
// What differs from CentOS 7 is what lies below: Debian 12's systemd, glibc, bash, coreutils and OpenSSH (see [OldOpenSSH]), and dnf
// under the name of yum.
func EL7(t testing.TB, opts ...Option) *Host {
	t.Helper()
	return Fresh(t, append([]Option{CentOS7()}, opts...)...)
}

// CentOS7 makes hosts like [EL7], for [Fleet] or to be shared.
func CentOS7() Option { return func(s *setup) { s.recipe = el7 } }

// rpmTools is the system from which both the host and what it installs are made: what dpkg has there, no rpm needs to bring.
func rpmTools() recipe {
	from := debian()
	return recipe{
		name: "rpm", suite: "bookworm", from: &from,
		packages: []string{"rpm", "dnf", "gpg", "gpg-agent", "iptables", "kmod", "bzip2", "xz-utils"},
	}
}

func el7() recipe {
	if image := os.Getenv(centos7Variable); image != "" {
		return centos7(image)
	}
	from := rpmTools()
	return recipe{
		name: "el7", suite: "bookworm", from: &from,
		files: el7Files, setup: "sh -eu /el7/setup.sh\nrm -r /el7",
		prepare: `mkdir -p /etc/pki/rpm-gpg; printf '%s' "$RPM_KEY" >/etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-7`,
		environment: func(ctx context.Context, docker engine) ([]string, error) {
			dir, err := mirrorContent(ctx, docker)
			if err != nil {
				return nil, err
			}
			key, err := os.ReadFile(filepath.Join(dir, "RPM-GPG-KEY-CentOS-7"))
			return []string{"RPM_KEY=" + string(key)}, err
		},
	}
}

// centos7 is CentOS 7 itself, with what makes it boot and answer: its images have no sshd.
func centos7(image string) recipe {
	return recipe{
		name: "centos7", from: &recipe{name: "centos7-upstream", image: image}, files: el7Files,
		setup: "VAULT='" + centos7Vault() + "'\n" + centos7Script + "\nrm -r /el7\ncat >/sbin/boot <<'BOOT'\n" + bootScript + "\nBOOT\nchmod 0755 /sbin/boot",
	}
}

// centos7Vault is where CentOS 7 itself finds its packages since its mirrors went.
func centos7Vault() string {
	if vault := os.Getenv(vaultVariable); vault != "" {
		return vault
	}
	return "https://vault.centos.org/7.9.2009"
}
