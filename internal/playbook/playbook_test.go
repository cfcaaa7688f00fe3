package playbook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// write makes files in a new working directory.
func write(t testing.TB, files map[string]string) {
	t.Helper()
	switch t := t.(type) {
	case *testing.T:
		t.Chdir(t.TempDir())
	case *testing.B:
		t.Chdir(t.TempDir())
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func load(t testing.TB, o Options) *Playbook {
	t.Helper()
	pb, diags := Load(t.Context(), ".", o)
	if diags = append(diags, pb.Validate()...); diags.HasErrors() {
		t.Fatal(printed(pb, diags))
	}
	return pb
}

func printed(pb *Playbook, diags hcl.Diagnostics) string {
	var b bytes.Buffer
	_ = hcl.NewDiagnosticTextWriter(&b, pb.Files(), 78, false).WriteDiagnostics(diags)
	return b.String()
}

func TestPlays(t *testing.T) {
	write(t, map[string]string{"a.hcl": `
host "a" { groups = ["web"] }
host "b" {}
step "directory" "x" {
  path = "/x"
  tags = ["one", "two"]
}
rollout { batch = 2 }
play "web" {
  hosts  = ["web"]
  become = true
  tags   = ["web"]
  rollout {
    batch        = ["1", "25%"]
    max_failures = "10%"
    order        = "reversed"
    pause        = "1m"
  }
}
`})
	pb := load(t, Options{})
	plays := pb.Plays()
	if len(plays) != 2 {
		t.Fatalf("%d plays", len(plays))
	}
	if got := fmt.Sprint(plays[0].Name, plays[0].Hosts, plays[0].Become, plays[0].Rollout.Batch); got != "[a b] false [2]" {
		t.Errorf("first play: %s", got)
	}
	r := plays[1].Rollout
	if got := fmt.Sprint(plays[1].Name, plays[1].Hosts, plays[1].Become, r.Batch, r.MaxFailures, r.Order, r.Pause, r.OnUnreachable); got != "web[a] true [1 25%] 10%reversed1m0sskip" {
		t.Errorf("second play: %s", got)
	}
	if r.Batch[1].Of(10) != 2 || r.MaxFailures.Of(9) != 0 || r.Batch[0].Of(0) != 0 {
		t.Error("shares are not rounded down")
	}
	if got := fmt.Sprint(pb.Tags()); got != "[one two web]" {
		t.Errorf("tags: %s", got)
	}
	sandbox := pb.Inventory().Sandbox("box")
	if list, diags := pb.Steps(sandbox, nil, nil); len(list) != 1 || diags.HasErrors() {
		t.Errorf("the sandbox has %d steps: %v", len(list), diags)
	}
}

func TestGitModule(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("PROVISION_CI") == "1" {
			t.Fatal("PROVISION_CI=1 and there is no git")
		}
		t.Skip("NOT TESTED: there is no git on this machine")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	repo := t.TempDir()
	write(t, nil)
	if err := os.Mkdir(filepath.Join(repo, "mod"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(repo, "mod/m.hcl"), []byte("step \"directory\" \"x\" {\n  path = \"/x\"\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "x"}, {"tag", "v1"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = repo
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v %s", args, err, out)
		}
	}
	site := "module \"m\" {\n  source = \"git::file://" + repo + "//mod?ref=%s\"\n}\n"
	write(t, map[string]string{"a.hcl": fmt.Sprintf(site, "v1")})
	for range 2 { // the second time from the cache, without the repository
		pb := load(t, Options{})
		list, _ := pb.Steps(pb.Inventory().Sandbox("box"), nil, nil)
		if len(list) != 1 || list[0].Addr != "module.m.step.directory.x" || !strings.HasSuffix(list[0].Source.File, "@v1/mod/m.hcl") {
			t.Fatalf("the steps are %v", list)
		}
		if err := os.RemoveAll(filepath.Join(repo, ".git/refs")); err != nil {
			t.Fatal(err)
		}
	}
	write(t, map[string]string{"a.hcl": fmt.Sprintf(site, "none")})
	pb, diags := Load(t.Context(), ".", Options{})
	if out := printed(pb, diags); !strings.Contains(out, "The module cannot be fetched") {
		t.Errorf("an unknown commit gives:\n%s", out)
	}
}

// A file inside a shipped module reaches the disk, since uploads read files.
func TestShippedFile(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	shipped := fstest.MapFS{
		"motd/m.hcl":      {Data: []byte("step \"file\" \"x\" {\n  path   = \"/x\"\n  source = \"files/motd\"\n}\n")},
		"motd/files/motd": {Data: []byte("welcome")},
	}
	write(t, map[string]string{"a.hcl": "module \"m\" {\n  source = \"provision/motd\"\n}\n"})
	pb := load(t, Options{Shipped: shipped})
	list, _ := pb.Steps(pb.Inventory().Sandbox("box"), nil, nil)
	var step struct{ Source *steps.Local }
	data, _ := json.Marshal(list[0].Step)
	if err := json.Unmarshal(data, &step); err != nil || step.Source == nil {
		t.Fatalf("%s: %v", data, err)
	}
	if text, err := os.ReadFile(step.Source.Path); err != nil || string(text) != "welcome" || step.Source.Size != 7 {
		t.Errorf("%q, %v", text, err)
	}
}

// Steps is pure: many callers get the same, in whatever order.
func TestConcurrent(t *testing.T) {
	write(t, bigPlaybook(20))
	pb := load(t, Options{})
	h := pb.Inventory().Hosts()[0]
	render := func() string {
		list, diags := pb.Steps(h, debian(), map[string]cty.Value{"step.command.version": cty.ObjectVal(map[string]cty.Value{"stdout": cty.StringVal("1")})})
		if diags.HasErrors() {
			return diags.Error()
		}
		var b strings.Builder
		for _, inst := range list {
			dumpInstance(t, &b, inst)
		}
		return b.String()
	}
	want := render()
	if !strings.Contains(want, "/srv/1") {
		t.Fatalf("no result was used:\n%s", want)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if got := render(); got != want {
					t.Error("the steps differ from call to call")
				}
			}
		})
	}
	wg.Wait()
}

func bigPlaybook(n int) map[string]string {
	var b strings.Builder
	b.WriteString("variable \"base\" { default = \"/srv\" }\nlocals { app = \"${var.base}/app\" }\n")
	b.WriteString("host \"web[1:10]\" { groups = [\"web\"] }\n")
	b.WriteString("step \"command\" \"version\" {\n  run = [\"uname\"]\n}\n")
	b.WriteString("step \"directory\" \"late\" {\n  path = \"/srv/${step.command.version.stdout}\"\n}\n")
	for i := range n {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, "step \"directory\" \"d%d\" {\n  path  = \"${local.app}/%d/${host.name}\"\n  mode  = \"0755\"\n  owner = \"root\"\n}\n", i, i)
		case 1:
			fmt.Fprintf(&b, "step \"command\" \"c%d\" {\n  script  = \"echo %d > /tmp/x && test -e /tmp/x\"\n  creates = \"/tmp/%d\"\n  when    = fact.os.id == \"debian\"\n}\n", i, i, i)
		case 2:
			fmt.Fprintf(&b, "step \"file\" \"f%d\" {\n  path     = \"/etc/f%d\"\n  template = \"t.tmpl\"\n  mode     = \"0644\"\n}\n", i, i)
		}
	}
	return map[string]string{"a.hcl": b.String(), "t.tmpl": "app = ${local.app}\ncpus = ${fact.cpus}\nname = ${host.name}\n"}
}

func BenchmarkSteps(b *testing.B) {
	for _, n := range []int{30, 300} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			write(b, bigPlaybook(n))
			pb := load(b, Options{})
			h := pb.Inventory().Hosts()[0]
			b.ReportAllocs()
			for b.Loop() {
				if _, diags := pb.Steps(h, debian(), nil); diags.HasErrors() {
					b.Fatal(diags)
				}
			}
		})
	}
}

func TestFormat(t *testing.T) {
	if got := string(Format([]byte("step \"a\" \"b\" {\n x=1\n   yy = 2\n}\n"))); got != "step \"a\" \"b\" {\n  x  = 1\n  yy = 2\n}\n" {
		t.Errorf("%q", got)
	}
}
