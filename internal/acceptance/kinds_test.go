//go:build acceptance

package acceptance

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/steps"
	"provision/internal/steps/kinds"
	"provision/internal/testhost"
)

// TestKinds applies the example of every kind and plans it again, then disturbs the host by hand, and expects that the plan shows just that.
func TestKinds(t *testing.T) {
	t.Parallel()
	// Examples do not get in each other's way, so two hosts serve most of them, one example at a time.
	shared := make(chan *testhost.Host, 2)
	for _, h := range testhost.Fleet(t, cap(shared), testhost.Edit(updateLists)) {
		shared <- h
	}
	admin := make(chan *testhost.Host, 1)
	admin <- testhost.Fresh(t, testhost.AsAdmin(), testhost.Edit(updateLists))
	t.Run("group", func(t *testing.T) {
		// Of the blocks that change nothing, one that looks for itself and one that asks a program.
		for _, kind := range append(kinds.All(), kinds.Named("data.path"), kinds.Named("data.command")) {
			d := disturbanceOf(t, kind.Title())
			t.Run(kind.Title(), func(t *testing.T) {
				t.Parallel()
				if d.alone {
					converges(t, testhost.Fresh(t, testhost.Edit(updateLists)), kind, d)
					return
				}
				h := <-shared
				defer func() { shared <- h }()
				converges(t, h, kind, d)
			})
			if !d.asSudoAdmin {
				continue
			}
			t.Run(kind.Name+" by sudo", func(t *testing.T) {
				t.Parallel()
				h := <-admin
				defer func() { admin <- h }()
				converges(t, h, kind, d)
			})
		}
	})
}

// updateLists gives apt its lists of packages, which the image has not.
const updateLists = "apt-get update -qq"

func converges(t *testing.T, h *testhost.Host, kind *steps.Kind, d disturbance) {
	t.Helper()
	if d.before != "" {
		h.Run(t, d.before)
	}
	b := newBook(t, h, kind.Example)

	before := takeSnapshot(t, h)
	first := b.plan()
	if first.exit != 2 && !(first.exit == 0 && d.clean) {
		t.Fatalf("first plan: exit %d, want 2\n%s", first.exit, first.dump())
	}
	untouched(t, h, before)

	b.applied()
	before = takeSnapshot(t, h)
	if !d.always {
		b.converged()
	}
	untouched(t, h, before)

	h.Run(t, d.script)
	file := filepath.Join(t.TempDir(), "plan") // not in the directory of the playbook, which one example sends to the host
	disturbed := b.plan("--out", file)
	want := []string{d.shows}
	if diff := cmp.Diff(want, without(disturbed.changes(), d.runs)); disturbed.exit != 2 || diff != "" {
		t.Fatalf("plan after a change by hand: exit %d, want 2 and just that change (-want +got):\n%s\n%s", disturbed.exit, diff, disturbed.dump())
	}
	addr, action, _ := strings.Cut(d.shows, " ")
	if action != "run" && len(disturbed.planned(addr).Diff) == 0 {
		t.Errorf("the plan shows no difference for %s: %+v", addr, disturbed.planned(addr))
	}

	// What the plan was made from is still there, whatever the kind looks at.
	if saved := b.run("apply", file); saved.exit != 0 {
		t.Fatalf("apply of the saved plan: exit %d\n%s", saved.exit, saved.dump())
	}
	if !d.always {
		b.converged()
	}
	tidy(t, h)
}

// without leaves out the steps that show in every plan.
func without(list, always []string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return slices.Contains(always, s) })
}
