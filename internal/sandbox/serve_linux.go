package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/crypto/ssh"

	"provision/internal/ssh/sshd"
)

// serverKeys are what the server reads from its standard input.
type serverKeys struct{ Host, Authorized []byte }

// runServer serves SSH inside the sandbox until the first process kills it.
func runServer() error {
	var keys serverKeys
	if err := json.NewDecoder(os.Stdin).Decode(&keys); err != nil {
		return fmt.Errorf("read the server's keys: %w", err)
	}
	host, err := ssh.ParsePrivateKey(keys.Host)
	if err != nil {
		return fmt.Errorf("parse the host key: %w", err)
	}
	authorized, _, _, _, err := ssh.ParseAuthorizedKey(keys.Authorized)
	if err != nil {
		return fmt.Errorf("parse the key to log in with: %w", err)
	}
	f := os.NewFile(serverListenerFD, "listener")
	l, err := net.FileListener(f)
	f.Close()
	if err != nil {
		return fmt.Errorf("take the listener over: %w", err)
	}
	reports := os.NewFile(serverReportsFD, "reports")
	if err := json.NewEncoder(reports).Encode(message{Ready: true}); err != nil {
		return fmt.Errorf("say that the server is ready: %w", err)
	}
	reports.Close()

	return sshd.Serve(context.Background(), l, sshd.Config{
		HostKeys: []ssh.Signer{host},
		PublicKey: func(user string, key ssh.PublicKey) error {
			if user != "root" || !bytes.Equal(key.Marshal(), authorized.Marshal()) {
				return errors.New("only root may log in, with the sandbox's own key")
			}
			return nil
		},
		Exec:  withLocale(sshd.RunCommand("/bin/sh")),
		Shell: withLocale(sshd.RunCommand(loginShell())),
		SFTP:  true,
	})
}

// withLocale gives commands a locale that every machine has. What the client asks for comes later and wins.
func withLocale(next sshd.Handler) sshd.Handler {
	return func(ctx context.Context, s *sshd.Session) int {
		s.Env = append([]string{"LANG=C.UTF-8", "TERM=dumb"}, s.Env...)
		if s.Pty {
			s.Env[1] = "TERM=" + s.Term
		}
		return next(ctx, s)
	}
}

// loginShell is what a person at a prompt would rather have.
func loginShell() string {
	if _, err := os.Stat("/bin/bash"); err == nil {
		return "/bin/bash"
	}
	return "/bin/sh"
}
