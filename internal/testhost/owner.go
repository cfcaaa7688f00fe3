package testhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

const (
	// ownerLabel marks every container of this package and holds its owner.
	ownerLabel = "provision.testhost"
	namePrefix = "provision-test-"
	// runDir is where locks, keys and addresses lie. Root's alone: a predictable name in /tmp could be taken by someone else.
	runDir = "/run/provision-test"
)

// An owner is the process that started a host. The start time tells it from a later process with the same pid, the namespace from
// one that has the same pid elsewhere on this machine.
type owner struct {
	namespace string
	pid       int
	start     string // clock ticks since boot
}

func self() (owner, error) {
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return owner{}, err
	}
	start, err := startTime(os.Getpid())
	return owner{namespace, os.Getpid(), start}, err
}

func (o owner) String() string { return fmt.Sprintf("%s/%d/%s", o.namespace, o.pid, o.start) }

func parseOwner(s string) (owner, error) {
	parts := strings.Split(strings.TrimSpace(s), "/")
	if len(parts) != 3 {
		return owner{}, fmt.Errorf("owner %q is not NAMESPACE/PID/START", s)
	}
	pid, err := strconv.Atoi(parts[1])
	if err != nil {
		return owner{}, fmt.Errorf("owner %q: %w", s, err)
	}
	return owner{parts[0], pid, parts[2]}, nil
}

// dead reports whether the owner has surely ended. Processes of another pid namespace cannot be seen from here: not surely.
func (o owner) dead() bool {
	here, err := os.Readlink("/proc/self/ns/pid")
	if err != nil || here != o.namespace {
		return false
	}
	start, err := startTime(o.pid)
	if errors.Is(err, os.ErrNotExist) {
		return true
	}
	return err == nil && start != o.start
}

// startTime is field 22 of /proc/PID/stat, see proc(5). The fields are counted from the closing parenthesis, because field 2, the
// command, may contain anything.
func startTime(pid int) (string, error) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", err
	}
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return "", fmt.Errorf("/proc/%d/stat has %d fields after the command, want 20", pid, len(fields))
	}
	return fields[19], nil
}

func stateDir(name string) string { return filepath.Join(runDir, name) }

// lock takes a lock of this machine: between processes, and between goroutines of one.
func lock(ctx context.Context, name string) (unlock func(), err error) {
	dir := filepath.Join(runDir, "locks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	l := flock.New(filepath.Join(dir, name))
	if _, err := l.TryLockContext(ctx, lockRetry); err != nil {
		return nil, fmt.Errorf("waiting for the lock %s: %w", l.Path(), err)
	}
	return func() { _ = l.Close() }, nil
}

// sweep removes the hosts of processes that ended without doing so.
func sweep(ctx context.Context, docker engine) error {
	unlock, err := lock(ctx, "sweep")
	if err != nil {
		return err
	}
	defer unlock()
	return removeWhere(ctx, docker, owner.dead)
}

func removeOwn(ctx context.Context) error {
	if _, err := os.Stat(runDir); errors.Is(err, os.ErrNotExist) {
		return nil // no host was ever started, perhaps for want of Docker
	}
	own, err := self()
	if err != nil {
		return err
	}
	docker, err := findEngine(ctx)
	if err != nil {
		return nil // without an engine no host was started
	}
	return removeWhere(ctx, docker, func(o owner) bool { return o == own })
}

// removeWhere removes every host, and every left-over state directory, whose owner fulfils the condition.
func removeWhere(ctx context.Context, docker engine, condition func(owner) bool) error {
	format := `{{.Names}} {{.Label "` + ownerLabel + `"}}`
	out, err := docker.run(ctx, nil, "ps", "-a", "--filter", "label="+ownerLabel, "--format", format)
	if err != nil {
		return err
	}
	names := map[string]string{} // to owners
	for line := range strings.Lines(out) {
		if name, label, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			names[name] = label
		}
	}
	files, err := filepath.Glob(filepath.Join(runDir, namePrefix+"*", "owner"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if text, err := os.ReadFile(f); err == nil {
			names[filepath.Base(filepath.Dir(f))] = string(text)
		}
	}
	var errs []error
	for name, label := range names {
		if o, err := parseOwner(label); err == nil && condition(o) {
			errs = append(errs, remove(ctx, docker, name))
		}
	}
	return errors.Join(errs...)
}

// remove removes a host with its volumes and its state; one that is gone already is fine.
func remove(ctx context.Context, docker engine, name string) error {
	_, err := docker.run(ctx, nil, "rm", "--force", "--volumes", name)
	if err != nil && (strings.Contains(err.Error(), "No such container") || strings.Contains(err.Error(), "already in progress")) {
		err = nil
	}
	_ = os.Remove(filepath.Join(runDir, "locks", name))
	return errors.Join(err, os.RemoveAll(stateDir(name)))
}
