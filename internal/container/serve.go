package container

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"provision/internal/ssh/sshd"
)

const rootPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// loginScript is what a login adds to the environment that docker exec gives: the home directory, by the container's own accounts.
const loginScript = `HOME=~root; [ -d "$HOME" ] || HOME=/; export HOME; cd; `

// listen starts the SSH server of the container on a free port of loopback.
func (c *Container) listen(ctx context.Context) error {
	host, _, err := newKey()
	if err != nil {
		return err
	}
	client, private, err := newKey()
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := l.Addr().(*net.TCPAddr)
	c.Address, c.Port = addr.IP.String(), addr.Port
	c.IdentityFile, c.KnownHostsFile = filepath.Join(c.record.dir, "id_ed25519"), filepath.Join(c.record.dir, "known_hosts")
	known := knownhosts.Line([]string{knownhosts.Normalize(addr.String())}, host.PublicKey()) + "\n"
	err = errors.Join(os.WriteFile(c.IdentityFile, private, 0o600), os.WriteFile(c.KnownHostsFile, []byte(known), 0o600))
	if err != nil {
		l.Close()
		return fmt.Errorf("write the keys of the container: %w", err)
	}
	// Not bounded by ctx, which is that of the start.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- sshd.Serve(serving, l, c.server(host, client.PublicKey())) }()
	c.serve = sync.OnceValue(func() error {
		stop()
		return <-ended
	})
	return nil
}

func (c *Container) server(host ssh.Signer, authorized ssh.PublicKey) sshd.Config {
	return sshd.Config{
		HostKeys: []ssh.Signer{host},
		PublicKey: func(user string, key ssh.PublicKey) error {
			if user != c.User || !bytes.Equal(key.Marshal(), authorized.Marshal()) {
				return errors.New("only root may log in, with the container's own key")
			}
			return nil
		},
		Exec: sshd.RunProcess(func(s *sshd.Session) *exec.Cmd {
			return c.login(s, loginScript+`exec /bin/sh -c "$1"`, s.Command)
		}),
		Shell: sshd.RunProcess(func(s *sshd.Session) *exec.Cmd {
			return c.login(s, loginScript+`[ ! -x /bin/bash ] || exec /bin/bash -l; exec /bin/sh -l`)
		}),
	}
}

// login is the docker command that runs sh text in the container as root.
func (c *Container) login(s *sshd.Session, script string, args ...string) *exec.Cmd {
	words := []string{"exec", "--interactive", "--user", "0"}
	env := []string{"USER=root", "LOGNAME=root", "SHELL=/bin/sh", "PATH=" + rootPath, "LANG=C.UTF-8"}
	if s.Pty {
		words = append(words, "--tty")
		env = append(env, "TERM="+s.Term)
	}
	for _, v := range append(env, s.Env...) {
		// Without a value docker would take that of this machine.
		if strings.Contains(v, "=") {
			words = append(words, "--env", v)
		}
	}
	words = append(words, c.Name, "/bin/sh", "-c", script, "sh")
	// The server ends the process; in whose session it runs is the server's to say as well.
	return exec.Command("docker", append(words, args...)...)
}

// newKey makes an ed25519 key; the private half in OpenSSH's PEM form as well.
func newKey() (ssh.Signer, []byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "provision container")
	if err != nil {
		return nil, nil, err
	}
	signer, err := ssh.NewSignerFromKey(key)
	return signer, pem.EncodeToMemory(block), err
}
