package testhost

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// pristine is the smallest Debian on which a user can have this project: with git and what checks certificates, and no sudo, sshd,
// compiler or init.
func pristine() recipe {
	return recipe{name: "pristine", suite: "bookworm", packages: []string{"ca-certificates", "git"}, command: `["sh"]`, setup: "apt-get clean"}
}

// PristineRoot unpacks the files of a minimal Debian into a new directory that is removed with the test, and returns it. It needs
// root, and no Docker. The archive is made on first use and kept.
func PristineRoot(t testing.TB) string {
	t.Helper()
	r := pristine()
	dir, err := r.archive(t.Context())
	if err != nil {
		unavailable(t, os.Getenv("PROVISION_CI") == "1", err)
	}
	// Not in /tmp, which may be small, noexec or nodev. MkdirTemp's mode keeps others from what is in it.
	work, err := os.MkdirTemp("/var/tmp", namePrefix+"pristine-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(work); err != nil {
			t.Error(err)
		}
	})
	root := filepath.Join(work, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := command(t.Context(), nil, nil, "tar", "-C", root, "--numeric-owner", "-xpf", filepath.Join(dir, "root.tar")); err != nil {
		t.Fatal(err)
	}
	return root
}

// archive returns a directory of the cache with root.tar. One file is kept and not a tree: a sandbox without root looks through /var.
func (r recipe) archive(ctx context.Context) (dir string, err error) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return "", errors.New("a minimal system is made by root, on Linux")
	}
	apt, err := machineApt(ctx, r.suite)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(r.tag() + apt.sources + apt.conf))
	return cached(ctx, r.name+"-"+hex.EncodeToString(sum[:6]), func(work string) error {
		root := filepath.Join(work, "root")
		if err := os.Mkdir(root, 0o755); err != nil {
			return err
		}
		if err := r.bootstrap(ctx, apt, root); err != nil {
			return err
		}
		file := filepath.Join(work, "root.tar")
		if _, err := command(ctx, nil, nil, "tar", "-C", root, "--numeric-owner", "-cf", file, "."); err != nil {
			return err
		}
		return os.RemoveAll(root)
	})
}

// bootstrap makes the recipe's system in the directory root.
func (r recipe) bootstrap(ctx context.Context, apt aptConfig, root string) error {
	debootstrap := findAll("debootstrap")
	if len(debootstrap) == 0 {
		return errors.New("no debootstrap command: install it (on Debian: apt-get install debootstrap)")
	}
	var env []string
	if apt.proxy != "" {
		env = append(env, "http_proxy="+apt.proxy)
	}
	if out, err := command(ctx, nil, env, debootstrap[0], "--variant=minbase", "--include="+strings.Join(r.packages, ","), r.suite, root, apt.mirror, suiteScript(r.suite)); err != nil {
		return fmt.Errorf("%w\n%s", err, lastLines(out, 10))
	}
	files := map[string]string{"etc/apt/sources.list": apt.sources, "etc/apt/apt.conf.d/90machine": apt.conf}
	if r.command == "" {
		files["sbin/boot"] = bootScript
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o755); err != nil {
			return err
		}
	}
	return inRoot(ctx, root, r.setup)
}

func inRoot(ctx context.Context, root, script string) error {
	_, err := command(ctx, nil, nil, "chroot", root, "/bin/sh", "-euc", script)
	return err
}

// suiteScript is debootstrap's script for a suite: an older debootstrap has none for a suite of tomorrow, which is made like sid.
func suiteScript(suite string) string {
	const scripts = "/usr/share/debootstrap/scripts/"
	if _, err := os.Stat(scripts + suite); err == nil {
		return scripts + suite
	}
	return scripts + "sid"
}
