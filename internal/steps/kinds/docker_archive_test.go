package kinds

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"provision/internal/steps"
)

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

const (
	layerA = "sha256:282bccc5a5008f9be19af7253e9dc5106be6163ee336ecf3798c7c6b092ae359"
	layerB = "sha256:07089f66c20f16a5c24f78844da2415cda99c43c16b41169730ecd80a5a051c5"
)

// imageJSON is the configuration of an image for an architecture.
func imageJSON(architecture, created, config string, layers ...string) string {
	return `{"architecture":"` + architecture + `","os":"linux","created":"` + created + `","config":` + config + `,"rootfs":{"type":"layers","diff_ids":["` + strings.Join(layers, `","`) + `"]}}`
}

func digestOf(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// ociArchive is an archive of the OCI layout alone: pairs of a name and a configuration, each with a manifest in one index.
func ociArchive(t *testing.T, annotations string, configs ...string) []byte {
	t.Helper()
	var files, manifests []string
	for _, config := range configs {
		manifest := `{"config":{"digest":"sha256:` + digestOf(config) + `"},"layers":[]}`
		files = append(files, "blobs/sha256/"+digestOf(config), config, "blobs/sha256/"+digestOf(manifest), manifest)
		manifests = append(manifests, `{"digest":"sha256:`+digestOf(manifest)+`"}`)
	}
	attestation := `{"config":{"digest":"sha256:` + strings.Repeat("e", 64) + `"}}`
	index := `{"manifests":[` + strings.Join(manifests, ",") + `,{"digest":"sha256:` + digestOf(attestation) + `","platform":{"os":"unknown","architecture":"unknown"}},{"digest":"sha256:` + strings.Repeat("f", 64) + `"}]}`
	files = append(files, "blobs/sha256/"+digestOf(attestation), attestation, "blobs/sha256/"+digestOf(index), index,
		"oci-layout", "{}", "index.json", `{"manifests":[{"digest":"sha256:`+digestOf(index)+`","annotations":{`+annotations+`}}]}`)
	return archiveOf(t, files...)
}

// TestImageArchive reads the forms that docker save, podman save and skopeo write.
func TestImageArchive(t *testing.T) {
	amd := imageJSON("amd64", "2026-11-29T18:29:37.281304354Z", `{"Env":["A=b"]}`, layerA, layerB)
	arm := imageJSON("arm64", "2026-11-29T18:29:37Z", `{}`, layerA)
	old := archiveOf(t, "layer/layer.tar", strings.Repeat("x", 5000), digestOf(amd)+".json", amd, "manifest.json", `[{"Config":"`+digestOf(amd)+`.json","RepoTags":["app:1.2"],"Layers":[]}]`)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(old)
	_ = z.Close()
	const one = "linux/amd64 2026-11-29T18:29:37.281304354Z 2 [A=b]"
	for name, c := range map[string]struct {
		archive []byte
		want    string
		err     string
	}{
		"docker 20.10": {old, "[app:1.2] docker: " + one, ""},
		"gzip":         {zipped.Bytes(), "[app:1.2] docker: " + one, ""},
		"docker 25, two names": {archiveOf(t, "blobs/sha256/"+digestOf(amd), amd, "index.json", `{"manifests":[{"digest":"sha256:`+strings.Repeat("a", 64)+`","annotations":{"io.containerd.image.name":"docker.io/library/app:1.2"}}]}`,
			"manifest.json", `[{"Config":"blobs/sha256/`+digestOf(amd)+`","RepoTags":["app:1.2","r.example.org:5000/x/app:2"]}]`), "[app:1.2 r.example.org:5000/x/app:2] docker: " + one, ""},
		"skopeo, without a name": {archiveOf(t, digestOf(amd)+".json", amd, "manifest.json", `[{"Config":"`+digestOf(amd)+`.json","RepoTags":[]}]`), "[] docker: " + one, ""},
		"skopeo, oci":            {ociArchive(t, `"org.opencontainers.image.ref.name":"docker.io/library/app:1.2"`, amd), "[app:1.2] " + one, ""},
		"podman, oci":            {ociArchive(t, `"org.opencontainers.image.ref.name":"localhost/app:1.2"`, amd), "[localhost/app:1.2] " + one, ""},
		"a tag is no name":       {ociArchive(t, `"org.opencontainers.image.ref.name":"1.2"`, amd), "[] " + one, ""},
		"two platforms":          {ociArchive(t, `"io.containerd.image.name":"docker.io/me/app:1"`, amd, arm), "[me/app:1] " + one + " linux/arm64 2026-11-29T18:29:37Z 1 []", ""},
		"two images":             {ociArchive(t, "", amd, imageJSON("amd64", "2026-01-01T00:00:00Z", `{}`, layerA)), "", "several images"},
		"two":                    {archiveOf(t, "manifest.json", `[{"Config":"a"},{"Config":"b"}]`), "", "several images"},
		"other":                  {archiveOf(t, "README", "hello"), "", "neither manifest.json nor index.json"},
		"empty layout":           {archiveOf(t, "index.json", `{"manifests":[]}`), "", "holds no image"},
		"damaged":                {old[:700], "", "EOF"},
		"digest":                 {archiveOf(t, "manifest.json", `[{"Config":"../../etc/passwd"}]`), "", "names no digest"},
		"without configuration":  {archiveOf(t, "manifest.json", `[{"Config":"`+digestOf(amd)+`.json"}]`), "", "lacks the image's configuration"},
		"a layer that is none":   {archiveOf(t, digestOf(amd)+".json", imageJSON("amd64", "", `{}`, "$(reboot)"), "manifest.json", `[{"Config":"`+digestOf(amd)+`.json"}]`), "", "no digest of a layer"},
		"zstd":                   {[]byte("\x28\xb5\x2f\xfdxxxxxxxx"), "", "compress it with gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := readImageArchive(bytes.NewReader(c.archive))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(a.Tags)
			for _, image := range a.Images {
				if got += " "; image == a.Docker {
					got += "docker: "
				}
				got += fmt.Sprintf("%s %s %d %v", image.Platform, image.Created.Format(time.RFC3339Nano), len(image.Layers), image.Config.Env)
			}
			if got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

// onHost is what the probe prints of an image.
func onHost(created, layers, config string) []string {
	return []string{"id sha256:" + strings.Repeat("b", 64), `created "` + created + `"`, `rootfs {"Type":"layers","Layers":[` + layers + `]}`, "config " + config}
}

// TestDockerImageLoads checks that an archive travels if the host lacks its image under a name, and only then.
func TestDockerImageLoads(t *testing.T) {
	config := imageJSON("amd64", "2026-11-29T18:29:37Z", `{"Env":["A=b"],"Volumes":{"/v":{}},"Healthcheck":{"Test":["CMD","x"]}}`, layerA, layerB)
	docker := archiveOf(t, digestOf(config)+".json", config, "manifest.json", `[{"Config":"`+digestOf(config)+`.json","RepoTags":["app:1.2"]}]`)
	oci := ociArchive(t, `"io.containerd.image.name":"docker.io/library/app:1.2"`, config, imageJSON("arm64", "2026-11-29T18:29:37Z", `{}`, layerA))
	dir := t.TempDir()
	layers := `"` + layerA + `","` + layerB + `"`
	const full = `{"Cmd":null,"Env":["A=b"],"Volumes":{"/v":{}},"Labels":null,"Healthcheck":{"Test":["CMD","x"]}}`
	none := []string{"id none", "engine linux/amd64"}
	for _, c := range []struct {
		what    string
		archive []byte
		args    string
		arch    string
		state   []string
		want    string // the action, or the error
		runs    string // a part of the script
	}{
		{"nothing there", docker, "", "", none, "create", "image_load app:1.2"},
		{"the same by another id", docker, "", "", onHost("2026-11-29T18:29:37Z", layers, full), "no-op", ""},
		{"the same, where the store keeps no health check", docker, "", "", onHost("2026-11-29T18:29:37Z", layers, `{"Env":["A=b"],"Volumes":{"/v":{}}}`), "no-op", ""},
		{"other layers", docker, "", "", onHost("2026-11-29T18:29:37Z", `"`+layerA+`"`, full), "update", "image_load"},
		{"another environment", docker, "", "", onHost("2026-11-29T18:29:37Z", layers, strings.Replace(full, "A=b", "A=c", 1)), "update", "image_load"},
		{"another time", docker, "", "", onHost("2026-11-29T18:29:38Z", layers, full), "update", "image_load"},
		{"never unpacked", docker, "", "", []string{"id sha256:" + strings.Repeat("b", 64), "created", `rootfs {"Type":"layers"}`, "config {}"}, "update", "image_load"},
		{"there without the name", docker, "", "", append(none, "stored sha256:"+digestOf(config)), "create", "image_name sha256:" + digestOf(config) + " app:1.2"},
		{"the same layers, other image", docker, "", "", append(none, "stored sha256:"+strings.Repeat("b", 64)), "create", "image_load"},
		{"no docker", docker, "", "x86_64", []string{"missing command docker"}, "create", "image_load"},
		{"another platform", docker, "", "", []string{"id none", "engine linux/arm64"}, "the archive holds an image for linux/amd64, and this host is linux/arm64", ""},
		{"another platform, emulated", docker, `platform = "linux/amd64"`, "", []string{"id none", "engine linux/arm64"}, "create", "image_load"},
		{"another platform before there is docker", docker, "", "aarch64", []string{"missing command docker"}, "and this host is linux/arm64", ""},
		{"another platform that is there", docker, "", "aarch64", onHost("2026-11-29T18:29:37Z", layers, full), "and this host is linux/arm64", ""},
		{"a name of one's own", docker, `name = "x"`, "", none, "create", "image_load x:latest"},
		{"oci, containerd", oci, "", "", append(none, "store containerd"), "create", layerB},
		{"oci, containerd, arm", oci, "", "", []string{"id none", "engine linux/arm64", "store containerd"}, "create", `["` + layerA + `"]`},
		{"oci, overlay2", oci, "", "", append(none, "store layers"), "the OCI layout alone", ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			file := filepath.Join(dir, strings.ReplaceAll(c.what, " ", "-"))
			if err := os.WriteFile(file, c.archive, 0o644); err != nil {
				t.Fatal(err)
			}
			step, args := dockerImageKind.New()
			if problems := decodeInto(t, dockerImageKind, step, args, fmt.Sprintf("load = %q\n%s\n", file, c.args), "args"); problems != "" {
				t.Fatal(problems)
			}
			change, err := step.Plan(&steps.Facts{Arch: c.arch}, steps.Observe(c.state...))
			if err != nil {
				if c.runs != "" || !strings.Contains(err.Error(), c.want) {
					t.Error(err)
				}
				return
			}
			if string(change.Action) != c.want {
				t.Errorf("%s, want %s", change.Action, c.want)
			}
			if c.runs != "" {
				run, ok := change.Ops[0].(steps.Run)
				if !ok || (run.Stdin == nil) != strings.HasPrefix(c.runs, "image_name") || !strings.Contains(run.Script, c.runs) {
					t.Errorf("operations: %+v", change.Ops)
				}
			}
		})
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
