//go:build acceptance

package acceptance

import (
	"fmt"
	"strings"
	"testing"

	"provision/internal/testhost"
)

// A unitState is what a unit is, or what a step wants of it: "" is not looked at.
type unitState struct{ running, enabled, masked string }

func (u unitState) over(before unitState) unitState {
	for _, part := range []struct{ to, from *string }{{&u.running, &before.running}, {&u.enabled, &before.enabled}, {&u.masked, &before.masked}} {
		if *part.to == "" {
			*part.to = *part.from
		}
	}
	return u
}

// TestServiceTransitions takes units from every state that they can be in to every state that a step can ask for, all at once.
func TestServiceTransitions(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.AsAdmin())
	yesNo, any := []string{"no", "yes"}, []string{"", "no", "yes"}
	var setup, book, show strings.Builder
	var want []string
	setup.WriteString("mkdir -p /usr/local/lib/systemd/system && cd /usr/local/lib/systemd/system\n")
	var later strings.Builder
	n := 0
	for _, running := range yesNo {
		for _, enabled := range yesNo {
			for _, masked := range yesNo {
				before := unitState{running, enabled, masked}
				for _, wantRunning := range any {
					for _, wantEnabled := range any {
						for _, wantMasked := range any {
							wanted := unitState{wantRunning, wantEnabled, wantMasked}
							after := wanted.over(before)
							if after.masked == "yes" && (wantRunning == "yes" || wantEnabled == "yes") || wanted == (unitState{}) {
								continue // refused, which the data files of the kind have
							}
							n++
							name := fmt.Sprintf("u%d", n)
							fmt.Fprintf(&setup, "printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n[Install]\\nWantedBy=multi-user.target\\n' >%s.service\n", name)
							for verb, yes := range map[string]string{"enable": enabled, "start": running} {
								if yes == "yes" {
									fmt.Fprintf(&later, "%s %s\n", verb, name)
								}
							}
							if masked == "yes" {
								fmt.Fprintf(&later, "mask %s\n", name)
							}
							fmt.Fprintf(&book, "step \"service\" %q {\n  name = %q\n", name, name)
							if wantRunning != "" {
								fmt.Fprintf(&book, "  state = %q\n", map[string]string{"yes": "started", "no": "stopped"}[wantRunning])
							}
							if wantEnabled != "" {
								fmt.Fprintf(&book, "  enabled = %v\n", wantEnabled == "yes")
							}
							if wantMasked != "" {
								fmt.Fprintf(&book, "  masked = %v\n", wantMasked == "yes")
							}
							book.WriteString("}\n")
							want = append(want, fmt.Sprintf("%s %s", name, after))
						}
					}
				}
			}
		}
	}
	byVerb := map[string][]string{}
	for line := range strings.Lines(later.String()) {
		verb, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		byVerb[verb] = append(byVerb[verb], name)
	}
	setup.WriteString("systemctl daemon-reload\n")
	for _, verb := range []string{"enable", "start", "mask"} {
		fmt.Fprintf(&setup, "systemctl -q %s %s\n", verb, strings.Join(byVerb[verb], " "))
	}
	h.Run(t, setup.String())
	fmt.Fprintf(&show, "cd /etc/systemd/system; for i in $(seq %d); do r=no e=no m=no; ! systemctl -q is-active u$i || r=yes; [ ! -h multi-user.target.wants/u$i.service ] || e=yes; [ ! -h u$i.service ] || m=yes; echo \"u$i {$r $e $m}\"; done", n)

	b := newBook(t, h, book.String())
	b.applied()
	if got := strings.TrimSpace(h.Run(t, show.String())); got != strings.Join(want, "\n") {
		for i, line := range strings.Split(got, "\n") {
			if line != want[i] {
				t.Errorf("%s, want %s", line, want[i])
			}
		}
	}
	b.converged()
}

// TestServiceOddUnits has units that are more than enabled or disabled: each asked for once, converging, and told apart.
func TestServiceOddUnits(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.AsAdmin())
	h.Run(t, `mkdir -p /usr/local/lib/systemd/system /srv/units && cd /usr/local/lib/systemd/system
unit() { printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/%s\n' "${2:-true}" >"$1"; }
install() { printf '[Install]\n%s\n' "$2" >>"$1"; }
unit app.service; install app.service 'WantedBy=multi-user.target
Alias=webapp.service'
unit worker@.service; install worker@.service 'WantedBy=multi-user.target
DefaultInstance=main'
unit quiet.service
unit runtime.service; install runtime.service WantedBy=multi-user.target
unit hidden.service; install hidden.service WantedBy=multi-user.target
unit broken.service false; install broken.service WantedBy=multi-user.target
unit /srv/units/linked.service; install /srv/units/linked.service WantedBy=multi-user.target
printf '#!/bin/sh\n### BEGIN INIT INFO\n# Provides: oldie\n# Required-Start:\n# Required-Stop:\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\ncase $1 in start) sleep 1000 & ;; esac\n' >/etc/init.d/oldie
chmod 755 /etc/init.d/oldie
systemctl daemon-reload
systemctl -q enable app
systemctl -q enable --runtime runtime
systemctl -q mask --runtime hidden
systemctl -q link /srv/units/linked.service
systemctl start broken || :`)
	b := newBook(t, h, "")
	for _, c := range []struct{ name, step, look, want string }{
		{"an alias is enabled already", `name = "webapp"
  enabled = true
  state   = "started"`, "systemctl is-enabled app; systemctl is-active app", "enabled\nactive\n"},
		{"an alias is disabled with its unit", `name = "webapp"
  enabled = false`, "systemctl is-enabled app || :", "disabled\n"},
		{"a template", `name = "worker@"
  enabled = true`, "ls /etc/systemd/system/multi-user.target.wants | grep worker", "worker@main.service\n"},
		{"an instance", `name = "worker@two"
  enabled = true
  state   = "started"`, "systemctl is-enabled worker@two; systemctl is-active worker@two", "enabled\nactive\n"},
		{"a static unit", `name = "quiet"
  enabled = false
  state   = "started"`, "systemctl is-active quiet", "active\n"},
		{"enabled until the next boot", `name = "runtime"
  enabled = true`, "ls /etc/systemd/system/multi-user.target.wants | grep runtime", "runtime.service\n"},
		{"disabled for good and until the next boot", `name = "runtime"
  enabled = false`, "systemctl is-enabled runtime || :", "disabled\n"},
		{"masked until the next boot", `name = "hidden"
  masked = true`, "readlink /etc/systemd/system/hidden.service", "/dev/null\n"},
		{"no mask of either sort", `name = "hidden"
  masked = false
  enabled = true`, "systemctl is-enabled hidden", "enabled\n"},
		{"linked", `name = "linked"
  enabled = true`, "systemctl is-enabled linked", "enabled\n"},
		{"an init script", `name = "oldie"
  enabled = true
  state   = "started"`, "systemctl is-active oldie; ls /etc/rc3.d | grep -c oldie", "active\n1\n"},
		{"an init script is disabled", `name = "oldie"
  enabled = false
  state   = "stopped"`, "systemctl is-active oldie; ls /etc/rc3.d | grep -c S..oldie || :", "inactive\n0\n"},
		{"a unit that does not exist yet", `name = "later"
  masked = true`, "readlink /etc/systemd/system/later.service", "/dev/null\n"},
		{"a failed unit is stopped", `name = "broken"
  state = "stopped"`, "systemctl is-active broken || :", "failed\n"},
	} {
		b.steps(fmt.Sprintf("step \"service\" \"s\" {\n  %s\n}\n", c.step))
		b.applied()
		if got := h.Run(t, c.look); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		b.converged()
	}
	// A restart that fails says why, and is owed to the next run.
	b.steps(`step "file" "unit" {
  path    = "/usr/local/lib/systemd/system/app.service"
  content = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo no such port >&2; exit 7'\n[Install]\nWantedBy=multi-user.target\n"
}
step "service" "app" {
  name      = "app"
  on_change = { restart = [step.file.unit] }
}
`)
	if out := b.apply(); out.exit != 1 || !strings.Contains(out.dump(), "no such port") {
		t.Errorf("a restart that fails: exit %d\n%s", out.exit, out.dump())
	}
}
