package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// answerLimit bounds the first question to the engine. One that is started by its socket takes a few seconds.
const answerLimit = 30 * time.Second

// An engine is a Docker engine that answers, by way of the docker command with the user's own settings (DOCKER_HOST, contexts).
type engine struct {
	id     string // tells engines apart
	cgroup string // version of control groups: "1" or "2"
}

// A commandError is a docker command that failed.
type commandError struct {
	args   []string
	stderr string // whole
	exit   int    // -1 if it did not run or was killed
	err    error
}

func (e *commandError) Error() string {
	said, _, _ := strings.Cut(e.stderr, "\nRun 'docker")
	said = lastLines(strings.TrimPrefix(said, "docker: "), 5)
	if said == "" {
		said = e.err.Error()
	}
	return fmt.Sprintf("docker %s: %s", e.args[0], said)
}

func (e *commandError) Unwrap() error { return e.err }

// command is a docker command in a session of its own: a Ctrl-C on the terminal is for provision, which then removes what it started.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// run runs a docker command and returns its stdout.
func (e engine) run(ctx context.Context, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		failed := &commandError{args: args, stderr: stderr.String(), exit: -1, err: err}
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			failed.exit = exit.ExitCode()
		}
		return stdout.String(), failed
	}
	return stdout.String(), nil
}

// exec runs sh text as root in the container.
func (e engine) exec(ctx context.Context, name, script string) (string, error) {
	return e.run(ctx, "exec", "--user", "0", name, "/bin/sh", "-c", script)
}

// findEngine asks the engine who it is.
func findEngine(ctx context.Context) (engine, error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return engine{}, errors.New("a container needs Docker on this machine, and there is no docker command: install it (on Debian: apt-get install docker.io)")
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	out, err := engine{}.run(ctx, "info", "--format", "{{.ID}} {{.OSType}} {{.CgroupVersion}}")
	// Some versions of the client print empty fields and exit 0 when nobody answers.
	fields := strings.Fields(out)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return engine{}, fmt.Errorf("the Docker engine does not answer within %s: look at it with docker info", answerLimit)
	case err != nil:
		return engine{}, fmt.Errorf("a container needs Docker on this machine: %w\n"+
			"Start its engine (systemctl start docker), or name one with DOCKER_HOST; you need to be root or in the group docker", err)
	case len(fields) < 2:
		return engine{}, fmt.Errorf("a container needs Docker on this machine, and its engine does not say who it is (docker info): %q\n"+
			"Start it (systemctl start docker), or name another with DOCKER_HOST", strings.TrimSpace(out))
	case fields[1] != "linux":
		return engine{}, fmt.Errorf("the Docker engine runs containers of %s, and a host needs those of Linux: name another engine with DOCKER_HOST", fields[1])
	}
	e := engine{id: fields[0]}
	if len(fields) > 2 {
		e.cgroup = fields[2]
	}
	return e, nil
}

// ensureImage pulls the image if the engine does not have it.
func (e engine) ensureImage(ctx context.Context, image string, tell func(string)) error {
	if image == "" || strings.HasPrefix(image, "-") {
		return fmt.Errorf("%q is no name of an image", image)
	}
	if _, err := e.run(ctx, "image", "inspect", "--format", "{{.Id}}", image); err == nil {
		return nil
	}
	tell("Pulling the image " + image)
	if _, err := e.run(ctx, "pull", "--quiet", image); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("the engine does not have the image %s, and it cannot be pulled: %w\n"+
			"Look at its name (docker images lists what is there), or bring it from a machine that has it: docker save %s | ssh HERE docker load", image, err, image)
	}
	return nil
}

// remove removes a container with its volumes; one that is gone already is fine.
func (e engine) remove(ctx context.Context, name string) error {
	_, err := e.run(ctx, "rm", "--force", "--volumes", name)
	var failed *commandError
	if errors.As(err, &failed) && (strings.Contains(failed.stderr, "No such container") || strings.Contains(failed.stderr, "already in progress")) {
		return nil
	}
	return err
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
