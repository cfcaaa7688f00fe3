package kinds

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"provision/internal/steps"
)

// TestBlockLosesNoText draws files, with damaged markers too, and steps: awk on the host and Go find the same block, one edit is
// enough, and nothing outside of the block changes.
func TestBlockLosesNoText(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	f := steps.ParseFacts(defaultFacts)
	f.Salt = "salt"
	shells := availableShells(t, "")
	kept, edited, refused := 0, 0, 0
	for range 150 {
		h := &host{shell: shells[r.IntN(len(shells))], work: t.TempDir()}
		path := h.work + "/f"
		var text strings.Builder
		end := pick("\n", "\n", "\r\n")
		for range r.IntN(4) {
			text.WriteString(pick("x", "", "a=1", "\xe4", "# BEGIN provision other", "# END provision other", "# BEGIN provision b 2", " y\\n") + end)
		}
		if r.IntN(3) > 0 {
			text.WriteString(pick("", " ", "\t") + "# BEGIN provision b" + end)
			for range r.IntN(3) {
				text.WriteString(pick("a=1", "it's $HOME \\n", "", "\xe4", "z", "# END provision other") + end)
			}
			text.WriteString("# END provision b" + pick("", " ") + end)
		}
		for range r.IntN(3) {
			text.WriteString(pick("y", "", "# END provision b", "# BEGIN provision b", "\xff\xfe", "x") + end)
		}
		before := pick("", "", "\uFEFF") + text.String()
		if r.IntN(3) == 0 {
			before = strings.TrimSuffix(before, "\n")
		}
		if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
			t.Fatal(err)
		}
		args := "path = \"" + path + "\"\nname = \"b\"\n"
		content := pick(`"a=1"`, `"a=1\nit's $HOME \\n\n"`, `""`, `"\n"`, `"ä\r\nb"`)
		switch r.IntN(4) {
		case 0:
			args += "state = \"absent\"\n"
		case 1:
			args += "content = sensitive(" + content + ")\n"
		default:
			args += "content = " + content + "\n" + pick("", "after = \"^x\"\n", "before = \"^[xy]\"\n", "at = \"begin\"\n")
		}
		step := stepOf(t, "block", args).(*block)
		change, err := step.Plan(f, h.probe(t, step, true))
		after, wrong := step.edit(&steps.Change{}, before)
		switch {
		case wrong != nil:
			if refused++; err == nil && change.Action != steps.NoOp {
				t.Errorf("%s%q: planned, though %v", args, before, wrong)
			}
			continue
		case err != nil:
			t.Errorf("%s%q: %v", args, before, err)
		case !step.Absent() && (change.Action == steps.NoOp) != (after == before):
			t.Errorf("%s%q: planned %s, and the edit makes it %q", args, before, change.Action, after)
		}
		if got := h.settled(t, step); got != "" {
			t.Errorf("%s%q: %s", args, before, got)
		}
		b, _ := os.ReadFile(path)
		if change.Action == steps.NoOp && string(b) != before || change.Action != steps.NoOp && string(b) != after {
			t.Errorf("%s%q: became %q, want %q", args, before, b, after)
		}
		if was, is := outsideOfBlock(before), outsideOfBlock(string(b)); was != is {
			t.Errorf("%s%q: outside of the block %q was, and %q is", args, before, was, is)
		}
		if string(b) == before {
			kept++
		} else {
			edited++
		}
	}
	if kept < 15 || edited < 15 || refused < 5 {
		t.Errorf("%d files were right, %d were not, %d were refused: the test looks at too little", kept, edited, refused)
	}
}

// outsideOfBlock is what is not between the markers, without what ends the lines.
func outsideOfBlock(text string) string {
	inside, rest := false, ""
	for _, l := range strings.Split(strings.TrimPrefix(text, "\uFEFF"), "\n") {
		switch strings.TrimSpace(l) {
		case "# BEGIN provision b":
			inside = true
		case "# END provision b":
			inside = false
		default:
			if !inside && strings.TrimSuffix(l, "\r") != "" {
				rest += strings.TrimSuffix(l, "\r") + "\n"
			}
		}
	}
	return rest
}
