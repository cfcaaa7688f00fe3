//go:build acceptance

package acceptance

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"provision/internal/testhost"
)

// A saved plan of two hosts: stale on one, it leaves both as they are; in the state that it was made from, it is applied to both.
func TestSavedPlanOfTwoHosts(t *testing.T) {
	t.Parallel()
	hosts := testhost.Fleet(t, 2, testhost.AsAdmin())
	b := newBook(t, hosts[0], `
variable "token" {
  sensitive = true
}

step "group" "app" {
  name = "bicycle"
}

step "user" "app" {
  name   = "bicycle"
  groups = ["bicycle"]
}

step "directory" "app" {
  path  = "/srv/app"
  owner = "bicycle"
  mode  = "0750"
}

step "env_file" "env" {
  path   = "/srv/app/.env"
  owner  = "bicycle"
  values = { TOKEN = var.token }
}

step "file" "motd" {
  path    = "/etc/motd"
  content = "hello from ${host.name}\n"
}

step "command" "id" {
  script  = "cat >/srv/app/stdin; id -un"
  stdin   = "${var.token}-stdin"
  run_as  = "bicycle"
  creates = "/srv/app/stdin"
}

step "file" "id" {
  path    = "/srv/app/id"
  content = "${step.command.id.stdout}\n"
  when    = step.command.id.changed
}

step "command" "told" {
  script    = "echo again >>/srv/told"
  on_change = [step.file.motd]
}
`)
	second := hosts[1]
	b.write("second.hcl", fmt.Sprintf("host \"h2\" {\n  address = %q\n  port = %d\n  user = %q\n  identity_file = %q\n  known_hosts_file = %q\n  become = true\n}\n",
		second.Addr, second.Port, second.User, second.KeyFile, second.KnownHostsFile))
	const token = "S3cretToken-wd81"
	if o := b.plan("--out", "p", "--var", "token="+token); o.exit != 2 {
		t.Fatalf("plan: exit %d\n%s", o.exit, o.dump())
	}
	if file, err := os.ReadFile(b.path("p")); err != nil || strings.Contains(string(file), token) {
		t.Fatalf("the token is in the saved plan, or %v", err)
	}

	second.Run(t, "cp /etc/motd /root/motd && echo by hand >/etc/motd")
	before := []snapshot{takeSnapshot(t, hosts[0]), takeSnapshot(t, second)}
	o := b.run("apply", "p", "--var", "token="+token)
	if o.exit != 4 || !strings.Contains(o.stdout, "step.file.motd (steps.hcl:") || !strings.Contains(o.stdout, "the host is not as it was") || len(o.verdicts()) > 0 {
		t.Fatalf("apply of a stale plan: exit %d\n%s", o.exit, o.dump())
	}
	for i, h := range hosts {
		untouched(t, h, before[i])
	}

	second.Run(t, "cp /root/motd /etc/motd")
	if o := b.run("apply", "p", "--var", "token="+token); o.exit != 0 {
		t.Fatalf("apply of the plan: exit %d\n%s", o.exit, o.dump())
	}
	for _, h := range hosts {
		if got := h.Run(t, "cat /srv/app/.env /srv/app/id /srv/told"); got != "TOKEN="+token+"\nbicycle\nagain\n" {
			t.Errorf("the host has %q", got)
		}
		tidy(t, h)
	}
	if o := b.plan("--var", "token="+token); o.exit != 0 {
		t.Errorf("plan after it: exit %d, changes %v", o.exit, o.changes())
	}
	if o := b.run("apply", "p", "--var", "token="+token); o.exit != 4 || len(o.verdicts()) > 0 {
		t.Errorf("the same plan once more: exit %d\n%s", o.exit, o.dump())
	}
}
