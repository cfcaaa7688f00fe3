//go:build acceptance

package acceptance

import (
	"strings"
	"testing"

	"provision/internal/testhost"
)

// The host's own tools agree: a login and localectl have the default, locale-gen keeps the locale, and does not bring back one that is absent.
func TestLocaleIsTheHostsOwn(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.Edit(updateLists))
	const german = `step "locale" "german" {
  name    = "de_DE.utf8"
  default = true
}
`
	b := newBook(t, h, german)
	if o := b.plan(); o.exit != 1 || !strings.Contains(o.dump(), "install the package locales") {
		t.Fatalf("without the package: exit %d\n%s", o.exit, o.dump())
	}
	b.steps("step \"package\" \"locales\" {\n  name = \"locales\"\n}\n" + german)
	b.applied()
	b.converged()
	const look = `su - -c 'echo $LANG'; LC_ALL=de_DE.UTF-8 date -d 2024-05-01 +%B; localectl status | grep -o LANG=.*`
	want := "de_DE.UTF-8\nMai\nLANG=de_DE.UTF-8"
	if got := strings.TrimSpace(h.Run(t, look)); got != want {
		t.Errorf("a login, date and localectl: %q, want %q", got, want)
	}
	h.Run(t, "locale-gen && update-locale LC_TIME=C.UTF-8")
	b.converged()
	if got := strings.TrimSpace(h.Run(t, look)); got != want {
		t.Errorf("after locale-gen: %q, want %q", got, want)
	}
	h.Run(t, "DEBIAN_FRONTEND=noninteractive dpkg-reconfigure locales")
	b.converged()

	b.steps(`step "locale" "default" {
  name    = "C.UTF-8"
  default = true
}
step "locale" "german" {
  name  = "de_DE.UTF-8"
  state = "absent"
}
`)
	b.applied()
	b.converged()
	h.Run(t, "locale-gen")
	b.converged()
	if got := h.Run(t, "locale -a; grep -v '^#' /etc/default/locale | sort"); got != "C\nC.utf8\nPOSIX\nLANG=C.UTF-8\nLC_TIME=C.UTF-8\n" {
		t.Errorf("locales, and the file of the default: %q", got)
	}

	b.steps("step \"locale\" \"none\" {\n  name = \"de_XX.UTF-8\"\n}\n")
	if o := b.plan(); o.exit != 1 || !strings.Contains(o.dump(), "of this language there are de_AT.UTF-8") {
		t.Errorf("a locale that nobody has made: exit %d\n%s", o.exit, o.dump())
	}
	tidy(t, h)
}
