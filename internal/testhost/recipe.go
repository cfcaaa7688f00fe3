package testhost

import (
	"context"
	"crypto/sha256"
	_ "embed" // for the scripts
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A recipe describes an image; a change of it makes a new one.
type recipe struct {
	name     string
	suite    string   // Debian's
	packages []string // beside debootstrap's minbase
	setup    string   // sh, run by chroot in the new system before it becomes an image; its apt works
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
	}
}

// tag names the image by a hash of everything that goes into it.
func (r recipe) tag() string {
	text := fmt.Sprintf("%q %q %q %q %q", r.suite, r.packages, r.setup, bootScript, trimScript)
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
	if err := r.build(ctx, docker); err != nil {
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
	debootstrap := findAll("debootstrap")
	if len(debootstrap) == 0 {
		return errors.New("no debootstrap command: install it (on Debian: apt-get install debootstrap)")
	}
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
	var env []string
	if apt.proxy != "" {
		env = append(env, "http_proxy="+apt.proxy)
	}
	if out, err := command(ctx, nil, env, debootstrap[0], "--variant=minbase", "--include="+strings.Join(r.packages, ","), r.suite, root, apt.mirror); err != nil {
		return fmt.Errorf("%w\n%s", err, lastLines(out, 10))
	}
	for file, text := range map[string]string{"sbin/boot": bootScript, "etc/apt/sources.list": apt.sources, "etc/apt/apt.conf.d/90machine": apt.conf} {
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o755); err != nil {
			return err
		}
	}
	for _, script := range []string{r.setup, trimScript} {
		if _, err := command(ctx, nil, nil, "chroot", root, "/bin/sh", "-euc", script); err != nil {
			return err
		}
	}
	return importImage(ctx, docker, root, r.tag())
}

// importImage makes an image of a directory.
func importImage(ctx context.Context, docker engine, root, tag string) error {
	tar := exec.CommandContext(ctx, "tar", "-C", root, "--numeric-owner", "-cf", "-", ".")
	stream, err := tar.StdoutPipe()
	if err != nil {
		return err
	}
	if err := tar.Start(); err != nil {
		return err
	}
	_, err = docker.run(ctx, stream, "import", "--change", `CMD ["/sbin/boot"]`, "--change", "ENV container=docker", "-", tag+"-new")
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
