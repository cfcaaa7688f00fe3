package testhost

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	bootID = "/proc/sys/kernel/random/boot_id"
	// bootLimit bounds the boot of one host. It takes seconds; the rest is for a machine on which thirty boot at once.
	bootLimit = 2 * time.Minute
)

// run starts the container and returns the port on which its sshd will listen.
//
// The flags are those with which systemd, logind and a Docker engine inside work, also where this machine itself lacks
// SYS_RESOURCE and --privileged therefore fails. With the host's cgroup namespace systemd finds its own subtree under version 1, 2
// and hybrid. The restart policy is what turns a reboot inside into a reboot; a fixed port is what survives it.
func run(ctx context.Context, docker engine, image, name string, own owner, s setup) (port int, err error) {
	for range 5 {
		port, err = freePort(ctx)
		if err != nil {
			return 0, err
		}
		args := []string{
			"run", "--detach", "--pull=never", "--name", name, "--hostname", "host", "--label", ownerLabel + "=" + own.String(),
			"--publish", fmt.Sprintf("127.0.0.1:%d:22", port), "--restart=unless-stopped", "--stop-signal=SIGRTMIN+3",
			"--cgroupns=host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--volume", "/var/lib/docker",
			"--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined",
			"--tmpfs", "/run", "--tmpfs", "/tmp:exec,mode=1777",
		}
		args = append(args, s.flags...)
		_, err = docker.run(ctx, nil, append(args, image)...)
		if err == nil || !strings.Contains(err.Error(), "port is already allocated") && !strings.Contains(err.Error(), "address already in use") {
			return port, err
		}
		if _, err := docker.run(ctx, nil, "rm", "--force", "--volumes", name); err != nil {
			return 0, err
		}
	}
	return 0, err
}

// freePort picks a port that nothing listens on, below the range from which the kernel takes ports for outgoing connections: one
// of those could come between while the host reboots.
func freePort(ctx context.Context) (int, error) {
	var err error
	for range 50 {
		port := 20000 + rand.IntN(12000)
		var l net.Listener
		l, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port on loopback: %w", err)
}

// waitBooted returns when the init has settled in a boot that is not the one before, and sshd answers. A unit that failed is no
// failure of the boot.
func (h *Host) waitBooted(ctx context.Context, before string) error {
	err := poll(ctx, bootLimit, func(ctx context.Context) error {
		out, err := h.docker.exec(ctx, h.Name, nil, "cat "+bootID+"; "+inits[h.Init].ready)
		id, state, ok := strings.Cut(out, "\n")
		state = strings.TrimSpace(state)
		switch {
		case !ok:
			return fmt.Errorf("the container does not answer: %w", err)
		case id == strings.TrimSpace(before):
			return errors.New("it has not gone down yet")
		case state != "running" && state != "degraded":
			return fmt.Errorf("the state of the boot is %q", state)
		}
		return nil
	})
	if err == nil {
		err = h.waitSSH(ctx)
	}
	if err != nil {
		return fmt.Errorf("test host %s does not boot (fs.inotify.max_user_instances of 128 is too low for many hosts): %w\n%s",
			h.Name, err, h.diagnose(context.WithoutCancel(ctx)))
	}
	return nil
}

// diagnose collects what tells why a boot failed.
func (h *Host) diagnose(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	logs, _ := h.docker.run(ctx, nil, "logs", "--tail", "20", h.Name)
	state, _ := h.docker.exec(ctx, h.Name, nil, inits[h.Init].explain)
	return logs + state
}

// waitSSH returns when sshd greets. Docker's proxy accepts connections before sshd listens, so that a connection alone says nothing.
func (h *Host) waitSSH(ctx context.Context) error {
	return poll(ctx, bootLimit, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(h.Addr, strconv.Itoa(h.Port)))
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		banner, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil {
			return fmt.Errorf("sshd does not greet: %w", err)
		}
		if !strings.HasPrefix(banner, "SSH-2.0-") {
			return fmt.Errorf("%q is no greeting of sshd", firstLine(banner))
		}
		return nil
	})
}

// pinKeys writes the host's public keys, read through Docker, to the known hosts file.
func (h *Host) pinKeys(ctx context.Context) error {
	keys, err := h.docker.exec(ctx, h.Name, nil, "cat /etc/ssh/ssh_host_*_key.pub")
	if err != nil {
		return err
	}
	var b strings.Builder
	for line := range strings.Lines(keys) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			return fmt.Errorf("host key %q is not TYPE KEY", line)
		}
		fmt.Fprintf(&b, "[%s]:%d %s %s\n", h.Addr, h.Port, fields[0], fields[1])
	}
	return os.WriteFile(h.KnownHostsFile, []byte(b.String()), 0o600)
}
