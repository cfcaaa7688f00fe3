//go:build acceptance

package acceptance

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"provision/internal/testhost"
)

// everyday uses each way in which something reaches a host: text in the program, a secret that is staged, a large local file, a
// script with input, another user.
const everyday = `step "user" "app" {
  name = "bicycle"
}

step "file" "text" {
  path    = "/etc/odd.conf"
  content = "it's 100% \"odd\"\n\ttab \\n\n"
}

step "env_file" "secret" {
  path   = "/etc/odd.env"
  values = { KEY = "it's $ecret" }
}

step "file" "large" {
  path   = "/etc/odd.bin"
  source = "large.bin"
}

step "command" "input" {
  stdin   = "from stdin\n"
  script  = "cat >/etc/odd.in; echo said; echo warned >&2"
  creates = "/etc/odd.in"
}

step "command" "theirs" {
  run_as  = "bicycle"
  script  = "id -un"
  only_if = "! test -e /home/bicycle/made"
}

step "file" "made" {
  run_as  = "bicycle"
  path    = "/home/bicycle/made"
  content = "x"
}
`

// large is 1 MiB in which every byte occurs.
func large() []byte {
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(i * (i >> 8))
	}
	return b
}

func TestOddHosts(t *testing.T) {
	t.Parallel()
	hosts := map[string][]testhost.Option{
		"busybox sh, no SFTP, one session": {testhost.AsAdmin(), testhost.BusyboxSh(), testhost.NoSFTP(), testhost.MaxSessions1()},
		"bash as sh, fish, noise":          {testhost.AsAdmin(), testhost.BashSh(), testhost.FishLogin(), testhost.NoisyShell()},
		"tcsh, noexec tmp, OpenSSH 7.4":    {testhost.AsAdmin(), testhost.TcshLogin(), testhost.NoexecTmp(), testhost.OldOpenSSH()},
		"noise, sessions killed":           {testhost.AsAdmin(), testhost.NoisyShell(), testhost.KillUserProcesses()},
		"root, busybox sh, noise, no SFTP": {testhost.BusyboxSh(), testhost.NoisyShell(), testhost.NoSFTP()},
		"root, csh, one session":           {testhost.CshLogin(), testhost.MaxSessions1()},
	}
	for name, options := range hosts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := testhost.Fresh(t, options...)
			b := newBook(t, h, everyday)
			if err := os.WriteFile(b.path("large.bin"), large(), 0o600); err != nil {
				t.Fatal(err)
			}
			before := takeSnapshot(t, h)
			if o := b.plan(); o.exit != 2 {
				t.Fatalf("plan: exit %d\n%s", o.exit, o.dump())
			}
			untouched(t, h, before)
			o := b.applied()
			if got := o.output("step.command.input"); got != "said\nwarned\n" && got != "warned\nsaid\n" {
				t.Errorf("the command printed %q", got)
			}
			if got := o.output("step.command.theirs"); got != "bicycle\n" {
				t.Errorf("as another user it printed %q", got)
			}
			b.converged()
			for path, want := range map[string]string{
				"/etc/odd.conf": "it's 100% \"odd\"\n\ttab \\n\n", "/etc/odd.bin": string(large()), "/etc/odd.in": "from stdin\n",
			} {
				if got := h.Run(t, "cat "+path); got != want {
					t.Errorf("%s has %d other bytes: %.80q", path, len(got), got)
				}
			}
			if got := h.Run(t, ". /etc/odd.env; printf %s \"$KEY\"; stat -c ' %a' /etc/odd.env"); got != "it's $ecret 600\n" {
				t.Errorf("the environment file gives %q", got)
			}
			tidy(t, h)
		})
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.FullDisk())
	h.Run(t, "rm /full/ballast; echo old >/full/conf; cat /dev/zero >/full/ballast 2>/dev/null || true")
	b := newBook(t, h, fmt.Sprintf(`step "file" "conf" {
  path    = "/full/conf"
  content = %q
}
`, strings.Repeat("new\n", 20000)))
	o := b.apply()
	if end := o.end("step.file.conf"); o.exit != 1 || end.Status != "failed" || !strings.Contains(end.Error.Message, "No space left") {
		t.Errorf("exit %d, %+v %+v\n%s", o.exit, end, end.Error, o.dump())
	}
	if got := h.Run(t, "cat /full/conf; ls -A /full"); got != "old\nballast\nconf\n" {
		t.Errorf("after a full disk: %q", got)
	}
	h.Run(t, "rm /full/ballast")
	b.applied()
	b.converged()
}

func TestJump(t *testing.T) {
	t.Parallel()
	hosts := testhost.Fleet(t, 2, testhost.AsAdmin())
	bastion, inner := hosts[0], hosts[1]
	address := strings.Fields(inner.Run(t, "hostname -I"))[0]
	known, err := os.ReadFile(inner.KnownHostsFile)
	if err != nil {
		t.Fatal(err)
	}
	b := newBook(t, bastion, `play "inner" {
  hosts  = ["inner"]
  become = true

  step "command" "from" {
    script  = "echo $(cat /root/came-from)"
    only_if = "! test -e /root/jumped"
  }

  step "file" "jumped" {
    path   = "/root/jumped"
    source = "large.bin"
  }
}
`)
	inner.Run(t, "echo here >/root/came-from")
	if err := os.WriteFile(b.path("large.bin"), large(), 0o600); err != nil {
		t.Fatal(err)
	}
	b.write("inner_known_hosts", string(bytes.ReplaceAll(known, fmt.Appendf(nil, "[%s]:%d ", inner.Addr, inner.Port), []byte(address+" "))))
	b.write("inner.hcl", fmt.Sprintf("host \"inner\" {\n  address = %q\n  user = %q\n  identity_file = %q\n  known_hosts_file = \"inner_known_hosts\"\n  jump = [\"h\"]\n}\n",
		address, inner.User, inner.KeyFile))
	o := b.apply("--limit", "inner")
	if o.exit != 0 {
		t.Fatalf("exit %d\n%s", o.exit, o.dump())
	}
	if got := inner.Run(t, "cat /root/jumped"); got != string(large()) {
		t.Errorf("the file that came by way of the bastion differs: %d bytes", len(got))
	}
	via := strings.Fields(bastion.Run(t, "hostname -I"))[0]
	inner.Run(t, "journalctl --no-pager -o cat -u ssh.service | grep -q 'Accepted publickey for admin from "+via+" '")
	bastion.Run(t, "! test -e /root/jumped")
	tidy(t, inner)
	tidy(t, bastion)
	// A hop's key is checked like any other.
	b.write("known_hosts_of_nobody", "")
	text, err := os.ReadFile(b.path("hosts.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	b.write("hosts.hcl", strings.ReplaceAll(string(text), fmt.Sprintf("known_hosts_file = %q", bastion.KnownHostsFile), `known_hosts_file = "known_hosts_of_nobody"`))
	if o := b.plan("--limit", "inner"); o.exit != 3 || !strings.Contains(o.stdout, "provision trust") {
		t.Errorf("a bastion with an unknown key: exit %d, want 3 and a word about trust\n%s", o.exit, o.dump())
	}
}
