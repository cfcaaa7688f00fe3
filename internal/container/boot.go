package container

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"
)

//go:embed boot.sh
var bootScript string

const (
	// bootLimit bounds the boot. It takes seconds; the rest is for a machine that is busy.
	bootLimit = 2 * time.Minute
	bootPause = 100 * time.Millisecond // between two looks
	noInit    = 64                     // exit status of the boot script
)

// boot starts the container and returns when its init has settled.
//
// The flags are those with which systemd, logind and a Docker engine inside work, also where the machine itself lacks SYS_RESOURCE and
// --privileged therefore fails. With the machine's cgroup namespace systemd finds its own subtree under version 1, 2 and hybrid.
func (e engine) boot(ctx context.Context, name, image string) error {
	// Not to be cut off by ctx: the engine would go on, and have the container after its removal was tried.
	running, cancel := context.WithTimeout(context.WithoutCancel(ctx), bootLimit)
	defer cancel()
	_, err := e.run(
		running, "run", "--detach", "--pull=never", "--name", name, "--hostname", "container", "--label", "provision=throw-away", "--user", "0",
		"--cgroupns=host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--volume", "/var/lib/docker",
		"--cap-add=ALL", "--cap-drop=SYS_RESOURCE",
		"--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined", "--security-opt=label=disable",
		"--tmpfs", "/run", "--tmpfs", "/tmp:exec,mode=1777", "--env", "container=docker",
		"--entrypoint", "/bin/sh", image, "-c", bootScript, "sh", name,
	)
	if err != nil {
		return startError(image, err)
	}
	if err := e.waitBooted(ctx, name, image); err != nil {
		return err
	}
	// Only now: what cannot boot shall not do so again and again. This is what turns a reboot inside into a reboot.
	_, err = e.run(ctx, "update", "--restart=unless-stopped", name)
	return err
}

// startError explains why docker run failed, as far as the cause is known.
func startError(image string, err error) error {
	var failed *commandError
	if errors.As(err, &failed) {
		switch {
		case strings.Contains(failed.stderr, "/bin/sh"):
			return fmt.Errorf("the image %s has no /bin/sh: %w", image, err)
		case strings.Contains(failed.stderr, "exec format error") || strings.Contains(failed.stderr, "does not match the detected host platform"):
			return fmt.Errorf("the image %s is for another architecture: %w", image, err)
		}
	}
	return fmt.Errorf("start a container of %s: %w", image, err)
}

// bootState prints what the init has come to. A directory /run/systemd/system is how systemd says that it is the one,
// sd_booted(3); before that, an image that has systemd is waited for.
const bootState = `
read -r first </proc/1/comm
if [ -d /run/systemd/system ]; then
	systemctl is-system-running
elif [ "$first" = sh ] || [ -x /lib/systemd/systemd ] || [ -x /usr/lib/systemd/systemd ]; then
	echo starting
else
	echo running
fi`

// waitBooted returns when the init has settled. A unit that failed is no failure of the boot.
func (e engine) waitBooted(ctx context.Context, name, image string) error {
	deadline := time.Now().Add(bootLimit)
	for {
		out, err := e.exec(ctx, name, bootState)
		state := strings.TrimSpace(out)
		if state == "running" || state == "degraded" {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if err := e.ended(ctx, name, image); err != nil {
				return err
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the image %s does not boot within %s (%s)%s\n%s", image, bootLimit, state, e.bootHint(), e.diagnose(ctx, name))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(bootPause):
		}
	}
}

// ended tells why the container has ended, nil if it has not.
func (e engine) ended(ctx context.Context, name, image string) error {
	out, err := e.run(ctx, "inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", name)
	if err != nil {
		return err
	}
	var running bool
	var status int
	if _, err := fmt.Sscan(out, &running, &status); err != nil {
		return fmt.Errorf("docker inspect answers %q: %w", out, err)
	}
	switch {
	case running:
		return nil
	case status == noInit:
		return fmt.Errorf("the image %s has no init (/sbin/init), so it cannot boot: take one that has systemd, or add it:\n"+
			"  printf 'FROM %s\\nRUN apt-get update && apt-get install -y systemd-sysv\\n' | docker build -t with-init -\n"+
			"and give that: --image with-init", image, image)
	}
	return fmt.Errorf("the image %s does not boot: its init ended with status %d%s\n%s", image, status, e.bootHint(), e.diagnose(ctx, name))
}

// bootHint names what stops an old init on a new machine.
func (e engine) bootHint() string {
	if e.cgroup != "2" {
		return ""
	}
	return "\nThe machine has control groups of version 2. systemd before 232 (CentOS 7 has 219) needs version 1, which the kernel may lack: " +
		"boot the machine with systemd.unified_cgroup_hierarchy=0, or use an engine on another one (DOCKER_HOST)"
}

// diagnose collects what tells why a boot failed.
func (e engine) diagnose(ctx context.Context, name string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	logs, _ := e.run(ctx, "logs", "--tail", "20", name)
	state, _ := e.exec(ctx, name, "systemctl --failed --no-legend; systemctl list-jobs --no-legend; journalctl -b -n 20 --no-pager")
	return logs + state
}

// noteScript prints whether the boot id is the container's own, and what its init is.
const noteScript = `own=no
while read -r _ point _; do [ "$point" != /proc/sys/kernel/random/boot_id ] || own=yes; done </proc/mounts
echo "$own"
[ -d /run/systemd/system ] && echo systemd || echo other`

// notes finds in what the container falls short of a machine.
func (e engine) notes(ctx context.Context, name string) ([]string, error) {
	out, err := e.exec(ctx, name, noteScript)
	if err != nil {
		return nil, err
	}
	var notes []string
	found := strings.Fields(out)
	if len(found) != 2 {
		return nil, fmt.Errorf("the container answers %q when it is asked about itself", out)
	}
	if found[0] != "yes" {
		notes = append(notes, "It has no boot id of its own (the image lacks mount), so a step of the kind reboot would wait for ever.")
	}
	if found[1] != "systemd" {
		notes = append(notes, "Its init is not systemd.")
	}
	return notes, nil
}
