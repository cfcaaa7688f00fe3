package ssh

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"provision/internal/ssh/sshconfig"
)

// A KnownHostsCommand prints lines of known_hosts (ssh_config(5), KnownHostsCommand). The zero value is none.
type KnownHostsCommand struct {
	Words  []string // the program, by its absolute path, and its arguments, with tokens
	Tokens sshconfig.Tokens
}

// knownHostsCommand is the file of lines that a command has printed.
const knownHostsCommand = "KnownHostsCommand"

// Why a KnownHostsCommand is asked: its %I.
const (
	askedForOrder = "ORDER"    // which algorithms to negotiate
	askedForKey   = "HOSTNAME" // whether a key is on record
)

// ask runs the KnownHostsCommand of a host, and returns h with what it printed. key is what the host has shown, nil before it
// has. As with ssh, a command that fails ends the login: it may be what knows of a revocation.
func (h hostKeys) ask(ctx context.Context, reason string, key ssh.PublicKey) (hostKeys, error) {
	if len(h.command.Words) == 0 {
		return h, nil
	}
	name := h.names[0]
	tokens := h.command.Tokens
	tokens.Check = map[byte]string{'I': reason, 'H': name, 'f': "NONE", 'K': "NONE", 't': "NONE"}
	if key != nil {
		tokens.Check['f'], tokens.Check['t'] = ssh.FingerprintSHA256(plainKey(key)), key.Type()
		tokens.Check['K'] = base64.StdEncoding.EncodeToString(key.Marshal())
	}
	var words []string
	for _, word := range h.command.Words {
		expanded, err := tokens.Variables(word)
		if err != nil {
			return h, fmt.Errorf("KnownHostsCommand: %w", err)
		}
		words = append(words, expanded)
	}
	if !filepath.IsAbs(words[0]) {
		return h, fmt.Errorf("KnownHostsCommand: %q is no absolute path of a program", words[0])
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.WaitDelay = time.Second // a child of it may hold its output open
	var said tail
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(ErrTimeout, err)
		}
		words := strings.Join(words, " ")
		if text := strings.TrimSpace(said.String()); text != "" {
			return h, fmt.Errorf("KnownHostsCommand %q: %w: %s", words, err, text)
		}
		return h, fmt.Errorf("KnownHostsCommand %q: %w, without a word", words, err)
	}
	var printed knownHosts
	printed.add(knownHostsCommand, string(out))
	h.printed = printed.matching(name)
	return h, nil
}
