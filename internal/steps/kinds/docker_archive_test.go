package kinds

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/steps"
)

const imageDigest = "8ddc19f16526912237dd8af81971d5e4dd0587907234be2b83e249518d5b673f"

func archiveOf(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestImageArchive reads what docker save of several versions writes.
func TestImageArchive(t *testing.T) {
	old := archiveOf(t, "layer/layer.tar", strings.Repeat("x", 5000), "manifest.json", `[{"Config":"`+imageDigest+`.json","RepoTags":["app:1.2"],"Layers":[]}]`)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(old)
	_ = z.Close()
	manifest := strings.Repeat("a", 64)
	for name, c := range map[string]struct {
		archive []byte
		want    *imageArchive
		err     string
	}{
		"docker 24": {old, &imageArchive{IDs: []string{"sha256:" + imageDigest}, Tags: []string{"app:1.2"}}, ""},
		"gzip":      {zipped.Bytes(), &imageArchive{IDs: []string{"sha256:" + imageDigest}, Tags: []string{"app:1.2"}}, ""},
		"docker 25": {archiveOf(t, "index.json", `{"manifests":[{"digest":"sha256:`+manifest+`"}]}`, "manifest.json", `[{"Config":"blobs/sha256/`+imageDigest+`","RepoTags":null}]`), &imageArchive{IDs: []string{"sha256:" + imageDigest, "sha256:" + manifest}}, ""},
		"two":       {archiveOf(t, "manifest.json", `[{"Config":"a"},{"Config":"b"}]`), nil, "several images"},
		"other":     {archiveOf(t, "README", "hello"), nil, "no manifest.json"},
		"damaged":   {old[:700], nil, "EOF"},
		"digest":    {archiveOf(t, "manifest.json", `[{"Config":"../../etc/passwd"}]`), nil, "names no digest"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readImageArchive(bytes.NewReader(c.archive))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestDockerImageLoads checks that an archive travels if the host has another image of the name, and only then.
func TestDockerImageLoads(t *testing.T) {
	file := filepath.Join(t.TempDir(), "app.tar")
	if err := os.WriteFile(file, archiveOf(t, "manifest.json", `[{"Config":"`+imageDigest+`.json","RepoTags":["app:1.2"]}]`), 0o644); err != nil {
		t.Fatal(err)
	}
	step, args := dockerImageKind.New()
	if problems := decodeInto(t, dockerImageKind, step, args, "load = "+`"`+file+`"`, "args"); problems != "" {
		t.Fatal(problems)
	}
	if !strings.Contains(step.Probe(), "app:1.2") {
		t.Error("the probe does not look at the name in the archive")
	}
	for state, want := range map[string]steps.Action{
		"id none": steps.Create, "id sha256:" + strings.Repeat("b", 64): steps.Update, "id sha256:" + imageDigest: steps.NoOp, "missing command docker": steps.Create,
	} {
		change, err := step.Plan(&steps.Facts{}, steps.Observe(state))
		if err != nil {
			t.Fatal(err)
		}
		if change.Action != want {
			t.Errorf("%s: %s, want %s", state, change.Action, want)
		}
		if want == steps.Update {
			run, ok := change.Ops[0].(steps.Run)
			if !ok || run.Stdin == nil || run.Stdin.Local == nil || !strings.Contains(run.Script, "docker tag sha256:"+imageDigest+" app:1.2") {
				t.Errorf("operations: %+v", change.Ops)
			}
		}
	}
}

// TestDockerImageArrives loads an image into the Docker engine of this machine, under a name that the archive does not know.
func TestDockerImageArrives(t *testing.T) {
	if os.Getenv("PROVISION_DOCKER") != "1" {
		t.Skip("uses the Docker engine of this machine: set PROVISION_DOCKER=1")
	}
	h := &host{shell: []string{"dash"}, work: t.TempDir()}
	file := filepath.Join(h.work, "image.tar.gz")
	if r := h.script(t, "docker info", nil); r.exit != 0 {
		lack(t, "there is no Docker engine: "+r.stderr)
		return
	}
	name := "provision-test-load:" + filepath.Base(h.work)
	r := h.script(t, `set -e
mkdir root && echo "$$" >root/unique
tar -C root -c . | docker import - saved-`+name+` >/dev/null
docker save saved-`+name+` | gzip >image.tar.gz
docker image rm saved-`+name+` >/dev/null`, nil)
	if r.exit != 0 {
		t.Fatal(r.stderr)
	}
	t.Cleanup(func() { h.script(t, "docker image rm "+name+" saved-"+name, nil) })
	for _, want := range []steps.Action{steps.Create, steps.NoOp} {
		step, args := dockerImageKind.New()
		if problems := decodeInto(t, dockerImageKind, step, args, `
name = "`+name+`"
load = "`+file+`"
`, "args"); problems != "" {
			t.Fatal(problems)
		}
		obs := h.probe(t, step, true)
		change, err := step.Plan(&steps.Facts{}, obs)
		if err != nil || change.Action != want {
			t.Fatalf("%s, want %s (%v); state %s %s", change.Action, want, err, obs.Stdout, obs.Stderr)
		}
		if err := h.apply(t, change.Ops); err != nil {
			t.Fatal(err)
		}
	}
}
