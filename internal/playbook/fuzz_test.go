package playbook

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"provision/internal/inventory"
)

// seeds returns the playbooks of the golden cases.
func seeds(f *testing.F, name string) [][]byte {
	archives, _ := filepath.Glob("testdata/*.txtar")
	var found [][]byte
	for _, archive := range archives {
		a, err := txtar.ParseFile(archive)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range a.Files {
			if filepath.Base(file.Name) == name {
				found = append(found, file.Data)
			}
		}
	}
	if len(found) == 0 {
		f.Fatalf("no seed is named %s", name)
	}
	return found
}

// fuzzLoad loads whatever comes as the file of a playbook, and resolves it for each of its hosts. It
// must end with diagnostics and not with a panic.
func fuzzLoad(t *testing.T, name string, data []byte) {
	dir := t.TempDir()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	// No program may be started by what a fuzzer finds.
	ctx := stopped(t)
	pb, diags := Load(ctx, path, Options{Shipped: fstest.MapFS{}, Environ: []string{"HOME=" + dir}})
	found := pb.Validate()
	_ = printed(pb, append(diags, found...))
	if diags.HasErrors() || found.HasErrors() {
		return
	}
	hosts := append(pb.Inventory().Hosts(), pb.Inventory().Sandbox("box"))
	for _, h := range hosts[:min(len(hosts), 3)] {
		resolve(t, pb, h)
	}
	pb.Plays()
	pb.Tags()
}

func resolve(t *testing.T, pb *Playbook, h *inventory.Host) {
	before, _ := pb.Steps(h, nil, nil)
	for _, inst := range before {
		if inst.Step == nil && !inst.Skip && len(inst.Waits) == 0 {
			t.Errorf("%s has no step and waits for nothing", inst.Addr)
		}
	}
	pb.Steps(h, debian(), nil)
}

func FuzzNative(f *testing.F) {
	for _, s := range seeds(f, "site.hcl") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzLoad(t, "site.hcl", data) })
}

func FuzzJSON(f *testing.F) {
	for _, s := range seeds(f, "site.hcl.json") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzLoad(t, "site.hcl.json", data) })
}

// stopped returns a context that has ended.
func stopped(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
