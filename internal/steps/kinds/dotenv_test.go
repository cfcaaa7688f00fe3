package kinds

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/dotenv"

	"provision/internal/steps"
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
		{"A= # c\nB=#c\nC=1 # c\nD=\n", "1 warning, 2 warning"},
		{"A=1\t# c\nB=1\t #c\n", "1 warning"},
		{"A=${B:?}\nC=${D?no}\nE=1\nF=${E:?}\n", "1 warning, 2 warning"},
		{"D=$HOME/x\n", "1 warning"},
		{"HOME=/app\nD=${HOME}/x\nE='$HOME'\n", "2 warning"},
		{"A=1\r\nB='x'\r\n", ""},
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

// TestCheckRawEnv reads environment files as docker run --env-file does.
func TestCheckRawEnv(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"A=1\n# c\n\n  B=pa$ss${x}'\\\r\nC=\nD=a=b\n", ""},
		{"\uFEFFA=1", ""},
		{"A=\"1\"\nB='1'\nC='\n", "1 warning, 2 warning"},
		{"A=1 # c\nB=1\t# c\nC= # c\nD=#c\n", "1 warning, 2 warning, 3 warning"},
		{"export A=1\nA B=1\nA =1\n=1\n", "1 error, 2 error, 3 error, 4 error"},
		{"A\nB=1 \n", "1 warning, 2 warning"},
		{"A=\"1\n2\"\n3 4\"\n", "2 warning, 3 error"},
		{"A=\xff\n", "1 error"},
	} {
		var got []string
		for _, issue := range checkRawEnv(c.text) {
			kind := "error"
			if issue.warning {
				kind = "warning"
			}
			got = append(got, fmt.Sprintf("%d %s", issue.line, kind))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%q: %v, want %q", c.text, got, c.want)
		}
	}
	if len(rawEnvProblems([]steps.Variable{{Name: "A", Value: steps.Secret("a\nb")}})) != 1 {
		t.Error("a line break is not refused")
	}
}

// TestDotenvFileIsReadAlike writes every pair of special characters, and reads them back with the shells, with compose's own
// parser, and with a parser that reads as systemd does.
func TestDotenvFileIsReadAlike(t *testing.T) {
	special := []string{"'", "`", `"`, `\`, "$", "\n", " ", "\t", "#", "=", "*", "~", "!", "&", ";", "(", ")", "{", "}", "<", ">", "|", "%", "é", "$x", "${x}", "$(echo x)", "`echo x`", `\n`, `\$`, "$$", "''", `\\`, " #", "a"}
	var values []steps.Variable
	add := func(value string) {
		values = append(values, steps.Variable{Name: fmt.Sprintf("V%d", len(values)), Value: steps.Secret(value)})
	}
	add("")
	for _, a := range special {
		add(a)
		for _, b := range special {
			add(a + b)
			add("x" + a + "y" + b + "z")
			add("'" + a + b + "`")
		}
	}
	text := dotenvFile(values)
	if problems := dotenvProblems(values[:1]); len(problems) > 0 {
		t.Errorf("an empty value is refused: %v", problems)
	}
	if issues := checkDotenv(text); len(issues) > 0 {
		t.Errorf("our own check refuses it: %+v", issues)
	}
	got, err := dotenv.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if got[v.Name] != v.Value.Reveal() {
			t.Errorf("compose reads %q as %q", v.Value.Reveal(), got[v.Name])
		}
	}
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	script := "x=WRONG\n. " + file + "\n"
	for _, v := range values {
		script += "printf '%s\\000' \"$" + v.Name + "\"\n"
	}
	for _, sh := range availableShells(t, "") {
		cmd := exec.Command(sh[0], sh[1:]...)
		cmd.Stdin = strings.NewReader(script)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v", sh, err)
		}
		read := strings.Split(string(out), "\x00")
		if len(read) != len(values)+1 {
			t.Fatalf("%v: %d values for %d", sh, len(read)-1, len(values))
		}
		for i, v := range values {
			if read[i] != v.Value.Reveal() {
				t.Errorf("%v reads %q as %q", sh, v.Value.Reveal(), read[i])
			}
		}
	}
	for _, v := range values {
		problems := dotenvProblems([]steps.Variable{v})
		line := dotenvFile([]steps.Variable{v})
		if read := systemdReads(line)[v.Name]; (read == v.Value.Reveal()) != (len(problems) == 0) {
			t.Errorf("systemd reads %q as %q; problems %v", v.Value.Reveal(), read, problems)
		}
	}
	if len(dotenvProblems([]steps.Variable{{Name: "A", Value: steps.Secret("a\r\nb")}})) != 1 {
		t.Error("a carriage return is not refused")
	}
}

// systemdReads reads an environment file by the states of systemd 240 and later (src/basic/env-file.c), as far as quotes and
// plain values need them.
func systemdReads(text string) map[string]string {
	read := map[string]string{}
	name, value, state := "", "", "name"
	for _, c := range text {
		switch state {
		case "name":
			if c == '=' {
				state = "value"
			} else {
				name += string(c)
			}
		case "value":
			switch c {
			case '\n':
				read[name] = value
				name, value, state = "", "", "name"
			case '\'':
				state = "single"
			case '"':
				state = "double"
			case '\\':
				state = "escape"
			default:
				value += string(c)
			}
		case "escape":
			value, state = value+string(c), "value"
		case "single":
			if c == '\'' {
				state = "value"
			} else {
				value += string(c)
			}
		case "double":
			switch c {
			case '"':
				state = "value"
			case '\\':
				state = "double escape"
			default:
				value += string(c)
			}
		case "double escape":
			if !strings.ContainsRune("\"\\`$\n", c) {
				value += `\`
			}
			if c != '\n' {
				value += string(c)
			}
			state = "double"
		}
	}
	return read
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
			if issues := checkDotenv(dotenvFile([]steps.Variable{{Name: "A", Value: steps.Secret(text)}})); len(issues) > 0 {
				t.Errorf("what dotenvFile writes for %q is refused: %+v", text, issues)
			}
		}
	})
}
