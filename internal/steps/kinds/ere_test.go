package kinds

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"provision/internal/steps/kit"
)

// TestEREFindsTheSameLines compares Go's matches with those of grep on the same lines: what
// Plan edits and what the probe decides must never disagree.
func TestEREFindsTheSameLines(t *testing.T) {
	dir := t.TempDir()
	greps := [][]string{{"grep"}}
	if _, err := exec.LookPath("busybox"); err == nil {
		greps = append(greps, []string{"busybox", "grep"})
	} else {
		lack(t, "no busybox on this machine")
	}
	atom := rapid.SampledFrom([]string{
		"a", "b", "A", " ", ".", `\.`, `\d`, `\s`, `\w`, `\W`, "#", "[ab]", "[^a]", `[\]x^-]`, `[^\[\]-]`, "[a-c1-3]", "(a|bc)", "(?:b|)", "(?i:k#)", "é", "(é|ü)", "[^=]", "=", `\$`, `\^`, "[[:alpha:]]", `[$]`, "(?i)[k-m]", "[^]", "[-^]",
	})
	operator := rapid.SampledFrom([]string{"", "", "", "*", "+", "?", "{2}", "{1,3}", "+?", "|"})
	text := rapid.StringOfN(rapid.SampledFrom([]rune("abcABkKm1 =#.$^[]-")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		expr := rapid.SampledFrom([]string{"", "^", "^#?"}).Draw(t, "start")
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			expr += atom.Draw(t, "atom") + operator.Draw(t, "operator")
		}
		expr += rapid.SampledFrom([]string{"", "$"}).Draw(t, "end")
		re, err := regexp.Compile(expr)
		if err != nil {
			t.Skip(err)
		}
		ere, err := kit.ERE(expr)
		if err != nil {
			t.Skip(err)
		}
		lines := rapid.SliceOfN(text, 1, 40).Draw(t, "lines")
		file := filepath.Join(dir, "lines")
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, l := range lines {
			if re.MatchString(l) {
				want = append(want, l)
			}
		}
		for _, grep := range greps {
			cmd := exec.Command(grep[0], append(grep[1:], "-E", "-e", ere, file)...)
			cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
			out, _ := cmd.Output()
			if cmd.ProcessState.ExitCode() > 1 {
				t.Fatalf("%v refuses %q, from %q", grep, ere, expr)
			}
			got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
			if len(out) == 0 {
				got = nil
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Fatalf("%v -E %q found %q; Go finds %q with %q", grep, ere, got, want, expr)
			}
		}
	})
}

func TestERERefuses(t *testing.T) {
	for _, expr := range []string{`\bx`, `[α-ω]`, "a\nb", `(`, `\x00`} {
		if ere, err := kit.ERE(expr); err == nil {
			t.Errorf("%q became %q", expr, ere)
		}
	}
}

// TestEREBeyondASCII pins what holds for characters of several bytes, which a dot counts as
// bytes on the host.
func TestEREBeyondASCII(t *testing.T) {
	for _, c := range []struct {
		expr, line string
		found      bool
	}{
		{"^é+$", "ééé", true},
		{"^(é|ü)x$", "üx", true},
		{"^é.*=", "éüö=1", true},
		{"(?i)^É$", "é", true},
		{"^[éü]$", "ü", true},
		{"^[éü]$", "u", false},
		{"^[^#]*$", "né", true},
	} {
		ere, err := kit.ERE(c.expr)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("grep", "-E", "-e", ere)
		cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
		cmd.Stdin = strings.NewReader(c.line + "\n")
		out, _ := cmd.Output()
		if (len(out) > 0) != c.found {
			t.Errorf("grep -E %q in %q: found %v", ere, c.line, len(out) > 0)
		}
	}
}
