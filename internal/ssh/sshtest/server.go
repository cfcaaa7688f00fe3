// Package sshtest gives tests an SSH server on loopback whose host key is pinned, and a proxy that makes the way to it
// long, broken or silent.
package sshtest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/crypto/ssh"

	client "provision/internal/ssh"
	"provision/internal/ssh/sshd"
)

// A Server is an SSH server that runs until the test ends, with the files that a client needs to enter it.
type Server struct {
	Address    string // 127.0.0.1:PORT
	Port       int
	HostKey    ssh.Signer
	KnownHosts string // a known_hosts file with just this server's key
	Identity   string // the private key file that the server accepts
	ClientKey  ssh.Signer

	stop func()
}

// NewServer starts a server. Unless the options change that, it runs commands with /bin/sh, serves SFTP, forwards, and
// lets in the key in Identity as any user.
func NewServer(t testing.TB, options ...func(*sshd.Config)) *Server {
	t.Helper()
	dir := t.TempDir()
	_, private, clientKey := NewKey(t)
	_, _, hostKey := NewKey(t)
	s := &Server{
		HostKey: hostKey, ClientKey: clientKey,
		KnownHosts: filepath.Join(dir, "known_hosts"), Identity: filepath.Join(dir, "id_ed25519"),
	}
	WriteKey(t, s.Identity, private)
	config := sshd.Config{
		HostKeys:  []ssh.Signer{hostKey},
		PublicKey: AcceptKey(clientKey.PublicKey()),
		Exec:      sshd.RunCommand("/bin/sh"), Shell: sshd.RunCommand("/bin/sh"), SFTP: true, Forward: true,
	}
	for _, o := range options {
		o(&config)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Address, s.Port = l.Addr().String(), l.Addr().(*net.TCPAddr).Port
	s.Pin(t, s.Port)

	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := sshd.Serve(ctx, l, config); err != nil {
			t.Error(err)
		}
	}()
	s.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(s.stop)
	return s
}

// Stop ends the server, its connections and the commands that still run. The end of the test does so too.
func (s *Server) Stop() { s.stop() }

// Pin adds the server's key to KnownHosts under another port of 127.0.0.1: that of a proxy.
func (s *Server) Pin(t testing.TB, port int) {
	t.Helper()
	f, err := os.OpenFile(s.KnownHosts, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("[127.0.0.1]:" + strconv.Itoa(port) + " " + string(ssh.MarshalAuthorizedKey(s.HostKey.PublicKey()))); err != nil {
		t.Fatal(err)
	}
}

// Target says how to enter the server: nothing of the machine's own configuration, keys or agent is used.
func (s *Server) Target() client.Target {
	return client.Target{
		Name: "testhost", Address: "127.0.0.1", Port: s.Port, User: "tester",
		IdentityFiles: []string{s.Identity}, IdentitiesOnly: true, AgentSocket: "none", KnownHostsFiles: []string{s.KnownHosts},
	}
}

// Dial connects to a target and closes the connection at the end of the test.
func Dial(t testing.TB, target client.Target) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// AcceptKey is a Config.PublicKey that lets in one key as any user.
func AcceptKey(key ssh.PublicKey) func(string, ssh.PublicKey) error {
	return func(_ string, offered ssh.PublicKey) error {
		if !bytes.Equal(offered.Marshal(), key.Marshal()) {
			return errors.New("another key is expected")
		}
		return nil
	}
}

// NewKey makes an Ed25519 key.
func NewKey(t testing.TB) (ssh.PublicKey, crypto.PrivateKey, ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer.PublicKey(), private, signer
}

// WriteKey writes a private key in OpenSSH's format.
func WriteKey(t testing.TB, file string, key crypto.PrivateKey) {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}
