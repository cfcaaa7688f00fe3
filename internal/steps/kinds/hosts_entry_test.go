package kinds

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"provision/internal/steps"
)

// TestHostsEntryJudgesAsItEdits draws files and steps: what the state says needs no edit is what the edit would leave alone, and one edit is
// enough. The lines of the state are a part of the file, so that the two could differ.
func TestHostsEntryJudgesAsItEdits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	sh := availableShells(t, "")[0]
	h := &host{shell: sh, work: t.TempDir()}
	path := h.work + "/hosts"
	f := steps.ParseFacts(defaultFacts)
	kept, edited := 0, 0
	for range 120 {
		var text strings.Builder
		for range r.IntN(6) {
			text.WriteString(pick("10.0.0.1", "10.0.0.1", "10.0.0.2", "::1", "0:0::1", "# 10.0.0.1", "", "bad", " 110.0.0.1", "\t10.0.0.1"))
			for range r.IntN(4) {
				text.WriteString(pick(" ", "\t", "  ") + pick("a", "b", "A", "c", "ab", "#", "a.b", "\xe9"))
			}
			text.WriteString(pick("\n", "\n", "\n", "\r\n", " \n"))
		}
		before := pick("", "\uFEFF") + text.String()
		if r.IntN(3) == 0 {
			before = strings.TrimSuffix(before, "\n")
		}
		if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
			t.Fatal(err)
		}
		args := "path = \"" + path + "\"\n"
		state, address := pick("present", "present", "absent"), "address = \""+pick("10.0.0.1", "::1")+"\"\n"
		names := "names = [" + pick(`"a"`, `"a", "b"`, `"b", "A"`, `"a.b"`) + "]\n"
		switch {
		case state == "present":
			args += address + names + pick("", "exclusive = true\n") + pick("", "elsewhere = \"keep\"\n")
		case r.IntN(3) == 0:
			args += address
		default:
			args += names + pick("", address)
		}
		args += "state = \"" + state + "\"\n"
		step := stepOf(t, "hosts_entry", args).(*hostsEntry)
		change, err := step.Plan(f, h.probe(t, step, false))
		after, _ := step.edit(&steps.Change{}, before)
		if judged := err == nil && change.Action == steps.NoOp; judged != (after == before) {
			t.Errorf("%s%q: judged to be right: %v; the edit makes it %q", args, before, judged, after)
		}
		if again, _ := step.edit(&steps.Change{}, after); again != after {
			t.Errorf("%s%q: edited %q, and again %q", args, before, after, again)
		}
		if got := h.settled(t, step); got != "" {
			t.Errorf("%s%q: %s", args, before, got)
		}
		if after == before {
			kept++
		} else {
			edited++
		}
	}
	if kept < 15 || edited < 15 {
		t.Errorf("%d files were right and %d were not: the test looks at too little", kept, edited)
	}
}
