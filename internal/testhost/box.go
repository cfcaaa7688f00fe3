package testhost

import (
	"archive/tar"
	"bytes"
	"context"
	"embed"
	"io/fs"
	"strings"
)

// A box is a container in which something is made. It does not boot, and has the network of this machine.
type box struct {
	docker engine
	name   string
}

// newBox starts a box of an image with these files in its root. Of one purpose there is one box at a time, which the caller's lock
// sees to: what is found of an earlier one is that of a process that was killed.
func newBox(ctx context.Context, docker engine, purpose, image string, files embed.FS, flags ...string) (*box, error) {
	own, err := self()
	if err != nil {
		return nil, err
	}
	b := &box{docker: docker, name: namePrefix + purpose}
	if err := remove(ctx, docker, b.name); err != nil {
		return nil, err
	}
	args := append([]string{"run", "--detach", "--pull=never", "--network=host", "--name", b.name, "--label", ownerLabel + "=" + own.String()}, flags...)
	if _, err := docker.run(ctx, nil, append(args, image, "sleep", "infinity")...); err != nil {
		return nil, err
	}
	if err := b.copy(ctx, files); err != nil {
		b.remove(ctx)
		return nil, err
	}
	return b, nil
}

// copy puts files into the box's root.
func (b *box) copy(ctx context.Context, files embed.FS) error {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.AddFS(files); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err := b.docker.run(ctx, &archive, "cp", "-", b.name+":/")
	return err
}

// exec runs sh text as root in the box, with these variables.
func (b *box) exec(ctx context.Context, env []string, script string) error {
	_, err := b.docker.exec(ctx, b.name, env, "set -eu\n"+script)
	return err
}

// remove removes the box, also when ctx has ended.
func (b *box) remove(ctx context.Context) { _ = remove(context.WithoutCancel(ctx), b.docker, b.name) }

// contents is the text of all files, for a hash.
func contents(files embed.FS) string {
	var b strings.Builder
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(path)
		b.WriteString(path + "\x00" + string(text) + "\x00")
		return err
	})
	if err != nil {
		panic(err) // what is embedded can be read
	}
	return b.String()
}
