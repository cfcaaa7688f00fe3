package testhost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	lockRetry = 100 * time.Millisecond
	daemonLog = "/var/log/provision-test-dockerd.log"
)

// An engine is a Docker engine that answers.
type engine struct {
	client string // path of a docker binary that reaches it
}

// A commandError is a command that failed.
type commandError struct {
	args   []string
	stderr string
	exit   int // -1 if it did not run or was killed
	err    error
}

func (e *commandError) Error() string {
	return fmt.Sprintf("%s: %v: %s", strings.Join(e.args, " "), e.err, strings.TrimSpace(e.stderr))
}

func (e *commandError) Unwrap() error { return e.err }

// run runs the docker client and returns its stdout.
func (e engine) run(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	return command(ctx, stdin, nil, e.client, args...)
}

// exec runs sh text as root in a container, with these variables beside the container's own.
func (e engine) exec(ctx context.Context, name string, env []string, script string) (string, error) {
	args := []string{"exec"}
	for _, v := range env {
		args = append(args, "--env", v)
	}
	return e.run(ctx, nil, append(args, name, "/bin/sh", "-c", script)...)
}

func command(ctx context.Context, stdin io.Reader, env []string, name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Run(); err != nil {
		failed := &commandError{args: cmd.Args, stderr: stderr.String(), exit: -1, err: err}
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			failed.exit = exit.ExitCode()
		}
		return stdout.String(), failed
	}
	return stdout.String(), nil
}

// findEngine asks every docker client of this machine, in the order of PATH: a first one may be too new or too old for the engine.
func findEngine(ctx context.Context) (engine, error) {
	if host := os.Getenv("DOCKER_HOST"); host != "" && !strings.HasPrefix(host, "unix://") {
		return engine{}, fmt.Errorf("DOCKER_HOST is %s, but test hosts listen on the loopback of the machine that runs the engine: unset it", host)
	}
	clients := findAll("docker")
	if len(clients) == 0 {
		return engine{}, errors.New("no docker command: install Docker (on Debian: apt-get install docker.io)")
	}
	var errs []error
	for _, client := range clients {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err := command(ctx, nil, nil, client, "version", "--format", "{{.Server.Version}}")
		cancel()
		if err == nil {
			return engine{client}, nil
		}
		errs = append(errs, err)
	}
	return engine{}, errors.Join(errs...)
}

// startEngine starts dockerd and leaves it running, for the next tests too; it returns at once if an engine answers already.
func startEngine(ctx context.Context) (engine, error) {
	unlock, err := lock(ctx, "dockerd")
	if err != nil {
		return engine{}, err
	}
	defer unlock()
	if e, err := findEngine(ctx); err == nil {
		return e, nil
	}
	daemons := findAll("dockerd")
	if len(daemons) == 0 {
		return engine{}, errors.New("no Docker engine answers and there is no dockerd to start: install Docker (on Debian: apt-get install docker.io)")
	}
	ended, err := launch(daemons[0])
	if err != nil {
		return engine{}, err
	}
	var e engine
	err = poll(ctx, time.Minute, func(ctx context.Context) error {
		select {
		case <-ended:
			return errors.New("it ended")
		default:
		}
		var err error
		e, err = findEngine(ctx)
		return err
	})
	if err != nil {
		return engine{}, fmt.Errorf("%s does not come up, see %s: %w", daemons[0], daemonLog, err)
	}
	return e, nil
}

// launch starts the daemon in a session of its own, so that no Ctrl-C meant for the tests reaches it.
func launch(daemon string) (ended <-chan struct{}, err error) {
	log, err := os.OpenFile(daemonLog, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(daemon)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	return done, nil
}

// findAll returns every command of this name in PATH, and in the sbin directories that the PATH of su and cron lacks.
func findAll(name string) []string {
	var found []string
	dirs := append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin")
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 && filepath.IsAbs(path) {
			found = append(found, path)
		}
	}
	return found
}
