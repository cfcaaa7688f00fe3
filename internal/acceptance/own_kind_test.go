//go:build acceptance

package acceptance

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/testhost"
)

// TestOwnKind plays the example of docs/hcl-kinds.md on a host, by a login that uses sudo: made, right, changed by hand, and gone.
func TestOwnKind(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/hcl-kinds.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?ms)^```hcl\n(.*?)^```$").FindSubmatch(page)
	if example == nil {
		t.Fatal("the page has no example")
	}
	kind, steps, found := strings.Cut(string(example[1]), "\nstep ")
	if !found {
		t.Fatal("the example has no step")
	}
	h := testhost.Fresh(t, testhost.AsAdmin())
	h.Run(t, "printf '# mine\\nlisten = 0.0.0.0:8000\\ncompat_mode = yes\\n' >/etc/demo.conf")
	b := newBook(t, h, "")
	b.write("kinds.hcl", kind+"\n")
	b.steps("step " + steps)

	first := b.plan()
	want := []string{
		"step.setting.listen update", `step.setting.limits["backlog"] create`, `step.setting.limits["workers"] create`,
		"step.setting.old delete", "step.command.reload run",
	}
	if diff := cmp.Diff(want, first.changes()); first.exit != 2 || diff != "" {
		t.Fatalf("plan: exit %d, want 2 (-want +got):\n%s\n%s", first.exit, diff, first.dump())
	}
	b.applied()
	b.converged()
	const right = "# mine\nlisten = 127.0.0.1:8000\nbacklog = 128\nworkers = 4\n"
	if got := h.Run(t, "cat /etc/demo.conf"); got != right {
		t.Errorf("the file is\n%s", got)
	}

	h.Run(t, "sed -i 's/^workers = 4/workers = 40/' /etc/demo.conf")
	changed := b.plan()
	want = []string{`step.setting.limits["workers"] update`, "step.command.reload run"}
	if diff := cmp.Diff(want, changed.changes()); changed.exit != 2 || diff != "" {
		t.Fatalf("plan after a change by hand: exit %d (-want +got):\n%s\n%s", changed.exit, diff, changed.dump())
	}
	if d := changed.planned(`step.setting.limits["workers"]`).Diff; len(d) != 1 || d[0].Name != "value" || d[0].Before != "40" || d[0].After != "4" {
		t.Errorf("the plan shows %+v", d)
	}
	b.applied()
	b.converged()
	if got := h.Run(t, "cat /etc/demo.conf; wc -l </var/tmp/demo-reloads"); got != right+"2\n" {
		t.Errorf("the file and the number of reloads are\n%s", got)
	}

	// A probe that cannot look is an error of the plan, and nothing runs.
	h.Run(t, "mv /etc/demo.conf /etc/demo.saved && mkdir /etc/demo.conf")
	if broken := b.plan(); broken.exit != 1 || !strings.Contains(broken.stdout+broken.stderr, "could not tell") {
		t.Errorf("plan where the file is a directory: exit %d\n%s", broken.exit, broken.dump())
	}
	h.Run(t, "rmdir /etc/demo.conf && mv /etc/demo.saved /etc/demo.conf")
	b.converged()
}
