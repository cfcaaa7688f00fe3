//go:build unix

package ssh_test

import (
	"io"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"provision/internal/ssh"
	"provision/internal/ssh/sshtest"
)

const benchRoundTrip = 50 * time.Millisecond

// delayed returns the target behind a proxy with the round-trip time of the benchmarks.
func delayed(b *testing.B, target ssh.Target) ssh.Target {
	b.Helper()
	proxy := sshtest.NewProxy(b, "127.0.0.1:"+strconv.Itoa(target.Port), benchRoundTrip)
	target.HostKeyAlias = "[127.0.0.1]:" + strconv.Itoa(target.Port)
	target.Port = proxy.Port
	return target
}

// reportRoundTrips says how many round trips one operation took.
func reportRoundTrips(b *testing.B) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(benchRoundTrip), "round-trips/op")
}

func start(b *testing.B, c *ssh.Client) {
	b.Helper()
	p, err := c.Start(b.Context(), "exec /bin/sh")
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.WriteString(p.Stdin, "{ :; }\n")
	_ = p.Stdin.Close()
	_, _ = io.ReadAll(p.Stdout)
	if status, err := p.Wait(); status != 0 || err != nil {
		b.Fatal(status, err)
	}
}

// BenchmarkDialAndRun is what a plan needs at least, against the real sshd at 50 ms.
func BenchmarkDialAndRun(b *testing.B) {
	target := delayed(b, openSSH(b))
	for b.Loop() {
		c, err := ssh.Dial(b.Context(), target)
		if err != nil {
			b.Fatal(err)
		}
		start(b, c)
		c.Close()
	}
	reportRoundTrips(b)
}

// BenchmarkOpenSSHClient is the same by the ssh binary.
func BenchmarkOpenSSHClient(b *testing.B) {
	target := delayed(b, openSSH(b))
	for b.Loop() {
		out, err := exec.Command("ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", target.IdentityFiles[0],
			"-o", "UserKnownHostsFile="+target.KnownHostsFiles[0], "-o", "HostKeyAlias="+target.HostKeyAlias,
			"-p", strconv.Itoa(target.Port), target.User+"@127.0.0.1", "true").CombinedOutput()
		if err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	reportRoundTrips(b)
}

func BenchmarkDial(b *testing.B) {
	target := delayed(b, openSSH(b))
	for b.Loop() {
		c, err := ssh.Dial(b.Context(), target)
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
	reportRoundTrips(b)
}

func BenchmarkRun(b *testing.B) {
	c, err := ssh.Dial(b.Context(), delayed(b, openSSH(b)))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for b.Loop() {
		start(b, c)
	}
	reportRoundTrips(b)
}

func BenchmarkUpload(b *testing.B) {
	for name, lines := range map[string][]string{"sftp": {internalSFTP}, "shell": nil} {
		for _, size := range []int64{1 << 10, 16 << 20} {
			b.Run(name+"/"+strconv.FormatInt(size>>10, 10)+"KiB", func(b *testing.B) {
				c, err := ssh.Dial(b.Context(), delayed(b, openSSH(b, lines...)))
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				file := b.TempDir() + "/file"
				for b.Loop() {
					if err := c.Upload(b.Context(), file, 0o600, size, io.LimitReader(zeros{}, size)); err != nil {
						b.Fatal(err)
					}
				}
				reportRoundTrips(b)
			})
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
