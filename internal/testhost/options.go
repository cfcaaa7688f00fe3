package testhost

import "strings"

// An Option makes a host odd in one way. Options of one kind (two login users, two login shells) exclude each other: the later wins.
type Option func(*setup)

// setup is what the options of one host add up to.
type setup struct {
	recipe   func() recipe
	login    string   // login user
	password bool     // whether the host has a Password
	flags    []string // of docker run
	edits    []string // sh, as root in the booted container, with LOGIN and PASSWORD in the environment
}

func newSetup(opts []Option) setup {
	s := setup{recipe: debian, login: "root"}
	for _, o := range opts {
		o(&s)
	}
	return s
}

// script is one sh program for all that is done to a booted container. systemd's restart of sshd, unlike a reload, returns when the new
// configuration is in force.
func (s setup) script(r recipe) string {
	parts := append([]string{"set -eu", r.prepare, loginScript}, s.edits...)
	return strings.Join(append(parts, inits[r.init].reload), "\n")
}

// loginScript gives the login user a key.
const loginScript = `
getent passwd "$LOGIN" >/dev/null || useradd -m -s /bin/bash "$LOGIN"
home=$(getent passwd "$LOGIN" | cut -d: -f6)
install -d -m 0700 -o "$LOGIN" "$home/.ssh"
printf '%s\n' "$PUBLIC_KEY" >"$home/.ssh/authorized_keys"
chown "$LOGIN" "$home/.ssh/authorized_keys"
`

func edit(script string) Option { return func(s *setup) { s.edits = append(s.edits, script) } }

// Edit runs sh text of the test's own as root in the booted container, before the host is handed out; sshd is restarted after it.
func Edit(script string) Option { return edit(script) }

// AsAdmin logs in as the user admin, who may use sudo without a password. Without an option the login user is root.
func AsAdmin() Option {
	return func(s *setup) {
		s.login, s.password = "admin", false
		s.edits = append(s.edits, `echo "$LOGIN ALL=(ALL:ALL) NOPASSWD: ALL" >/etc/sudoers.d/login`)
	}
}

// AsAdminPassword logs in as the user admin, whom sudo asks for [Host.Password]. sshd takes that password too.
func AsAdminPassword() Option {
	return func(s *setup) {
		s.login, s.password = "admin", true
		s.edits = append(s.edits, `usermod -aG "$(getent group wheel sudo | sed 's/:.*//;q')" "$LOGIN"; echo "$LOGIN:$PASSWORD" | chpasswd`)
	}
}

// AsAdminSu logs in as the user admin, who may not use sudo but can become root by su with [Host.Password].
func AsAdminSu() Option {
	return func(s *setup) {
		s.login, s.password = "admin", true
		s.edits = append(s.edits, `echo "root:$PASSWORD" | chpasswd`)
	}
}

// RequireTTY makes sudo refuse to run without a terminal, as CentOS 6 and some images of 7 do.
func RequireTTY() Option { return edit(`echo "Defaults requiretty" >/etc/sudoers.d/requiretty`) }

// NoSFTP takes the SFTP subsystem away.
func NoSFTP() Option { return edit(`sed -i '/^Subsystem/d' /etc/ssh/sshd_config`) }

// MaxSessions1 allows one session at a time on a connection.
func MaxSessions1() Option {
	return edit(`echo "MaxSessions 1" >/etc/ssh/sshd_config.d/sessions.conf`)
}

// FishLogin makes fish the login user's shell.
func FishLogin() Option { return edit(`usermod -s /usr/bin/fish "$LOGIN"`) }

// CshLogin makes /bin/csh the login user's shell (on Debian it is tcsh under its old name).
func CshLogin() Option { return edit(`usermod -s /bin/csh "$LOGIN"`) }

// TcshLogin makes tcsh the login user's shell.
func TcshLogin() Option { return edit(`usermod -s /usr/bin/tcsh "$LOGIN"`) }

// NoisyShell makes every login shell's start-up file print junk on both stdout and stderr. bash reads .bashrc for a command of
// sshd too, so the junk comes before the command's own output.
func NoisyShell() Option {
	return edit(`
home=$(getent passwd "$LOGIN" | cut -d: -f6)
mkdir -p "$home/.config/fish"
for f in .bashrc .profile .cshrc .config/fish/config.fish; do
	touch "$home/$f"
	{ echo 'echo "Welcome, last login never."'; echo "printf '\\033[1;31m[motd]\\033[0m\\n'"; echo "sh -c 'echo noise >&2'"; cat "$home/$f"; } >"$home/.noisy"
	mv "$home/.noisy" "$home/$f"
	chmod 0644 "$home/$f"
done
chown -R "$LOGIN" "$home/.config" "$home/.bashrc" "$home/.profile" "$home/.cshrc"`)
}

// NoexecTmp mounts /tmp noexec.
func NoexecTmp() Option {
	return func(s *setup) { s.flags = append(s.flags, "--tmpfs", "/tmp:noexec,mode=1777") }
}

// FullDisk mounts a file system of 1 MiB with no byte left at /full.
func FullDisk() Option {
	return func(s *setup) {
		s.flags = append(s.flags, "--tmpfs", "/full:size=1m")
		s.edits = append(s.edits, `head -c 2097152 /dev/zero >/full/ballast 2>/dev/null || test -s /full/ballast`)
	}
}

// KillUserProcesses makes logind kill what a user's last session leaves running.
func KillUserProcesses() Option {
	return edit(`
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\nKillUserProcesses=yes\n' >/etc/systemd/logind.conf.d/kill.conf
systemctl restart systemd-logind`)
}

// OldOpenSSH limits sshd to the algorithms of CentOS 7's OpenSSH 7.4 that today's sshd still knows (blowfish and cast128 are gone).
func OldOpenSSH() Option {
	return edit(`cat >/etc/ssh/sshd_config.d/old.conf <<'END'
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha256,diffie-hellman-group14-sha1,diffie-hellman-group1-sha1
Ciphers chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-cbc,aes192-cbc,aes256-cbc,3des-cbc
MACs umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1
HostKeyAlgorithms ssh-rsa,rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256,ssh-ed25519
PubkeyAcceptedAlgorithms ssh-ed25519,ssh-rsa,rsa-sha2-256,rsa-sha2-512,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521
END`)
}

// BusyboxSh makes busybox /bin/sh.
func BusyboxSh() Option { return edit(`ln -s busybox /bin/sh.new && mv /bin/sh.new /bin/sh`) }

// BashSh makes bash /bin/sh, as on CentOS.
func BashSh() Option { return edit(`ln -s bash /bin/sh.new && mv /bin/sh.new /bin/sh`) }
