package testhost

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

// An Image is a container image in a file, for hosts that reach no registry.
type Image struct {
	Name string // what docker load calls it, for FROM by a build argument
	File string // as docker save writes it, not compressed
}

// BaseImage returns the image from which compose projects of the tests are built: Debian 12 with python3, pip, Django, gunicorn and
// nginx. It is made on first use and kept.
func BaseImage(t testing.TB) Image {
	t.Helper()
	docker := require(t)
	r := composeBase()
	dir, err := cached(t.Context(), strings.ReplaceAll(strings.TrimPrefix(r.tag(), namePrefix), ":", "-"), func(work string) error {
		return r.save(t.Context(), docker, filepath.Join(work, "image.tar"))
	})
	if err != nil {
		t.Fatalf("making the base image: %v", err)
	}
	return Image{Name: r.tag(), File: filepath.Join(dir, "image.tar")}
}

func composeBase() recipe {
	return recipe{
		name: "base", suite: "bookworm", command: `["python3"]`,
		packages: []string{"python3", "python3-pip", "python3-django", "gunicorn", "nginx-light", "curl"},
		// pip installs into the image, as in those that Python's makers publish, and nginx logs to where docker logs looks.
		setup: `
rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
ln -sf python3 /usr/bin/python
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log`,
	}
}

// save writes the image to a file, building it if Docker does not have it.
func (r recipe) save(ctx context.Context, docker engine, file string) error {
	image, err := r.ensure(ctx, docker)
	if err != nil {
		return err
	}
	_, err = docker.run(ctx, nil, "save", "--output", file, image)
	return err
}
