//go:build acceptance

package acceptance

import (
	"strings"
	"testing"

	"provision/internal/testhost"
)

// TestSystemdUnitLife takes a unit and its drop-in through changes, and asks systemd what came of them.
func TestSystemdUnitLife(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t)
	unit := func(more, sleep, wanted string) string {
		return `step "systemd_unit" "app" {
  name    = "app.service"
  ` + more + `
  content = "[Service]\nExecStart=/bin/sleep ` + sleep + `\n[Install]\nWantedBy=` + wanted + `\n"
}
`
	}
	dropIn := func(limit string) string {
		return `step "systemd_unit" "limits" {
  name    = "app.service"
  drop_in = "limits"
  content = "[Service]\nLimitNOFILE=` + limit + `\n"
}
`
	}
	const on = "enabled = true\n  running = true"
	b := newBook(t, h, "")
	is := func(what, script, want string) {
		t.Helper()
		if got := strings.TrimSpace(h.Run(t, script)); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	const (
		limit   = `grep 'open files' /proc/$(systemctl show -p MainPID --value app)/limits | awk '{ print $4 }'`
		command = `tr '\0' ' ' </proc/$(systemctl show -p MainPID --value app)/cmdline`
		links   = `cd /etc/systemd/system; ls -d *.wants/app.service; true`
	)
	steps := func(text string) {
		t.Helper()
		b.steps(text)
		b.applied()
		b.converged()
	}
	steps(unit(on, "101", "multi-user.target"))
	is("what runs", command, "/bin/sleep 101")
	steps(unit(on, "101", "multi-user.target") + dropIn("4001"))
	is("the limit of the first drop-in", limit, "4001")
	steps(unit(on, "102", "graphical.target") + dropIn("4002"))
	is("the limit after a change", limit, "4002")
	is("what runs after a change", command, "/bin/sleep 102")
	is("the links after a change of [Install]", links, "graphical.target.wants/app.service")

	// What systemd refuses, or would pass over, is not written.
	for text, says := range map[string]string{
		unit(on, "103\\nExecStartPre=/bin/nothing-here", "graphical.target"): "nothing-here is not executable",
		unit(on, "103\\nRestrt=always", "graphical.target"):                  "Restrt",
		unit("", "102", "graphical.target") + dropIn("many"):                 "many",
	} {
		b.steps(text)
		if o := b.apply(); o.exit != 1 || !strings.Contains(o.dump(), says) {
			t.Errorf("a unit with a fault: exit %d, want 1 and %q\n%s", o.exit, says, o.dump())
		}
		is("what runs after a refusal", command, "/bin/sleep 102")
		is("what lies there after a refusal", "grep -c 102 /etc/systemd/system/app.service; cat /etc/systemd/system/app.service.d/limits.conf; ls /tmp | grep -c tmp; true", "1\n[Service]\nLimitNOFILE=4002\n0")
	}

	// A link that is gone is made again; what a cut run has not restarted is restarted by the next.
	b.steps(unit(on, "102", "graphical.target") + dropIn("4002"))
	h.Run(t, "rm /etc/systemd/system/graphical.target.wants/app.service; sleep 1; systemctl daemon-reload; mkdir -p /run/provision-units; touch /run/provision-units/app.service.d:limits.conf")
	was := h.Run(t, "systemctl show -p MainPID app")
	b.applied()
	b.converged()
	is("the links after one was removed", links, "graphical.target.wants/app.service")
	if h.Run(t, "systemctl show -p MainPID app") == was {
		t.Error("what a cut run had written was not restarted")
	}

	steps(`step "systemd_unit" "limits" {
  name    = "app.service"
  drop_in = "limits"
  state   = "absent"
}
`)
	is("the directory of the drop-in", "ls -d /etc/systemd/system/app.service.d; true", "")
	is("the limit without the drop-in", limit+" | grep -c 4002; true", "0")
	steps(`step "systemd_unit" "app" {
  name  = "app.service"
  state = "absent"
}
`)
	is("what is left", "systemctl show -p LoadState --value app; ls -d /etc/systemd/system/app* /run/provision-units/*; "+links, "not-found")
}
