//go:build acceptance

package acceptance

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"provision/internal/testhost"
)

// reader sums a file over and over, as whoever reads it at a bad moment would see it.
const reader = `while :; do sha256sum </etc/read || echo missing; done >/root/seen 2>&1`

func TestReadersSeeWholeFiles(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.Edit("apt-get update -qq; apt-get install -y -qq acl attr >/dev/null"))
	h.Run(t, `printf old >/etc/read
chown games:mail /etc/read; chmod 0664 /etc/read
setfacl -m u:daemon:rw /etc/read
setfattr -n user.origin -v kept /etc/read
ln /etc/read /etc/hard
getfacl -p /etc/read >/root/acl`)
	h.Run(t, "systemd-run --quiet --unit=reader sh -c '"+reader+"'")
	contents := []string{strings.Repeat("a", 200_000), strings.Repeat("b", 40_000), "short"}
	whole := []string{fmt.Sprintf("%x  -", sha256.Sum256([]byte("old")))}
	b := newBook(t, h, "")
	for i := range 6 {
		content := contents[i%len(contents)]
		whole = append(whole, fmt.Sprintf("%x  -", sha256.Sum256([]byte(content))))
		b.write("content", content)
		b.steps(`step "file" "read" {
  path   = "/etc/read"
  source = "content"
}
`)
		b.applied()
	}
	h.Run(t, "systemctl stop reader")
	seen := strings.Fields(h.Run(t, "sort -u /root/seen | tr -d ' '"))
	for _, sum := range seen {
		if !slices.Contains(whole, strings.TrimSuffix(sum, "-")+"  -") {
			t.Errorf("a reader saw %q, which is no whole content", sum)
		}
	}
	if len(seen) < 3 {
		t.Errorf("the reader saw %d contents only: %q", len(seen), seen)
	}
	if got := h.Run(t, "getfacl -p /etc/read | diff - /root/acl; getfattr --only-values -n user.origin /etc/read; stat -c ' %U:%G %a' /etc/read; cat /etc/hard"); got != "kept games:mail 664\nold" {
		t.Errorf("access list, attribute, owner, mode, another name of the old file: %q", got)
	}
	tidy(t, h)
}
