package steps

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

func TestCheckDotenv(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"A=1\n# c\n\nexport B='x $y' # c\nC=\"a\nb\"\nD=$A${A}\nE = x\nF: y\nG=a$$b\nH=$5\nI=\"\\$x\"\nJ=${K:-x}\n", ""},
		{"\uFEFFA=1", ""},
		{"A=1\nPASSWORD=pa$ss\n", "2 warning"},
		{"PASSWORD=\"pa$ss\"\n", "1 warning"},
		{"A=\"1\n\n\nB=2\n", "1 error"},
		{"A=1\nB C=2\n", "2 error"},
		{"A=1\nB!=2\n", "2 error"},
		{"A=1\nB\nC=1\n", "2 warning"},
		{"A=1\nB", "2 error"},
		{"A='x'y\nB=2\n", "1 error"},
		{"A=${\n", "1 error"},
		{"A=${b\n", "1 error"},
		{"A=\"\n\n\"\nB=$x\n", "4 warning"},
	} {
		var got []string
		for _, issue := range checkDotenv(c.text) {
			kind := "error"
			if issue.warning {
				kind = "warning"
			}
			got = append(got, fmt.Sprintf("%d %s", issue.line, kind))
			if strings.Contains(issue.text, "ss") && strings.Contains(issue.text, "pa") {
				t.Errorf("the report shows the value: %s", issue.text)
			}
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%q: %v, want %q", c.text, got, c.want)
		}
	}
}

// TestDotenvLineInShell reads what dotenvLine writes with a shell; values that need compose's
// double quotes are its own.
func TestDotenvLineInShell(t *testing.T) {
	for _, value := range []string{"", "plain-1.0/x:@%+,=", "two words", `pa$ss "x" \n`, "#no", "a #b", `back\slash`, "é", "$(x)`y`", "*"} {
		out, err := exec.Command("sh", "-c", dotenvLine(Variable{Name: "A", Value: Secret(value)})+`printf '%s' "$A"`).Output()
		if err != nil || string(out) != value {
			t.Errorf("%q became %q, %v", value, out, err)
		}
		if issues := checkDotenv(dotenvLine(Variable{Name: "A", Value: Secret(value)})); len(issues) > 0 {
			t.Errorf("%q: %v", value, issues)
		}
	}
}

func FuzzCheckDotenv(f *testing.F) {
	f.Add("A=1\nexport B='x'\nC=\"\\\"$x${")
	f.Fuzz(func(t *testing.T, text string) {
		for _, issue := range checkDotenv(text) {
			if issue.line < 1 || issue.line > 1+strings.Count(text, "\n") {
				t.Errorf("line %d of %q", issue.line, text)
			}
		}
		if !strings.ContainsRune(text, 0) {
			if issues := checkDotenv(dotenvLine(Variable{Name: "A", Value: Secret(text)})); len(issues) > 0 {
				t.Errorf("what dotenvLine writes for %q is refused: %+v", text, issues)
			}
		}
	})
}
