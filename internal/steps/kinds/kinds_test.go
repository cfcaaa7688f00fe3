package kinds

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"provision/internal/steps"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

// TestKindsAreDescribed keeps the manual whole.
func TestKindsAreDescribed(t *testing.T) {
	var names []string
	for _, k := range All() {
		names = append(names, k.Name)
		t.Run(k.Name, func(t *testing.T) {
			summary, rest, _ := strings.Cut(k.Doc, "\n")
			if !strings.HasSuffix(summary, ".") || len(summary) > 100 {
				t.Errorf("the first line of the doc is no summary: %q", summary)
			}
			if rest != "" && !strings.HasPrefix(rest, "\n") {
				t.Errorf("an empty line must follow the summary")
			}
			step, args := k.New()
			seen := map[string]bool{}
			for _, a := range args {
				if !strings.HasSuffix(a.Doc, ".") {
					t.Errorf("the doc of argument %s does not end with a full stop: %q", a.Name, a.Doc)
				}
				if seen[a.Name] {
					t.Errorf("argument %s is there twice", a.Name)
				}
				seen[a.Name] = true
			}
			for _, o := range k.Outputs {
				if !strings.HasSuffix(o.Doc, ".") {
					t.Errorf("the doc of output %s does not end with a full stop: %q", o.Name, o.Doc)
				}
			}
			if _, ok := step.(steps.Outputter); ok != (len(k.Outputs) > 0) {
				t.Errorf("Outputs are described or given, but not both")
			}
			if found := Find(k.Name); found == nil || found.Name != k.Name {
				t.Errorf("Find does not find it")
			}
			if n := len(dataFiles(t, k.Name)); n < 4 {
				t.Errorf("%d data files in testdata/%s; at least 4 are wanted", n, k.Name)
			}
			if _, err := os.Stat(filepath.Join("testdata", k.Name, "disturbance.txt")); err != nil {
				t.Errorf("there is no change by hand of what the example makes, for the test on hosts: %v", err)
			}
			checkExample(t, k)
		})
	}
	if !sort.StringsAreSorted(names) {
		t.Errorf("kinds are not sorted by name: %v", names)
	}
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		// fuzz and rapid are where what a random test found is kept.
		if e.Name() != "fuzz" && e.Name() != "rapid" && Named(e.Name()) == nil {
			t.Errorf("testdata/%s belongs to no kind", e.Name())
		}
	}
}

// checkExample decodes every step of an example, as far as its arguments do not refer to
// other steps or to local files.
func checkExample(t *testing.T, k *steps.Kind) {
	t.Helper()
	file, diags := hclparse.NewParser().ParseHCL([]byte(k.Example), "example of "+k.Name)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	content, diags := file.Body.Content(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "step", LabelNames: []string{"kind", "name"}},
	}})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	shown := false
	for _, block := range content.Blocks {
		shown = shown || block.Labels[0] == k.Name
		if !hclsyntax.ValidIdentifier(block.Labels[1]) {
			t.Errorf("the example calls a step %q: letters, digits, _ and - make a name", block.Labels[1])
		}
		other := Find(block.Labels[0])
		if other == nil {
			t.Errorf("the example names the kind %q, which is not there", block.Labels[0])
			continue
		}
		attributes, diags := block.Body.JustAttributes()
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		complete := true
		for name, attribute := range attributes {
			if metaArgument(name) {
				delete(attributes, name)
				continue
			}
			if len(attribute.Expr.Variables()) > 0 {
				complete = false
			}
		}
		if !complete {
			continue
		}
		step, args := other.New()
		if problems := decodeAttributes(t, other, step, args, attributes); problems != "" {
			t.Errorf("step %s %s of the example: %s", block.Labels[0], block.Labels[1], problems)
		}
	}
	if !shown {
		t.Errorf("the example does not show the kind")
	}
}

// metaArgument tells whether the language takes an argument of this name from every step.
// service has an on_change of its own shape, which the language takes as well.
func metaArgument(name string) bool {
	switch name {
	case "when", "for_each", "become", "run_as", "on_change", "tags", "timeout", "retries", "continue_on_error":
		return true
	}
	return false
}

// TestKinds runs every data file of every kind.
func TestKinds(t *testing.T) {
	for _, k := range All() {
		for _, path := range dataFiles(t, k.Name) {
			name := k.Name + "/" + strings.TrimSuffix(filepath.Base(path), ".txtar")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				runData(t, k, readData(t, path))
			})
		}
	}
}

func runData(t *testing.T, k *steps.Kind, d *dataFile) {
	if what := d.lacking(); what != "" {
		lack(t, d.path+" needs "+what)
		return
	}
	if d.has("setup") {
		for i, sh := range availableShells(t, d.sections["shells"]) {
			t.Run(strings.Join(sh, " "), func(t *testing.T) {
				runHost(t, k, d, sh, *update && i == 0)
			})
		}
	} else {
		p := newPlaces(t, d)
		if step := decoded(t, k, d, p, *update); step != nil {
			obs := observationOf(p.expand(d.sections["state"]))
			planned(t, step, d, p, obs, *update)
		}
	}
	if *update {
		d.write(t)
	}
}

// decoded returns the step of a data file, or nil if its arguments are wrong, as they should
// be.
func decoded(t *testing.T, k *steps.Kind, d *dataFile, p places, rewrite bool) steps.Step {
	t.Helper()
	step, problems := decode(t, k, d, p)
	golden(t, d, p, "problems", problems, rewrite)
	for _, line := range strings.Split(problems, "\n") {
		if line != "" && line[0] != ' ' && !strings.HasPrefix(line, "warning: ") {
			return nil
		}
	}
	return step
}

func observationOf(state string) steps.Observation {
	if reason, failed := strings.CutPrefix(state, "could not tell: "); failed {
		return steps.Observation{Exit: 1, Stderr: reason}
	}
	return steps.Observation{Stdout: state}
}

// planned checks the plan of an observation, and that Plan is a function: total over what it
// predicts, and the same every time.
func planned(t *testing.T, step steps.Step, d *dataFile, p places, obs steps.Observation, rewrite bool) {
	t.Helper()
	if obs.Exit != 0 {
		golden(t, d, p, "plan", "", rewrite)
		return
	}
	f := d.facts()
	first := renderPlan(step, f, obs)
	golden(t, d, p, "plan", first, rewrite)
	if second := renderPlan(step, f, obs); second != first {
		t.Errorf("Plan is not deterministic:\n%s", cmp.Diff(first, second))
	}
	change, err := step.Plan(f, obs)
	if err != nil {
		return
	}
	for _, predicted := range change.Predict {
		if _, err := step.Plan(f, predicted); err != nil {
			t.Errorf("Plan fails on what it predicts: %v\n%s", err, predicted.State())
		}
	}
}

// golden compares got with a section, or rewrites the section.
func golden(t *testing.T, d *dataFile, p places, section, got string, rewrite bool) {
	t.Helper()
	if got != "" && !strings.HasSuffix(got, "\n") {
		got += "\n"
	}
	if rewrite {
		if got == "" && !d.has(section) {
			return
		}
		d.set(section, p.fold(got))
		return
	}
	want := p.expand(d.sections[section])
	if os.Getuid() != 0 {
		// Root recorded it, and so "$ME" is also where root is meant.
		want, got = p.sameUser(want), p.sameUser(got)
	}
	if want != got {
		t.Errorf("%s: section %s (-want +got):\n%s", d.path, section, cmp.Diff(want, got))
	}
}

// ofTheMachine finds commands that change files of the system.
var ofTheMachine = regexp.MustCompile(`(?m)(?:^|[;&|]|\bthen|\bdo)\s*(?:rm|mv|mkdir|rmdir|touch|chmod|chown)\s[^\n;]*?[\s"']/(?:etc|usr|var|root|home|opt|srv)/`)

// runHost probes for real in one shell and, where the data file says so, applies the change.
func runHost(t *testing.T, k *steps.Kind, d *dataFile, sh []string, rewrite bool) {
	p := newPlaces(t, d)
	step := decoded(t, k, d, p, rewrite)
	if step == nil {
		return
	}
	h := &host{shell: sh, work: p.work, before: d.factVariables()}
	if changed := ofTheMachine.FindString(d.sections["setup"]); changed != "" && !d.has("system") {
		t.Fatalf("%s: the setup changes this machine, which only one with a section system may: %s", d.path, changed)
	}
	if d.has("system") {
		if h.enter = privateSystem(t); h.enter == nil {
			return
		}
	}
	if r := h.script(t, "set -e\n"+d.sections["setup"], nil); r.exit != 0 {
		if os.Getuid() != 0 && strings.Contains(r.stderr, "Operation not permitted") {
			lack(t, "the setup of "+d.path+" needs root")
			return
		}
		if strings.Contains(r.stderr, "not found") {
			lack(t, "the setup of "+d.path+" needs a program: "+r.stderr)
			return
		}
		t.Fatalf("setup: exit %d: %s", r.exit, r.stderr)
	}
	obs := h.probe(t, step, true)
	state := obs.Stdout
	if obs.Exit != 0 {
		state = "could not tell: " + obs.Stderr
	}
	golden(t, d, p, "state", state, rewrite)
	planned(t, step, d, p, obs, rewrite)
	if d.has("converge") && obs.Exit == 0 {
		h.converge(t, step, d, p, obs, rewrite)
	}
}

func (h *host) probe(t *testing.T, step steps.Step, detail bool) steps.Observation {
	t.Helper()
	probe := step.Probe()
	if probe == "" {
		return steps.Observation{}
	}
	r := h.fragment(t, probe, nil, nil, detail)
	return steps.Observation{Stdout: r.stdout, Stderr: r.stderr, Exit: r.exit}
}

func (h *host) converge(t *testing.T, step steps.Step, d *dataFile, p places, obs steps.Observation, rewrite bool) {
	t.Helper()
	if strings.TrimSpace(d.sections["converge"]) == "root" && os.Getuid() != 0 {
		lack(t, "the operations of "+d.path+" need root")
		return
	}
	change, err := step.Plan(d.facts(), obs)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.apply(t, change.Ops); err != nil {
		t.Fatal(err)
	}
	for _, detail := range []bool{false, true} {
		after := h.probe(t, step, detail)
		if after.Exit != 0 {
			t.Fatalf("the probe fails after the operations: %s", after.Stderr)
		}
		again, err := step.Plan(d.facts(), after)
		if err != nil {
			t.Fatal(err)
		}
		if again.Action != steps.NoOp || len(again.Ops) > 0 {
			var b strings.Builder
			renderChange(&b, again)
			t.Errorf("did not converge; state after the operations:\n%s\nplan:\n%s", after.Stdout, b.String())
		}
	}
	if d.has("after") {
		r := h.script(t, d.sections["after"], nil)
		golden(t, d, p, "after.out", r.stdout+r.stderr, rewrite)
	}
}
