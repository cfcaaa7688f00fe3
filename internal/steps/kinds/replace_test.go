package kinds

import (
	"errors"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"provision/internal/steps"
)

// TestReplaceJudgesAsItEdits draws files and steps, with secrets and without: what the state says needs no edit is what the edit would leave
// alone, and one edit is enough.
func TestReplaceJudgesAsItEdits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	h := &host{shell: availableShells(t, "")[0], work: t.TempDir()}
	path := h.work + "/f"
	f := steps.ParseFacts(defaultFacts)
	f.Salt = "salt"
	kept, edited, refused := 0, 0, 0
	for range 150 {
		var text strings.Builder
		for range r.IntN(6) {
			for range r.IntN(4) {
				text.WriteString(pick("a", "b", "ab", "[x]", " ", "ä", "\xe4", "c", "a=1", "=2", "\\", "|"))
			}
			text.WriteString(pick("\n", "\n", "\r\n"))
		}
		before := pick("", "", "\uFEFF") + text.String()
		if r.IntN(3) == 0 {
			before = strings.TrimSuffix(before, "\n")
		}
		private := r.IntN(3) == 0
		if err := errors.Join(os.WriteFile(path, []byte(before), 0o644), os.Chmod(path, map[bool]os.FileMode{true: 0o600, false: 0o644}[private])); err != nil {
			t.Fatal(err)
		}
		args := "path = \"" + path + "\"\nmatch = \"" + pick("a", "^a=.*", "a|ab", "b$", "a.", ".{2}c", "^..$", "(?i)[AC]b?", "ä", "\\\\[.*?\\\\]", "^.+$", "\\\\\\\\") + "\"\n" +
			pick("", "", "after = \"^$\"\n", "after = \"a\"\n") + pick("", "", "before = \"b\"\n", "before = \"^$\"\n")
		switch with := pick("c", "a=1", "x y", "", "[x]", "ä'", "$$1"); r.IntN(4) {
		case 0:
			args += "with = sensitive(\"" + with + "\")\n"
		case 1:
			args += "state = \"absent\"\n"
		case 2:
			args += "with = \"$${0}" + with + "\"\n"
		default:
			args += "with = \"" + with + "\"\n"
		}
		step := stepOf(t, "replace", args).(*replace)
		obs := h.probe(t, step, true)
		if private && step.literally() && len(obs.All("line")) > 0 && !regexp.MustCompile(beyondASCII).MatchString(before) {
			t.Errorf("%s%q: the state has lines of a private file: %q", args, before, obs.State())
		}
		change, err := step.Plan(f, obs)
		after, wrong := step.edit(&steps.Change{}, before, false)
		switch {
		case wrong != nil:
			if refused++; err == nil && change.Action != steps.NoOp {
				t.Errorf("%s%q: planned, though %v", args, before, wrong)
			}
			continue
		case err != nil:
			t.Errorf("%s%q: %v", args, before, err)
		case (change.Action == steps.NoOp) != (after == before):
			t.Errorf("%s%q: planned %s, and the edit makes it %q", args, before, change.Action, after)
		}
		if got := h.settled(t, step); got != "" {
			t.Errorf("%s%q: %s", args, before, got)
		}
		if b, _ := os.ReadFile(path); string(b) != after {
			t.Errorf("%s%q: became %q, want %q", args, before, b, after)
		}
		if after == before {
			kept++
		} else {
			edited++
		}
	}
	if kept < 15 || edited < 15 || refused < 5 {
		t.Errorf("%d files were right, %d were not, %d were refused: the test looks at too little", kept, edited, refused)
	}
}
