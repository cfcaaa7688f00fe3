package kinds

import (
	"archive/tar"
	"bufio"
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

// An imageArchive is what docker save wrote, as far as it tells which image it is.
type imageArchive struct {
	IDs  []string // what docker may call the image: the digest of its configuration and, for containerd's store, of its manifest
	Tags []string
}

type imageKey string

// readImage reads a local archive of docker save.
func readImage(d *steps.Disk, name string) (*imageArchive, error) {
	return steps.Once(d, imageKey(name), func(context.Context) (*imageArchive, error) {
		f, err := os.Open(name)
		if err != nil {
			return nil, steps.LocalError(err)
		}
		defer f.Close()
		a, err := readImageArchive(f)
		if err != nil {
			return nil, fmt.Errorf("it is no archive of docker save: %w", err)
		}
		return a, nil
	})
}

// indexLimit bounds the small files of an archive that are read, in bytes.
const indexLimit = 4 << 20

func readImageArchive(r io.Reader) (*imageArchive, error) {
	buffered := bufio.NewReader(r)
	var content io.Reader = buffered
	if head, _ := buffered.Peek(2); string(head) == "\x1f\x8b" {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		content = unzipped
	}
	var manifest []struct {
		Config   string
		RepoTags []string
	}
	var index struct {
		Manifests []struct{ Digest string }
	}
	found := false
	archive := tar.NewReader(content)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var to any
		switch path.Clean(h.Name) {
		case "manifest.json":
			to, found = &manifest, true
		case "index.json":
			to = &index
		default:
			continue
		}
		if err := json.NewDecoder(io.LimitReader(archive, indexLimit)).Decode(to); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	if !found || len(manifest) == 0 {
		return nil, errors.New("it holds no manifest.json")
	}
	if len(manifest) > 1 {
		return nil, errors.New("it holds several images; save one an archive")
	}
	a := &imageArchive{Tags: manifest[0].RepoTags}
	// "DIGEST.json", or "blobs/sha256/DIGEST" since Docker 25.
	digest := strings.TrimSuffix(path.Base(manifest[0].Config), ".json")
	if !kit.IsSHA256(digest) {
		return nil, fmt.Errorf("its configuration %q names no digest", manifest[0].Config)
	}
	a.IDs = []string{"sha256:" + digest}
	if len(index.Manifests) == 1 {
		a.IDs = append(a.IDs, index.Manifests[0].Digest)
	}
	return a, nil
}
