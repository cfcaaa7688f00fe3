package kinds

import (
	"archive/tar"
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

// An imageArchive is a local archive of one image, perhaps for several platforms.
type imageArchive struct {
	Tags   []string // as Docker lists them
	Images []*archivedImage

	// Docker is the image that docker load takes from manifest.json; nil in an archive of the OCI layout alone, which only engines with
	// containerd's image store load.
	Docker *archivedImage
}

// An archivedImage is the image of one platform.
type archivedImage struct {
	IDs      []string // what an engine may call it: the digest of its configuration, of its manifest, of its index
	Platform imagePlatform
	imageContent
}

type imageKey string

// readImage reads a local archive of an image.
func readImage(d *steps.Disk, name string) (*imageArchive, error) {
	return steps.Once(d, imageKey(name), func(context.Context) (*imageArchive, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, steps.LocalError(err)
		}
		defer f.Close()
		a, err := readImageArchive(f)
		if err != nil {
			return nil, fmt.Errorf("it is no archive of an image: %w", err)
		}
		return a, nil
	})
}

// documentLimit bounds one JSON document of an archive, documentsLimit all of them, in bytes.
const (
	documentLimit  = 4 << 20
	documentsLimit = 64 << 20
)

// decompressed is the content of an archive that is plain or compressed in one of the ways that docker load reads.
func decompressed(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(r)
	head, _ := buffered.Peek(6)
	switch {
	case strings.HasPrefix(string(head), "\x1f\x8b"):
		return gzip.NewReader(buffered)
	case strings.HasPrefix(string(head), "BZh"):
		return bzip2.NewReader(buffered), nil
	case strings.HasPrefix(string(head), "\x28\xb5\x2f\xfd"), strings.HasPrefix(string(head), "\xfd7zXZ\x00"):
		return nil, errors.New("it is compressed with zstd or xz, which is not read here; compress it with gzip")
	}
	return buffered, nil
}

// readDocuments returns the JSON documents of an archive by name.
func readDocuments(r io.Reader) (map[string][]byte, error) {
	content, err := decompressed(r)
	if err != nil {
		return nil, err
	}
	documents := map[string][]byte{}
	archive, total := tar.NewReader(content), 0
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg || h.Size > documentLimit {
			continue
		}
		inside := bufio.NewReader(archive)
		if head, err := inside.Peek(1); err != nil || head[0] != '{' && head[0] != '[' {
			continue
		}
		text, err := io.ReadAll(inside)
		if err != nil {
			return nil, err
		}
		if total += len(text); total > documentsLimit {
			return nil, fmt.Errorf("its descriptions are larger than %d MiB", documentsLimit>>20)
		}
		documents[path.Clean(h.Name)] = text
	}
}

// A descriptor refers to a document of the OCI layout.
type descriptor struct {
	Digest      string
	Annotations map[string]string
	Platform    *imagePlatform
}

// attestation tells whether it describes another image, as BuildKit has it.
func (d descriptor) attestation() bool {
	return d.Annotations["vnd.docker.reference.type"] != "" || d.Platform != nil && d.Platform.OS == "unknown"
}

func readImageArchive(r io.Reader) (*imageArchive, error) {
	documents, err := readDocuments(r)
	if err != nil {
		return nil, err
	}
	b := &archiveReader{documents: documents, archive: &imageArchive{}}
	_, docker := documents["manifest.json"]
	_, layout := documents["index.json"]
	if !docker && !layout {
		return nil, errors.New("it holds neither manifest.json nor index.json; write it with docker save, podman save or skopeo copy")
	}
	if docker {
		if err := b.readDocker(); err != nil {
			return nil, err
		}
	}
	if layout {
		if err := b.readLayout(); err != nil {
			return nil, err
		}
	}
	a := b.archive
	if len(a.Images) == 0 {
		return nil, errors.New("it holds no image")
	}
	for i, image := range a.Images {
		for _, other := range a.Images[:i] {
			if image.Platform == other.Platform {
				return nil, errors.New("it holds several images; save one an archive")
			}
		}
	}
	return a, nil
}

type archiveReader struct {
	documents map[string][]byte
	archive   *imageArchive
	seen      map[string]*archivedImage // by the digest of the configuration
}

func (b *archiveReader) decode(name string, to any) error {
	if err := json.Unmarshal(b.documents[name], to); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// readDocker reads what docker save has written since Docker 1.10.
func (b *archiveReader) readDocker() error {
	var manifest []struct {
		Config   string
		RepoTags []string
	}
	if err := b.decode("manifest.json", &manifest); err != nil {
		return err
	}
	if len(manifest) > 1 {
		return errors.New("it holds several images; save one an archive")
	}
	if len(manifest) == 0 {
		return errors.New("its manifest.json names no image")
	}
	for _, tag := range manifest[0].RepoTags {
		b.tag(tag)
	}
	// "DIGEST.json", or "blobs/sha256/DIGEST" since Docker 25.
	name := path.Clean(manifest[0].Config)
	digest := strings.TrimSuffix(path.Base(name), ".json")
	if !kit.IsSHA256(digest) {
		return fmt.Errorf("its configuration %q names no digest", manifest[0].Config)
	}
	image, err := b.image(name, "sha256:"+digest)
	if err != nil {
		return err
	}
	if image == nil {
		return fmt.Errorf("it lacks the image's configuration %s", name)
	}
	b.archive.Docker = image
	return nil
}

// readLayout reads the OCI image layout.
func (b *archiveReader) readLayout() error {
	var index struct{ Manifests []descriptor }
	if err := b.decode("index.json", &index); err != nil {
		return err
	}
	for _, d := range index.Manifests {
		name := d.Annotations["io.containerd.image.name"]
		if ref := d.Annotations["org.opencontainers.image.ref.name"]; name == "" && strings.ContainsAny(ref, ":/") {
			name = ref // the specification has the tag alone here, and skopeo and podman write the name
		}
		b.tag(name)
		if err := b.walk(d, nil); err != nil {
			return err
		}
	}
	return nil
}

// indexDepth bounds how deep indexes stand in each other.
const indexDepth = 4

// walk reads a manifest, or those of an index. above are the digests on the way to it. What the archive lacks is left out: an archive
// of one platform may bring the index of all.
func (b *archiveReader) walk(d descriptor, above []string) error {
	hex, sha256 := strings.CutPrefix(d.Digest, "sha256:")
	name := "blobs/sha256/" + hex
	if _, there := b.documents[name]; !sha256 || !kit.IsSHA256(hex) || !there || d.attestation() || len(above) == indexDepth {
		return nil
	}
	var manifest struct {
		Manifests []descriptor
		Config    *descriptor
	}
	if err := b.decode(name, &manifest); err != nil {
		return err
	}
	above = append(above[:len(above):len(above)], d.Digest)
	for _, inner := range manifest.Manifests {
		if err := b.walk(inner, above); err != nil {
			return err
		}
	}
	if manifest.Config == nil {
		return nil
	}
	hex, _ = strings.CutPrefix(manifest.Config.Digest, "sha256:")
	image, err := b.image("blobs/sha256/"+hex, manifest.Config.Digest)
	if image != nil {
		image.IDs = append(image.IDs, above...)
	}
	return err
}

// image reads the configuration of an image, once; nil if the archive lacks it.
func (b *archiveReader) image(name, digest string) (*archivedImage, error) {
	if image := b.seen[digest]; image != nil {
		return image, nil
	}
	if _, there := b.documents[name]; !there {
		return nil, nil
	}
	var config struct {
		imagePlatform
		Created json.RawMessage
		RootFS  struct {
			Layers []string `json:"diff_ids"`
		}
		Config json.RawMessage
	}
	if err := b.decode(name, &config); err != nil {
		return nil, err
	}
	for _, layer := range config.RootFS.Layers {
		if !kit.IsSHA256(strings.TrimPrefix(layer, "sha256:")) {
			return nil, fmt.Errorf("%s: %q is no digest of a layer", name, layer)
		}
	}
	content, err := newImageContent(config.RootFS.Layers, config.Created, config.Config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	image := &archivedImage{IDs: []string{digest}, Platform: config.imagePlatform, imageContent: content}
	if b.seen == nil {
		b.seen = map[string]*archivedImage{}
	}
	b.seen[digest] = image
	b.archive.Images = append(b.archive.Images, image)
	return image, nil
}

// tag adds a name, as Docker lists it.
func (b *archiveReader) tag(name string) {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "docker.io/"), "library/")
	if !imageName.MatchString(name) || strings.Contains(name, "@") {
		return
	}
	name = withTag(name)
	for _, other := range b.archive.Tags {
		if other == name {
			return
		}
	}
	b.archive.Tags = append(b.archive.Tags, name)
}
