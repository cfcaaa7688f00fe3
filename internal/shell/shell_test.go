package shell

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// forEachShell runs a test under every shell that the text must work in.
func forEachShell(t *testing.T, test func(t *testing.T, sh []string)) {
	t.Helper()
	for _, sh := range [][]string{{"dash"}, {"bash"}, {"bash", "--posix"}, {"busybox", "sh"}} {
		t.Run(strings.Join(sh, " "), func(t *testing.T) {
			if _, err := exec.LookPath(sh[0]); err != nil {
				if os.Getenv("PROVISION_CI") == "1" {
					t.Fatal(err)
				}
				t.Skip("NOT TESTED: no " + sh[0] + " on this machine")
			}
			test(t, sh)
		})
	}
}

// run feeds a script to a shell on its standard input.
func run(t interface{ Fatal(...any) }, sh []string, script string) (stdout, stderr string, status int) {
	cmd := exec.Command(sh[0], sh[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// anything is text without NUL, made of what shells stumble over.
func anything() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		b := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom([]byte("'\"\\$`!~*?[]{}()<>|&;# \t\n\r%=-0a")), rapid.ByteRange(1, 255)), 0, 40).Draw(t, "bytes")
		return string(b)
	})
}

func TestQuoteIsOneWord(t *testing.T) {
	forEachShell(t, func(t *testing.T, sh []string) {
		rapid.Check(t, func(t *rapid.T) {
			a, b := anything().Draw(t, "a"), anything().Draw(t, "b")
			out, stderr, _ := run(t, sh, "set -- "+Words(a, b)+"\nprintf '%s\\n' $#\nprintf '%s' \"$1\" \"$2\"\n")
			if out != "2\n"+a+b {
				t.Fatalf("%q and %q became %q; %s", a, b, out, stderr)
			}
			// As a variable, and as a pattern of case.
			out, stderr, _ = run(t, sh, "x="+Quote(a)+"\ncase $x in "+Quote(a)+") printf '%s' \"$x\" ;; esac\n")
			if out != a {
				t.Fatalf("%q became %q; %s", a, out, stderr)
			}
		})
	})
}

func TestQuoteRefusesNUL(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a NUL byte was quoted")
		}
	}()
	Quote("a\x00b")
}

func TestPrintfWritesEveryByte(t *testing.T) {
	var all []byte
	for i := range 256 {
		all = append(all, byte(i), '0', byte(255-i))
	}
	large := bytes.Repeat(all, 100)
	forEachShell(t, func(t *testing.T, sh []string) {
		for _, content := range [][]byte{nil, all, large, []byte("-n\n"), []byte("%s %d\\n\\061")} {
			if out, stderr, _ := run(t, sh, Printf(content)); out != string(content) {
				t.Errorf("%d bytes became %d; %s", len(content), len(out), stderr)
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			content := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "content")
			if out, stderr, _ := run(t, sh, Printf(content)); out != string(content) {
				t.Fatalf("%q became %q; %s", content, out, stderr)
			}
		})
	})
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		src          string
		bash         bool
		line, column int // 0: it parses
	}{
		{"if true; then echo; fi", false, 0, 0},
		{"x=1\nif true; then\n", false, 2, 10},
		{"echo 'open", false, 1, 6},
		{"[[ a == b ]]", true, 0, 0},
		{"a=(1 2)", true, 0, 0},
		{"\na=(1 2)", false, 2, 3},
		{"a b (", true, 1, 5},
	} {
		err := Check(c.src, c.bash)
		var syntax *SyntaxError
		switch {
		case c.line == 0 && err != nil:
			t.Errorf("%q: %v", c.src, err)
		case c.line > 0 && (!errors.As(err, &syntax) || syntax.Line != c.line || syntax.Column != c.column || syntax.Text == ""):
			t.Errorf("%q: %v, want line %d, column %d", c.src, err, c.line, c.column)
		}
	}
}

func FuzzQuote(f *testing.F) {
	f.Add("it's $HOME `x` \\")
	f.Fuzz(func(t *testing.T, s string) {
		if strings.IndexByte(s, 0) >= 0 {
			t.Skip()
		}
		if out, stderr, _ := run(t, []string{"sh"}, "printf '%s' "+Quote(s)+"\n"); out != s {
			t.Errorf("%q became %q; %s", s, out, stderr)
		}
		_ = Check(s, false) // must not panic
		_ = Check(s, true)
	})
}
