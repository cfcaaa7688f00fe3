package kinds

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// TestData runs every data file of the blocks that change nothing: the probes in every shell, with all outputs wanted.
func TestData(t *testing.T) {
	for _, k := range Asides() {
		for _, path := range dataFiles(t, k.Title()) {
			t.Run(k.Title()+"/"+strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
				t.Parallel()
				runData(t, k, readData(t, path))
			})
		}
	}
}

// Nothing that they do is a change, and their manual is whole.
func TestAsidesAreDescribed(t *testing.T) {
	for _, k := range Asides() {
		summary, _, _ := strings.Cut(k.Doc, "\n")
		if !strings.HasSuffix(summary, ".") || len(summary) > 100 {
			t.Errorf("%s: the first line of the doc is no summary: %q", k.Title(), summary)
		}
		step, args := k.New()
		for _, a := range args {
			if !strings.HasSuffix(a.Doc, ".") {
				t.Errorf("%s: the doc of argument %s does not end with a full stop", k.Title(), a.Name)
			}
		}
		for _, o := range k.Outputs {
			if !strings.HasSuffix(o.Doc, ".") {
				t.Errorf("%s: the doc of output %s does not end with a full stop", k.Title(), o.Name)
			}
		}
		if _, yes := step.(steps.Bringer); yes || Named(k.Title()) == nil {
			t.Errorf("%s: it brings something, or is not found", k.Title())
		}
		if _, chooses := step.(steps.Chooser); chooses != (k.Block == steps.DataBlock) {
			t.Errorf("%s: only data looks for what is wanted", k.Title())
		}
		if n := len(dataFiles(t, k.Title())); n < 3 {
			t.Errorf("%d data files in testdata/%s; at least 3 are wanted", n, k.Title())
		}
	}
}

// What nobody refers to is not asked of the host: each output by itself adds something to the probe, and without any it is short.
func TestDataLooksForWhatIsWantedAlone(t *testing.T) {
	for _, k := range Data() {
		for _, path := range dataFiles(t, k.Title()) {
			step, _ := quickDecode(t, k, path)
			if step == nil {
				continue
			}
			ask := func(wanted ...string) string {
				step.(steps.Chooser).Choose(func(output string) bool { return slices.Contains(wanted, output) })
				return step.Probe()
			}
			for _, o := range k.Outputs {
				if n, all := len(ask(o.Name)), len(ask(outputNames(k)...)); n > all {
					t.Errorf("%s %s: for %s alone it asks for more than for all", path, k.Title(), o.Name)
				}
			}
		}
	}
	step, args := pathData.New()
	if err := args.Get("path").Set(cty.StringVal("/etc/passwd")); err != nil {
		t.Fatal(err)
	}
	step.(steps.Chooser).Choose(func(output string) bool { return output == "exists" })
	if probe := step.Probe(); strings.Contains(probe, "detail") || strings.Contains(probe, "sum_of") || strings.Contains(probe, "attributes") {
		t.Errorf("to know whether it is there, it looks at what it holds:\n%s", probe)
	}
}

func TestDataPathRefusesWhatIsNoText(t *testing.T) {
	step, args := pathData.New()
	if err := args.Get("path").Set(cty.StringVal("/srv/f")); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a\x00b", "\xff", "not what the sum says"} {
		obs := steps.Observation{Stdout: "type file\nmode 644\nsha256 0\n|content\n|:" + text + "\n|.\n"}
		if _, err := step.Plan(nil, obs); err == nil || !strings.Contains(err.Error(), "are for text") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func outputNames(k *steps.Kind) []string {
	var names []string
	for _, o := range k.Outputs {
		names = append(names, o.Name)
	}
	return names
}

func TestMatchesRefusesWhatIsNoText(t *testing.T) {
	step, args := pathData.New()
	for name, value := range map[string]string{"path": "/srv/f", "match": "a"} {
		if err := args.Get(name).Set(cty.StringVal(value)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := step.Plan(nil, steps.Observation{Stdout: "type file\nmode 644\nbinary yes\n"}); err == nil || !strings.Contains(err.Error(), "NUL byte") {
		t.Errorf("%v", err)
	}
}
