package kinds

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"provision/internal/shell"
	"provision/internal/steps"
)

// TestDetailRoundTrip sends contents through the function detail of the prelude, in every shell.
func TestDetailRoundTrip(t *testing.T) {
	contents := map[string]string{
		"plain":       "one\ntwo\n",
		"empty":       "",
		"newline":     "\n",
		"newlines":    "\n\n\n",
		"no newline":  "one\ntwo",
		"crlf":        "one\r\n\r\ntwo\r",
		"marks":       "|.\n|content\n|:x\n\n|.",
		"state":       "key other\nkey",
		"latin-1":     "caf\xe9\xff\x80\n",
		"percent":     "100% \\n %s\t\n",
		"long line":   strings.Repeat("x", 200_000),
		"final blank": "one\n\n",
	}
	for _, sh := range availableShells(t, "") {
		t.Run(strings.Join(sh, " "), func(t *testing.T) {
			h := &host{shell: sh, work: filepath.Join(t.TempDir(), "work")}
			if err := os.Mkdir(h.work, 0o755); err != nil {
				t.Fatal(err)
			}
			for name, content := range contents {
				if err := os.WriteFile(filepath.Join(h.work, "f"), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				r := h.fragment(t, "say before 1\ndetail content f\ndetail again f\nsay key value\n", nil, nil, true)
				obs := steps.Observation{Stdout: r.stdout}
				for _, detail := range []string{"content", "again"} {
					if got, ok := obs.Detail(detail); !ok || got != content {
						t.Errorf("%s: %s became %.80q, %v", name, detail, got, ok)
					}
				}
				if obs.State() != "before 1\nkey value" {
					t.Errorf("%s: the state is %.80q", name, obs.State())
				}
				if value, _ := obs.Get("key"); value != "value" {
					t.Errorf("%s: key is %q", name, value)
				}
				if r := h.fragment(t, "say key value\ndetail content f\n", nil, nil, false); r.stdout != "key value\n" {
					t.Errorf("%s: detail is sent though nobody asked: %.80q", name, r.stdout)
				}
			}
		})
	}
}

// TestDetailIsBounded pins the limit that PreviewLimit names.
func TestDetailIsBounded(t *testing.T) {
	h := &host{shell: []string{"sh"}, work: filepath.Join(t.TempDir(), "work")}
	if err := os.Mkdir(h.work, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.work, "f"), bytes.Repeat([]byte("x"), steps.PreviewLimit+10), 0o600); err != nil {
		t.Fatal(err)
	}
	obs := steps.Observation{Stdout: h.fragment(t, "detail content f", nil, nil, true).stdout}
	if got, _ := obs.Detail("content"); len(got) != steps.PreviewLimit {
		t.Errorf("%d bytes of detail", len(got))
	}
}

// TestScriptsParse checks everything that is sent to a host as POSIX sh: the probe and the
// operations of every data file.
func TestScriptsParse(t *testing.T) {
	for name, text := range map[string]string{"prelude": shell.Prelude, "facts": steps.FactsScript} {
		if err := shell.Check(text, false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	eachStep(t, func(t *testing.T, path string, step steps.Step, f *steps.Facts, obs steps.Observation) {
		if err := shell.Check(step.Probe(), false); err != nil {
			t.Errorf("%s: the probe does not parse: %v", path, err)
		}
		change, err := step.Plan(f, obs)
		if err != nil {
			return
		}
		for _, op := range change.Ops {
			if run, ok := op.(steps.Run); ok {
				if err := shell.Check(run.Script, false); err != nil {
					t.Errorf("%s: an operation does not parse: %v\n%s", path, err, run.Script)
				}
			}
		}
	})
}

// TestSecretsStayOutOfScripts looks for the secrets of all data files in what travels or is shown.
func TestSecretsStayOutOfScripts(t *testing.T) {
	const secret = "hunter2"
	eachStep(t, func(t *testing.T, path string, step steps.Step, f *steps.Facts, obs steps.Observation) {
		if strings.Contains(step.Probe(), secret) {
			t.Errorf("%s: the probe shows a secret", path)
		}
		obs.Stdout = (steps.Observation{Stdout: obs.State()}).Stdout + "\n"
		if strings.Contains(obs.Stdout, secret) {
			t.Errorf("%s: the state shows a secret", path)
		}
		if text := renderPlan(step, f, obs); strings.Contains(text, secret) {
			t.Errorf("%s: the plan shows a secret:\n%s", path, text)
		}
	})
}

// eachStep calls a function with every valid step of the data files and its recorded observation.
func eachStep(t *testing.T, visit func(*testing.T, string, steps.Step, *steps.Facts, steps.Observation)) {
	t.Helper()
	for _, k := range All() {
		for _, path := range dataFiles(t, k.Name) {
			step, state := quickDecode(t, k, path)
			obs := observationOf(state)
			if step == nil || obs.Exit != 0 {
				continue
			}
			visit(t, path, step, readData(t, path).facts(), obs)
		}
	}
}

// FuzzPlan gives every step states that no probe prints: a host is hostile.
func FuzzPlan(f *testing.F) {
	var all []steps.Step
	for _, k := range All() {
		for _, path := range dataFiles(f, k.Name) {
			step, state := quickDecode(f, k, path)
			if step != nil {
				f.Add(uint(len(all)), state)
				all = append(all, step)
			}
		}
	}
	facts := steps.ParseFacts(defaultFacts)
	f.Fuzz(func(t *testing.T, n uint, state string) {
		step := all[n%uint(len(all))]
		obs := steps.Observation{Stdout: state}
		first := renderPlan(step, facts, obs)
		if second := renderPlan(step, facts, obs); first != second {
			t.Errorf("Plan is not deterministic")
		}
	})
}
