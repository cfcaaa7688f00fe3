package playbook

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

var update = flag.Bool("update", false, "rewrite the golden sections of testdata")

// A testCase is a directory of an archive: the files of a playbook, "options" and the golden "want".
//
// Lines of options: path NAME, var NAME=VALUE, var-file NAME, env NAME=VALUE, facts, hosts (dump
// them), test (it is tested), result ADDRESS OBJECT, tags TAG (only steps with it), shipped NAME (a directory of the case that is shipped).
type testCase struct {
	name  string
	files []txtar.File
	want  string
}

// TestGolden loads each case of testdata/*.txtar and compares the diagnostics and the resolved steps with its
// golden text.
func TestGolden(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	mistakes := 0
	for _, name := range archives {
		name, _ := filepath.Abs(name)
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		results := map[string]string{}
		for _, c := range splitCases(t, a) {
			if strings.Contains(c.want, "Error: ") {
				mistakes++
			}
			t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar")+"/"+c.name, func(t *testing.T) {
				got := c.run(t)
				results[c.name] = got
				if !*update && got != c.want {
					t.Errorf("differs from the golden text (-want +got):\n%s", cmp.Diff(c.want, got))
				}
			})
		}
		if *update {
			rewrite(t, name, a, results)
		}
	}
	if !*update && mistakes < 60 {
		t.Errorf("%d cases of mistakes, and at least 60 are wanted", mistakes)
	}
}

func splitCases(t *testing.T, a *txtar.Archive) []*testCase {
	var cases []*testCase
	for _, f := range a.Files {
		name, file, ok := strings.Cut(f.Name, "/")
		if !ok {
			t.Fatalf("%s is outside of a case", f.Name)
		}
		i := slices.IndexFunc(cases, func(c *testCase) bool { return c.name == name })
		if i < 0 {
			cases, i = append(cases, &testCase{name: name}), len(cases)
		}
		if file == "want" {
			cases[i].want = string(f.Data)
			continue
		}
		cases[i].files = append(cases[i].files, txtar.File{Name: file, Data: f.Data})
	}
	return cases
}

func rewrite(t *testing.T, name string, a *txtar.Archive, results map[string]string) {
	var files []txtar.File
	last := ""
	flush := func() {
		if last != "" {
			files = append(files, txtar.File{Name: last + "/want", Data: []byte(results[last])})
		}
	}
	for _, f := range a.Files {
		c, file, _ := strings.Cut(f.Name, "/")
		if file == "want" {
			continue
		}
		if c != last {
			flush()
			last = c
		}
		files = append(files, f)
	}
	flush()
	a.Files = files
	if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (c *testCase) run(t *testing.T) string {
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	o := Options{Environ: []string{"HOME=" + t.TempDir()}, Vars: map[string]string{}}
	path, dump := ".", false
	var chosen func([]string) bool
	var facts *steps.Facts
	results := map[string]cty.Value{}
	shipped := fstest.MapFS{}
	for _, f := range c.files {
		if f.Name == "options" {
			for _, line := range strings.Split(strings.TrimSpace(string(f.Data)), "\n") {
				word, rest, _ := strings.Cut(line, " ")
				name, value, _ := strings.Cut(rest, "=")
				switch word {
				case "path":
					path = rest
				case "var":
					o.Vars[name] = value
				case "var-file":
					o.VarFiles = append(o.VarFiles, rest)
				case "env":
					o.Environ = append(o.Environ, rest)
				case "facts":
					facts = debian()
				case "hosts":
					dump = true
				case "tags":
					chosen = func(tags []string) bool { return slices.Contains(tags, rest) }
				case "test":
					o.Test = true
				case "result":
					addr, text, _ := strings.Cut(rest, " ")
					results[addr] = object(t, text)
				default:
					t.Fatalf("unknown option %q", line)
				}
			}
			continue
		}
		if rest, ok := strings.CutPrefix(f.Name, "shipped/"); ok {
			shipped[rest] = &fstest.MapFile{Data: f.Data}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(f.Name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.Name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o.Shipped = shipped
	var out strings.Builder
	pb, diags := Load(t.Context(), path, o)
	writeDiagnostics(&out, pb, append(diags, pb.Validate()...))
	if strings.Contains(out.String(), "Error: ") {
		return out.String()
	}
	hosts := pb.Inventory().Hosts()
	if len(hosts) == 0 {
		hosts = append(hosts, pb.Inventory().Sandbox("sandbox"))
	}
	for _, h := range hosts {
		if dump {
			dumpHost(&out, h)
			continue
		}
		list, diags := pb.Chosen(h, facts, results, chosen)
		if len(hosts) > 1 {
			fmt.Fprintf(&out, "host %s\n", h.Name)
		}
		if diags.HasErrors() {
			writeDiagnostics(&out, pb, diags)
			continue
		}
		for _, inst := range list {
			dumpInstance(t, &out, inst)
		}
	}
	return out.String()
}

func writeDiagnostics(out *strings.Builder, pb *Playbook, diags hcl.Diagnostics) {
	var b bytes.Buffer
	_ = hcl.NewDiagnosticTextWriter(&b, pb.Files(), 78, false).WriteDiagnostics(diags)
	dir, _ := os.Getwd()
	out.WriteString(strings.ReplaceAll(b.String(), dir, "$WORK"))
}

func object(t *testing.T, text string) cty.Value {
	expr, diags := hclsyntax.ParseExpression([]byte(text), "result", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	v, diags := expr.Value(nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return v
}

func debian() *steps.Facts {
	return &steps.Facts{
		OSID: "debian", OSName: "Debian GNU/Linux 12 (bookworm)", OSVersion: "12", OSLike: []string{"debian"},
		Arch: "x86_64", Kernel: "6.1.0", Hostname: "web1", CPUs: 4, MemoryMB: 2048, User: "root", Home: "/root",
		IsRoot: true, PackageManager: "apt", Init: "systemd", SELinux: "disabled",
	}
}

// dumpInstance prints an instance with what is not the zero value.
func dumpInstance(t *testing.T, out *strings.Builder, inst steps.Instance) {
	fmt.Fprintf(out, "%s", inst.Addr)
	if inst.Play != "" {
		fmt.Fprintf(out, " play=%s", inst.Play)
	}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"skip", inst.Skip}, {"become", inst.Become}, {"proceed", inst.Proceed}, {"once", inst.Once}, {"check", inst.Check}} {
		if flag.set {
			fmt.Fprintf(out, " %s", flag.name)
		}
	}
	if inst.RunAs != "" {
		fmt.Fprintf(out, " run_as=%s", inst.RunAs)
	}
	if inst.Timeout != 0 {
		fmt.Fprintf(out, " timeout=%d", inst.Timeout)
	}
	if inst.Retries != 0 {
		fmt.Fprintf(out, " retries=%d", inst.Retries)
	}
	if len(inst.Tags) > 0 {
		fmt.Fprintf(out, " tags=%v", inst.Tags)
	}
	if len(inst.Waits) > 0 {
		fmt.Fprintf(out, " waits=%v", inst.Waits)
	}
	if len(inst.OnChange) > 0 {
		fmt.Fprintf(out, " on_change=%v", inst.OnChange)
	}
	fmt.Fprintf(out, "\n    # %s:%d %s\n", inst.Source.File, inst.Source.Line, inst.Source.Text)
	var wrong *StepError
	if errors.As(inst.Unresolved, &wrong) {
		message, hint := wrong.Hint()
		fmt.Fprintf(out, "    error: %s\n    hint: %s\n", message, hint)
	}
	if inst.Step == nil {
		return
	}
	data, err := json.Marshal(inst.Step)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	for name, v := range fields {
		if v == nil || v == "" || v == false || v == 0.0 {
			delete(fields, name)
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(fields)
	dir, _ := os.Getwd()
	fmt.Fprintf(out, "    %s", strings.ReplaceAll(b.String(), dir, "$WORK"))
}
