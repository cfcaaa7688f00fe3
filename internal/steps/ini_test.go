package steps

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestINIEditIsWhatTheHostSees edits random files and lets the awk of the probe judge the
// result: the two readings of such a file must never disagree.
func TestINIEditIsWhatTheHostSees(t *testing.T) {
	awks := [][]string{}
	for _, awk := range [][]string{{"mawk"}, {"gawk"}, {"original-awk"}, {"busybox", "awk"}} {
		if _, err := exec.LookPath(awk[0]); err == nil {
			awks = append(awks, awk)
		}
	}
	if len(awks) == 0 {
		t.Skip("no awk on this machine")
	}
	lines := rapid.SampledFrom([]string{
		"[a]", "[b]", " [a] ; x", "[a", "[]", "k=1", "k = 2", "\tk = 3", "k", "k=", "=", "= v", "l=1\\", "  more", "\t\tmore = x", "", "  ", "# c", " ; c", "k=1 \r", "[a]\r", "l : 2", "k=a\\\\", "kk=1", "K=1",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(lines, 0, 12).Draw(t, "lines"), "\n") + rapid.SampledFrom([]string{"", "\n"}).Draw(t, "end")
		step := &ini{
			Section: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "section"),
			State:   rapid.SampledFrom([]string{"present", "present", "absent"}).Draw(t, "state"),
			Values: []Variable{
				{Name: "k", Value: Plain(rapid.SampledFrom([]string{"1", "2", "", "a b = \\n"}).Draw(t, "k"))},
				{Name: "l", Value: Plain("01")},
			},
		}
		for i, awk := range awks {
			var change Change
			judged := judgeINI(t, awk, step, text)
			after := step.edit(&change, text)
			if (judged == "same") != (len(change.Diff) == 0) {
				t.Fatalf("%v says %s; the edit has %d differences", awk, judged, len(change.Diff))
			}
			if judged == "same" && after != text {
				t.Fatalf("the edit touched a file that was as it should be: %q", after)
			}
			if got := judgeINI(t, awks[i], step, after); got != "same" {
				t.Fatalf("%v says %s of the edited text %q", awk, got, after)
			}
		}
	})
}

func judgeINI(t *rapid.T, awk []string, step *ini, text string) string {
	var keys, values []string
	for _, v := range step.Values {
		keys, values = append(keys, v.Name), append(values, v.Value.Reveal())
	}
	cmd := exec.Command(awk[0], append(awk[1:], iniAwk)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "SECTION=" + step.Section, "MODE=" + step.mode(),
		"KEYS=" + strings.Join(keys, "\n"), "VALUES=" + strings.Join(values, "\n"),
	}
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", awk, err, out)
	}
	return strings.TrimSpace(string(out))
}

func FuzzReadINI(f *testing.F) {
	f.Add("[a]\nk = 1\n  more\n; c\n[b\n=\n")
	f.Fuzz(func(t *testing.T, text string) {
		var b strings.Builder
		for _, e := range readINI(text) {
			b.WriteString(e.text)
		}
		if b.String() != text {
			t.Errorf("the entries of %q make %q", text, b.String())
		}
		step := &ini{Section: "a", State: "present", Values: []Variable{{Name: "k", Value: Plain("v")}}}
		var change Change
		once := step.edit(&change, text)
		change = Change{}
		if twice := step.edit(&change, once); twice != once || len(change.Diff) > 0 {
			t.Errorf("%q became %q, and then %q", text, once, twice)
		}
	})
}
