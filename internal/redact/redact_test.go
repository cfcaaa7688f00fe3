package redact

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// secretText draws secrets without the characters of the mask, which could otherwise make a
// secret of the mask itself.
var secretText = rapid.StringOfN(rapid.SampledFrom([]rune("ABCabcXY01 \n\"'\\%$é日")), 4, 24, -1).
	Filter(func(s string) bool { return !TooShort(s) })

// Random secrets in random places of random output, cut anywhere, never come out; everything
// else does.
func TestStreamCutAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(secretText, 1, 4).Draw(t, "secrets")
		s := Of(secrets...)
		var text strings.Builder
		for range rapid.IntRange(1, 6).Draw(t, "parts") {
			text.WriteString(rapid.StringOfN(rapid.SampledFrom([]rune("ABCabcXY01 \néz")), 0, 12, -1).Draw(t, "noise"))
			secret := rapid.SampledFrom(secrets).Draw(t, "secret")
			switch rapid.IntRange(0, 4).Draw(t, "form") {
			case 0:
				text.WriteString(secret)
			case 1:
				text.WriteString(base64.StdEncoding.EncodeToString([]byte(secret)))
			case 2:
				text.WriteString(url.QueryEscape(secret))
			case 3:
				data, _ := json.Marshal(secret)
				text.Write(data)
			case 4:
				text.WriteString("'" + strings.ReplaceAll(secret, "'", `'\''`) + "'")
			}
		}
		whole := text.String()
		stream := s.Stream()
		got := ""
		for rest := whole; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			out := stream.Write(rest[:n])
			if !utf8.ValidString(out) {
				t.Fatalf("a character was cut in two: %q", out)
			}
			got += out
			rest = rest[n:]
		}
		got += stream.Rest()
		for _, secret := range secrets {
			for _, form := range append(secretForms(secret, nil), secret) {
				if strings.Contains(got, form) {
					t.Fatalf("secret %q came out as %q\n in: %q\nout: %q", secret, form, whole, got)
				}
			}
		}
		if want := s.Text(whole); got != want {
			t.Fatalf("in pieces: %q\nat once:   %q", got, want)
		}
	})
}

// What is hidden once is not hidden again, whatever the secrets are.
func TestHidingTwiceIsHidingOnce(t *testing.T) {
	letters := rapid.StringOfN(rapid.SampledFrom([]rune("sensitve()ab ")), 1, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		s := Of(rapid.SliceOfN(letters.Filter(func(s string) bool { return !strings.ContainsAny(s, "()") }), 1, 3).Draw(t, "secrets")...)
		text := rapid.StringOfN(rapid.SampledFrom([]rune("sensitve()ab ")), 0, 40, -1).Draw(t, "text")
		for name, hide := range map[string]func(string) string{"value": s.Value, "text": s.Text, "message": s.Message} {
			if once := hide(text); hide(once) != once {
				t.Fatalf("%s: %q, then %q", name, once, hide(once))
			}
		}
	})
}

func TestStreamHoldsBackLittle(t *testing.T) {
	s := Of("pass-phrase")
	stream := s.Stream()
	for _, step := range [][2]string{{"compiling…\n", "compiling…\n"}, {"pass", ""}, {"ed out\n", "passed out\n"}, {"pas", ""}} {
		if got := stream.Write(step[0]); got != step[1] {
			t.Errorf("after %q came %q, want %q", step[0], got, step[1])
		}
	}
	if got := stream.Rest(); got != "pas" {
		t.Errorf("what was held back is lost: %q", got)
	}
}

func TestForms(t *testing.T) {
	const secret = `p"a'ss\wö rd&1`
	key := "-----BEGIN KEY-----\nMIIabcdefghijkl\nshort\nmnopqrstuvwxyz0\n-----END KEY-----\n"
	s := New(strings.ToUpper)
	s.Add(secret, key, "abc", "  padded-secret \n", "esc\x1b[2Jape")
	data, _ := json.Marshal(secret)
	for name, text := range map[string]string{
		"plain":         secret,
		"json":          string(data),
		"url":           url.QueryEscape(secret),
		"path":          url.PathEscape(secret),
		"shell":         `'p"a'\''ss\wö rd&1'`,
		"shell, quotes": `'p"a'"'"'ss\wö rd&1'`,
		"hex":           fmt.Sprintf("%x", secret),
		"base64":        base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"line of a key": "key: MIIabcdefghijkl",
		"trimmed":       "padded-secret",
		"basic auth":    base64.StdEncoding.EncodeToString([]byte("admin:" + secret)),
		"quoted":        fmt.Sprintf("%q", "esc\x1b[2Jape"),
		"a shape":       "PADDED-SECRET",
	} {
		for kind, got := range map[string]string{"text": s.Text(text), "value": s.Value(text), "message": s.Message(text)} {
			if !strings.Contains(got, Mask) {
				t.Errorf("%s as %s: %q is not hidden", name, kind, got)
			}
		}
	}
}

// What becomes of a secret that is short, or a word that everybody uses.
func TestShortSecretsAndWords(t *testing.T) {
	s := Of("1", "on", "true", "create", "Postgres", "web-01", "8080", "correcthorsebattery")
	s.Keep("web-01.example.test", "step.file.web-01", "site-8080.hcl")
	for _, test := range []struct{ name, got, want string }{
		{"a short value", s.Value("1"), Mask},
		{"a short value and a line break", s.Value("on\n"), Mask},
		{"a short one in a text", s.Text("1 of 11 on"), "1 of 11 on"},
		{"a short one in a value", s.Value("turn it on"), "turn it on"},
		{"a word as a value", s.Value("true"), Mask},
		{"a word in output", s.Text("it is true"), "it is " + Mask},
		{"a word in a message", s.Message("cannot create it: true is not allowed"), "cannot create it: true is not allowed"},
		{"a name in a message", s.Message("needs user Postgres"), "needs user Postgres"},
		{"more than a word in a message", s.Message("port 8080 does not answer"), "port " + Mask + " does not answer"},
		{"a long word in a message", s.Message("correcthorsebattery is wrong"), Mask + " is wrong"},
		{"in a host's name", s.Message("runs once, on web-01.example.test"), "runs once, on web-01.example.test"},
		{"in an address and beside it", s.Message(`step.file.web-01: web-01`), "step.file.web-01: " + Mask},
		{"in a place", s.Message("(site-8080.hcl:3)"), "(site-8080.hcl:3)"},
		{"in no name", s.Message("xstep.file.web-01"), "xstep.file." + Mask},
	} {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", test.name, test.got, test.want)
		}
	}
	var none *Secrets
	if none.Value("x")+none.Text("y")+none.Message("z")+none.Stream().Write("w") != "xyzw" {
		t.Error("no secrets hide something")
	}
}

// What base64(1), openssl-base64(1) and xxd(1) print of a long secret has several lines.
func TestEncodingsInLines(t *testing.T) {
	secret := strings.Repeat("kQ7vWx93LmZpA0Yd", 5)
	s := Of(secret)
	for _, program := range []string{"base64", "base64 -w 64", "xxd -p"} {
		for _, echo := range []string{"printf %s", "echo"} {
			cmd := exec.CommandContext(t.Context(), "sh", "-c", echo+` "$1" | `+program, "sh", secret)
			out, err := cmd.Output()
			if err != nil {
				t.Logf("NOT TESTED here: %s: %v", program, err)
				continue
			}
			hidden := s.Text(string(out))
			for line := range strings.Lines(hidden) {
				if line = strings.TrimSpace(line); len(line) > 14 || !strings.Contains(hidden, "(sensitive)") {
					t.Errorf("%s | %s shows %q", echo, program, hidden)
					break
				}
			}
		}
	}
}
