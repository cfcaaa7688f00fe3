//go:build acceptance

package acceptance

import (
	"os"
	"strings"
	"testing"

	"provision/internal/testhost"
)

// TestUutils: every way in which something reaches a host works with uutils in place of GNU coreutils, and a link is replaced at once
// there too, whether what it leads to is there or not.
func TestUutils(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.Uutils())
	b := newBook(t, h, everyday)
	if err := os.WriteFile(b.path("large.bin"), large(), 0o600); err != nil {
		t.Fatal(err)
	}
	b.applied()
	b.converged()
	if got := h.Run(t, "cat /etc/odd.bin"); got != string(large()) {
		t.Errorf("a large file arrived with %d other bytes", len(got))
	}
	tidy(t, h)

	h.Run(t, "mkdir -p /srv/one; ln -s /srv/one /srv/now")
	b.steps(`step "symlink" "now" {
  path   = "/srv/now"
  target = "/srv/two"
}
`)
	// ln onto a path that is taken deletes it first, so no ln may be given that path: the link comes by a rename.
	h.Run(t, `mv /usr/bin/ln /usr/bin/ln.real
printf '#!/bin/sh\necho "$*" >>/run/ln\nexec ln.real "$@"\n' >/usr/bin/ln && chmod 0755 /usr/bin/ln`)
	b.applied()
	if got := h.Run(t, "readlink /srv/now; ls -A /srv; grep -c ' /srv/now$' /run/ln || true"); got != "/srv/two\nnow\none\n0\n" {
		t.Errorf("after the link was turned: %q\n%s", got, h.Run(t, "cat /run/ln"))
	}
	b.converged()
}

func TestSudoRS(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.SudoRS())
	if o := newBook(t, h, asRoot).apply(); o.exit != 1 || !strings.Contains(o.message(), "--ask-become-pass") {
		t.Errorf("no password: exit %d, %q\n%s", o.exit, o.message(), o.dump())
	}
	if o := newBook(t, h, asRoot).with(`become_password = "not-the-password"`).apply(); o.exit != 1 || !strings.Contains(o.message(), "not accepted") {
		t.Errorf("a wrong password: exit %d, %q\n%s", o.exit, o.message(), o.dump())
	}
	b := newBook(t, h, asRoot).with(`become_password = "` + h.Password + `"`)
	b.applied()
	b.converged()
	// Settings that it does not know are complaints on every call, and no failure.
	h.Run(t, "printf 'Defaults !requiretty\\nDefaults log_output\\n' >/etc/sudoers.d/unknown; rm /root/became")
	b.applied()
	b.converged()
}

func TestDoas(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.Doas("permit admin"))
	b := newBook(t, h, asRoot).with("become_method = \"doas\"\nbecome_password = \"" + h.Password + "\"")
	if o := b.apply(); o.exit != 1 || !strings.Contains(o.message(), "terminal only") || !strings.Contains(o.message(), "permit nopass") {
		t.Errorf("doas that asks: exit %d, %q\n%s", o.exit, o.message(), o.dump())
	}
	h.Run(t, "echo 'permit nopass admin' >/etc/doas.conf")
	b.applied()
	b.converged()
	if o := newBook(t, h, asRoot).apply(); o.exit != 1 || !strings.Contains(o.message(), "there is no sudo on the host") {
		t.Errorf("no sudo: exit %d, %q\n%s", o.exit, o.message(), o.dump())
	}
}
