// Package container starts a throw-away host that boots: a container with the init of its image as first process, behind an SSH
// server on loopback. What a playbook asks of systemd, of a package manager and of Docker works in it, which the sandbox cannot offer.
//
// The image needs an init and sh, nothing else: the SSH server runs in this process, and each session is a "docker exec". The
// container gets every capability but SYS_RESOURCE, so that systemd and a Docker engine run inside. It guards against accidents and
// not against an attacker: do not run in it what you would not run on the machine itself.
package container

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// removeLimit bounds the removal of a container, which takes a second or two, with a Docker of its own inside a few.
const removeLimit = time.Minute

// Options say what to start.
type Options struct {
	// Image is the name of the image. It is pulled if the engine does not have it.
	Image string
	// Tell is told what is being waited for, one sentence each. Nil: nobody is.
	Tell func(string)
	// Dir is where the records of running containers are kept, by which those of a process that was killed are found again. Empty:
	// provision/containers in the user's cache.
	Dir string
}

// A Container is a booted throw-away host. Its fields say how ssh reaches it.
type Container struct {
	// Name is the container's, for docker exec.
	Name string
	// Address and Port are where its SSH server listens: loopback only.
	Address string
	Port    int
	// User is the account to log in as.
	User string
	// IdentityFile is the private key to log in with, mode 0600, and KnownHostsFile pins the key of the server. Both go away with the
	// container.
	IdentityFile   string
	KnownHostsFile string
	// Notes say in what the container differs from a machine, one sentence each.
	Notes []string

	engine engine
	record *record
	serve  func() error // ends the SSH server
	remove func() error // ends the server and removes the container
	once   sync.Once    // for Close and Keep
	closed error
}

// Start boots a container of an image. ctx bounds the start only; the container lives until [Container.Close]. One whose process
// was killed is removed by the next call. An error says what to do, and nothing is left behind then.
func Start(ctx context.Context, o Options) (_ *Container, err error) {
	tell := o.Tell
	if tell == nil {
		tell = func(string) {}
	}
	e, err := findEngine(ctx)
	if err != nil {
		return nil, err
	}
	dir := o.Dir
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no place for the record of a container: %w", err)
		}
		dir = filepath.Join(cache, "provision", "containers")
	}
	if err := sweep(ctx, e, dir); err != nil {
		tell("A container of an earlier run is still there: " + err.Error()) // which is no reason to refuse another
	}
	if err := e.ensureImage(ctx, o.Image, tell); err != nil {
		return nil, err
	}
	c := &Container{Name: "provision-" + randomHex(6), User: "root", engine: e, serve: func() error { return nil }}
	if c.record, err = newRecord(dir, c.Name, e.id); err != nil {
		return nil, err
	}
	// The container has to go whatever became of the one who asked for it.
	lasting := context.WithoutCancel(ctx)
	c.remove = func() error { return c.discard(lasting) }
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	tell("Booting a container of the image " + o.Image)
	if err := e.boot(ctx, c.Name, o.Image); err != nil {
		return nil, err
	}
	if c.Notes, err = e.notes(ctx, c.Name); err != nil {
		return nil, err
	}
	return c, c.listen(ctx)
}

// Close removes the container with all that it wrote, and the SSH server before it. It is safe to call more than once.
func (c *Container) Close() error {
	c.once.Do(func() { c.closed = c.remove() })
	return c.closed
}

func (c *Container) discard(ctx context.Context) error {
	served := c.serve()
	ctx, cancel := context.WithTimeout(ctx, removeLimit)
	defer cancel()
	if err := c.engine.remove(ctx, c.Name); err != nil {
		// The record stays, so that the next run tries again.
		err = fmt.Errorf("the container %s is still there (docker rm -f -v %s removes it): %w", c.Name, c.Name, err)
		return errors.Join(served, err, c.record.release())
	}
	return errors.Join(served, c.record.drop())
}

// Keep ends the SSH server and leaves the container to the user, who removes it. Close does nothing after it.
func (c *Container) Keep(ctx context.Context) error {
	c.once.Do(func() {
		served := c.serve()
		// A restart of the engine would start it again, and who looks at it later wants what failed.
		_, err := c.engine.run(ctx, "update", "--restart=no", c.Name)
		c.closed = errors.Join(served, err, c.record.drop())
	})
	return c.closed
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}
