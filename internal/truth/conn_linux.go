package truth

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"provision/internal/engine"
)

// Dial implements engine.Dialer: root's login on the host.
func (r *Root) Dial(context.Context, string) (engine.Conn, error) { return conn{r}, nil }

type conn struct{ root *Root }

func (c conn) Start(_ context.Context, command string) (*engine.Process, error) {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Env = []string{"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}
	cmd.Dir = "/root"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.root.dir, Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = outW, errW
	err = cmd.Start()
	outW.Close()
	errW.Close()
	if err != nil {
		outR.Close()
		errR.Close()
		return nil, fmt.Errorf("starting a shell in the host: %w", err)
	}
	wait := sync.OnceValues(func() (int, error) {
		err := cmd.Wait()
		if cmd.ProcessState != nil {
			return cmd.ProcessState.ExitCode(), nil
		}
		return 0, err
	})
	return &engine.Process{
		Stdin: stdin, Stdout: outR, Stderr: errR, Wait: wait,
		Close: func() error {
			stdin.Close()
			go func() {
				_, _ = wait()
				outR.Close()
				errR.Close()
			}()
			return nil
		},
	}, nil
}

// Upload writes as the host sees the path, whatever links are on the way.
func (c conn) Upload(ctx context.Context, path string, mode os.FileMode, _ int64, r io.Reader) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", `umask 077 && cat >"$1" && chmod "$2" "$1"`, "sh", path, fmt.Sprintf("%o", mode))
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.Dir = "/"
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: c.root.dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (c conn) Close() error { return nil }
