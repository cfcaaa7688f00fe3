package kinds

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"provision/internal/shell"
)

// A packageCase runs one of the shell functions about packages. The programs of the package
// manager are functions that print what the real ones print.
type packageCase struct {
	name, manager string
	programs      string            // functions of sh
	scripts       map[string]string // for names that not every sh takes for a function
	call          string
	want          string // stdout, or what stderr must hold if fails is set
	fails         bool
}

func TestPackageFunctions(t *testing.T) {
	for _, c := range []packageCase{
		{
			name: "dpkg", manager: "apt",
			scripts: map[string]string{"dpkg-query": `	case $* in
	*Provides*) printf '%s\n' 'ii |' 'ii |awk' 'rc |ghost' 'ii |mail-transport-agent, libfoo (= 1.2)' ;;
	*)
		printf '%s\n' 'un |awk||' 'ii |bash|amd64|5.2.15-2+b8' 'ii |libc6|amd64|2.36-9' 'ii |libc6|i386|2.36-9' 'rc |nano|amd64|7.2-1' 'iU |half|amd64|1'
		echo 'dpkg-query: no packages found matching nope' >&2
		exit 1 ;;
	esac`},
			call: "package_versions bash awk nano nope half libc6:i386 libc6 ghost libfoo",
			want: "bash 5.2.15-2+b8\nawk provided\nnano -\nnope -\nhalf -\nlibc6:i386 2.36-9\nlibc6 2.36-9 2.36-9\nghost -\nlibfoo provided\n",
		},
		{
			name: "dpkg broken", manager: "apt",
			scripts: map[string]string{"dpkg-query": "echo 'dpkg-query: error: parsing file /var/lib/dpkg/status' >&2; exit 2"},
			call:    "package_versions bash", want: "dpkg --audit", fails: true,
		},
		{
			name: "rpm", manager: "yum",
			programs: `rpm() {
	case $* in
	*whatprovides*) printf '%s\n' 'no package provides nope' 'vim-enhanced'; return 1 ;;
	esac
	printf '%s\n' 'bash|x86_64|4.2.46-35.el7_9' 'package vim is not installed' 'docker-ce|x86_64|3:26.1.4-1.el7' \
		'kernel|x86_64|3.10.0-957.el7' 'kernel|x86_64|3.10.0-1160.el7' 'package nope is not installed' 'glibc|x86_64|2.17-326.el7_9' 'glibc|i686|2.17-326.el7_9' 'glibc|i686|2.17-326.el7_9'
	return 2
}`,
			call: "package_versions bash vim docker-ce kernel nope glibc.i686",
			want: "bash 4.2.46-35.el7_9\nvim provided\ndocker-ce 3:26.1.4-1.el7\nkernel 3.10.0-957.el7 3.10.0-1160.el7\nnope -\nglibc.i686 2.17-326.el7_9 2.17-326.el7_9\n",
		},
		{
			// rpm says "not installed" of everything when it cannot read its database.
			name: "rpm broken", manager: "dnf",
			programs: `rpm() { echo 'error: cannot open Packages index using db5' >&2; echo "package bash is not installed"; return 1; }`,
			call:     "package_versions bash", want: "could not read its database", fails: true,
		},
		{
			name: "pacman", manager: "pacman",
			programs: `pacman() { echo 'bash 5.2.026-2'; echo "error: package 'nope' was not found" >&2; echo 'bash 5.2.026-2'; return 1; }`,
			call:     "package_versions bash nope sh", want: "bash 5.2.026-2\nnope -\nsh provided\n",
		},
		{
			name: "no manager", manager: "",
			call: "package_versions bash", want: "no package manager", fails: true,
		},
		{
			// yum of CentOS 7 breaks lines at 80 columns when it does not write to a terminal.
			name: "yum updates", manager: "yum",
			programs: `lists_files() { :; }
yum() {
	cat <<'END'

bash.x86_64                           4.2.46-35.el7_9                    updates
java-1.8.0-openjdk-headless.x86_64
                                      1:1.8.0.412.b08-1.el7_9            updates
kernel.x86_64                         3.10.0-1160.119.1.el7              updates
Security: kernel-3.10.0 is an installed security update
Obsoleting Packages
grub2.x86_64                          1:2.02-0.87.el7                    updates
    grub2.x86_64                      1:2.02-0.76.el7                    @anaconda
END
	return 100
}
rpm() { printf '%s\n' 'bash.x86_64 4.2.46-31.el7' 'java-1.8.0-openjdk-headless.x86_64 1:1.8.0.242-1.el7' 'kernel.x86_64 3.10.0-862.el7' 'kernel.x86_64 3.10.0-957.el7'; }`,
			call: "available_updates ''",
			want: "bash 4.2.46-31.el7 4.2.46-35.el7_9\njava-1.8.0-openjdk-headless 1:1.8.0.242-1.el7 1:1.8.0.412.b08-1.el7_9\nkernel 3.10.0-957.el7 3.10.0-1160.119.1.el7\n",
		},
		{
			name: "yum without a cache", manager: "yum",
			programs: `lists_files() { :; }
yum() { echo 'Cannot retrieve repository metadata (repomd.xml) for repository: base' >&2; return 1; }`,
			call: "package_updates bash", want: "updates unknown\n",
		},
		{
			name: "dnf broken", manager: "dnf",
			programs: `lists_files() { :; }
dnf() { echo 'Error: Parsing file "/etc/yum.repos.d/x.repo" failed' >&2; return 1; }`,
			call: "package_updates bash || exit 1", want: "x.repo", fails: true,
		},
		{
			name: "apt updates", manager: "apt",
			programs: "lists_files() { :; }",
			scripts:  map[string]string{"apt-get": `printf '%s\n' 'Inst libssl3 [3.0.16-1] (3.0.17-1 Debian-Security:12/stable-security [amd64])' 'Inst newdep (1.0 Debian:12/stable [amd64])' 'Conf libssl3 (3.0.17-1 x)'`},
			call:     "available_updates ''; echo; available_updates security",
			want:     "libssl3 3.0.16-1 3.0.17-1\nnewdep - 1.0\n\nlibssl3 3.0.16-1 3.0.17-1\n",
		},
		{
			name: "apk updates", manager: "apk",
			programs: `lists_files() { :; }
apk() { printf '%s\n' 'Installed:                                Available:' 'busybox-1.36.1-r2                       < 1.36.1-r5 ' 'so-x-name-2.0_rc1-r0 < 2.0-r0'; }`,
			call: "available_updates ''", want: "busybox 1.36.1-r2 1.36.1-r5\nso-x-name 2.0_rc1-r0 2.0-r0\n",
		},
		{
			name: "zypper updates", manager: "zypper",
			programs: `lists_files() { :; }
zypper() { printf '%s\n' 'Loading repository data...' 'S | Repository | Name | Current Version | Available Version | Arch' '--+--' 'v | Main       | bash | 5.2-1           | 5.2-2             | x86_64'; }`,
			call: "F_UID=1000; available_updates ''", want: "bash 5.2-1 5.2-2\n",
		},
		{
			name: "zypper tells root what is replaced", manager: "zypper",
			programs: `lists_files() { :; }
zypper() {
	case $* in *" update --dry-run "*" -- cherry") ;; *) echo "$*" >&2; return 1 ;; esac
	printf '%s\n' '<to-upgrade>' '<solvable type="package" name="banana" edition="1:1.5-1" arch="noarch" repository="t" edition-old="1:1.0-1" arch-old="noarch" summary="b">' '</to-upgrade>' \
		'<to-install>' '<solvable type="patch" name="TEST" edition="1" arch="noarch" repository="t" summary="x">' '<solvable type="package" name="cherry-ng" edition="2.0-1" arch="noarch" repository="t" summary="c">' '</to-install>' \
		'<to-remove>' '<solvable type="package" name="cherry" edition="1.0-1" arch="noarch" repository="@System" summary="c">' '</to-remove>'
	return 102
}`,
			call: "F_UID=0; available_updates '' cherry", want: "banana 1:1.0-1 1:1.5-1\ncherry 1.0-1 -\ncherry-ng - 2.0-1\n",
		},
		{
			name: "yum tells what is replaced", manager: "yum",
			programs: `lists_files() { :; }
yum() {
	cat <<'END'

apple.noarch                              2.0-1                            test
Obsoleting Packages
a-name-that-is-much-too-long-for-a-line.noarch
                                          2.0-1                            test
    cherry.noarch                         1.0-1                            @test
apple.noarch                              2.0-1                            test
    apple.noarch                          1.0-1                            @test
END
	return 100
}
rpm() { printf '%s\n' 'apple.noarch 1.0-1' 'package a-name-that-is-much-too-long-for-a-line.noarch is not installed'; }`,
			call: "available_updates ''",
			want: "a-name-that-is-much-too-long-for-a-line - 2.0-1 cherry\napple 1.0-1 2.0-1\ncherry 1.0-1 - a-name-that-is-much-too-long-for-a-line\n",
		},
		{
			name: "pacman tells what is replaced", manager: "pacman",
			programs: `lists_files() { :; }
pacman() {
	case $1 in
	-Su) printf '%s\n' 'apple 2.0-1' 'cherry-ng 2.0-1' ;;
	-Q) printf '%s\n' 'apple 1.0-1' 'cherry 1.0-1' 'date 1.0-1' ;;
	-Si) [ "$3" = cherry-ng ] && printf '%s\n' 'Name            : cherry-ng' 'Replaces        : cherry<2  olive' ;;
	esac
}`,
			call: "available_updates ''",
			want: "apple 1.0-1 2.0-1\ncherry 1.0-1 - cherry-ng\ncherry-ng - 2.0-1 cherry\n",
		},
	} {
		for _, sh := range availableShells(t, "") {
			t.Run(c.name+"/"+strings.Join(sh, " "), func(t *testing.T) {
				dir := t.TempDir()
				h := &host{shell: sh, work: filepath.Join(dir, "work")}
				if err := os.Mkdir(h.work, 0o755); err != nil {
					t.Fatal(err)
				}
				for name, text := range c.scripts {
					if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
						t.Fatal(err)
					}
				}
				r := h.fragment(t, "PATH="+dir+":$PATH\nF_PACKAGE_MANAGER='"+c.manager+"'\n"+shell.Strip(packageQuerySource)+shell.Strip(packageListsSource)+shell.Strip(packageUpdatesSource)+c.programs+"\n"+c.call, nil, nil, false)
				if c.fails {
					if r.exit == 0 || !strings.Contains(r.stderr, c.want) {
						t.Fatalf("exit %d, stderr %q; it must fail and say %q", r.exit, r.stderr, c.want)
					}
					return
				}
				if r.exit != 0 || r.stdout != c.want {
					t.Fatalf("exit %d, stderr %q\n got %q\nwant %q", r.exit, r.stderr, r.stdout, c.want)
				}
			})
		}
	}
}

func TestVersionMatches(t *testing.T) {
	for _, c := range []struct {
		installed, wanted string
		want              bool
	}{
		{"3:26.1.4-1.el7", "26.1.4", true},
		{"3:26.1.4-1.el7", "26.1.4-1.el7", true},
		{"3:26.1.4-1.el7", "3:26.1.4", true},
		{"3:26.1.4-1.el7", "26.1", false},
		{"3:26.1.4-1.el7", "26.1*", true},
		{"1.10-1", "1.1", false},
		{"provided", "1.1", false},
	} {
		if got := versionMatches(c.installed, c.wanted); got != c.want {
			t.Errorf("versionMatches(%q, %q) = %v", c.installed, c.wanted, got)
		}
	}
}
