package testhost

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A recipe describes an image, and what a host of it needs on top; a change of it makes a new one. Without from and image it is
// made by debootstrap.
type recipe struct {
	name     string
	suite    string   // Debian's
	packages []string // beside debootstrap's minbase, or those of from
	setup    string   // sh, run in the new system before it becomes an image; its apt works
	command  string   // of the image, as a JSON list; "" for the first process of a host
	init     string   // a name of inits: what that process becomes

	image string   // one that a registry has, taken as it is: no other field but name counts
	from  *recipe  // the image to which packages and setup are added
	files embed.FS // for setup, in /

	prepare     string // sh, as root in every booted host, with environment
	environment func(context.Context, engine) ([]string, error)
}

//go:embed boot.sh
var bootScript string

//go:embed trim.sh
var trimScript string

// debian is a plain Debian 12 server, with the shells and the busybox that odd hosts need.
func debian() recipe {
	return recipe{
		name:  "debian",
		suite: "bookworm",
		packages: []string{
			"systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "sudo", "procps", "iproute2",
			"curl", "ca-certificates", "busybox-static", "fish", "tcsh",
		},
		// Nothing of the system's own runs at a time of its choice: apt-daily would hold apt's lock when a test wants it.
		setup: "systemctl --quiet disable apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service",

		prepare:     aptScript,
		environment: aptOf("bookworm"),
	}
}

// tag names the image by a hash of everything that goes into it.
func (r recipe) tag() string {
	if r.image != "" {
		return r.image
	}
	text := fmt.Sprintf("%q %q %q %q %q", r.suite, r.packages, r.setup, bootScript, trimScript)
	if r.from != nil {
		text += fmt.Sprintf(" %q %q", r.from.tag(), contents(r.files))
	}
	if r.command != "" {
		text += fmt.Sprintf(" %q", r.command)
	}
	sum := sha256.Sum256([]byte(text))
	return namePrefix + r.name + ":" + hex.EncodeToString(sum[:6])
}

// ensure returns the image, built now if Docker does not have it. Of several processes one builds and the others wait.
func (r recipe) ensure(ctx context.Context, docker engine) (image string, err error) {
	if r.exists(ctx, docker) {
		return r.tag(), nil
	}
	unlock, err := lock(ctx, "image-"+r.name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if r.exists(ctx, docker) {
		return r.tag(), nil
	}
	build := r.build
	switch {
	case r.image != "":
		build = r.pull
	case r.from != nil:
		build = r.derive
	}
	if err := build(ctx, docker); err != nil {
		return "", fmt.Errorf("building the image %s: %w", r.tag(), err)
	}
	return r.tag(), nil
}

func (r recipe) exists(ctx context.Context, docker engine) bool {
	_, err := docker.run(ctx, nil, "image", "inspect", "--format", "{{.Id}}", r.tag())
	return err == nil
}

// build needs the recipe's lock: what it finds of an earlier build is that of a process that was killed.
func (r recipe) build(ctx context.Context, docker engine) error {
	apt, err := machineApt(ctx, r.suite)
	if err != nil {
		return err
	}
	// Not in /tmp, which may be small, noexec or nodev.
	work := filepath.Join("/var/tmp", namePrefix+"image-"+r.name)
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	root := filepath.Join(work, "root")
	if err := r.bootstrap(ctx, apt, root); err != nil {
		return err
	}
	if err := inRoot(ctx, root, trimScript); err != nil {
		return err
	}
	return importImage(ctx, docker, root, r.tag(), r.change())
}

// change is what docker import and docker commit are told about the image.
func (r recipe) change() []string {
	if r.command != "" {
		return []string{"--change", "CMD " + r.command}
	}
	return []string{"--change", `CMD ["/sbin/boot"]`, "--change", "ENV container=docker"}
}

// importImage makes an image of a directory.
func importImage(ctx context.Context, docker engine, root, tag string, change []string) error {
	tar := exec.CommandContext(ctx, "tar", "-C", root, "--numeric-owner", "-cf", "-", ".")
	stream, err := tar.StdoutPipe()
	if err != nil {
		return err
	}
	if err := tar.Start(); err != nil {
		return err
	}
	args := append([]string{"import"}, change...)
	_, err = docker.run(ctx, stream, append(args, "-", tag+"-new")...)
	if err := errors.Join(err, tar.Wait()); err != nil {
		return err
	}
	// Only a whole archive gets the name that others look for.
	if _, err := docker.run(ctx, nil, "tag", tag+"-new", tag); err != nil {
		return err
	}
	_, err = docker.run(ctx, nil, "rmi", tag+"-new")
	return err
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
