package ssh

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"al.essio.dev/pkg/shellescape"
)

// A Transport says which SSH client carries a connection.
type Transport string

// The transports.
const (
	TransportBuiltin Transport = ""        // this package
	TransportOpenSSH Transport = "openssh" // ssh(1): it alone reads ssh_config, and can what this package cannot (hardware keys, GSSAPI)
	TransportAuto    Transport = "auto"    // this package, and ssh(1) where it does not do what ssh_config asks for, or is not let in
)

// opensshWords are the words of ssh(1) for what the caller of Resolve has set itself: ssh reads the rest from ssh_config. command is
// for the Match lines of that; "" leaves it out.
func opensshWords(name string, over Target, command string) ([]string, error) {
	var words []string
	option := func(key, value string) { words = append(words, "-o", key+"="+value) }
	if over.Port != 0 {
		option("Port", strconv.Itoa(over.Port))
	}
	if over.User != "" {
		option("User", over.User)
	}
	if over.Address != "" && over.Address != name {
		option("HostName", strings.Trim(over.Address, "[]"))
	}
	if over.AgentSocket != "" {
		option("IdentityAgent", over.AgentSocket)
	}
	if over.IdentitiesOnly {
		option("IdentitiesOnly", "yes")
	}
	for _, file := range over.IdentityFiles {
		option("IdentityFile", quoteOption(file))
	}
	if len(over.KnownHostsFiles) > 0 {
		quoted := make([]string, len(over.KnownHostsFiles))
		for i, file := range over.KnownHostsFiles {
			quoted[i] = quoteOption(file)
		}
		option("UserKnownHostsFile", strings.Join(quoted, " "))
		option("GlobalKnownHostsFile", "none")
	}
	if over.ConnectTimeout > 0 {
		option("ConnectTimeout", strconv.Itoa(int(max(1, over.ConnectTimeout.Seconds()))))
	}
	if over.Legacy {
		return nil, errors.New("transport = \"openssh\" does not go with legacy = true: name the algorithms in ssh_config, such as HostKeyAlgorithms +ssh-rsa")
	}
	if over.Jumps != nil {
		command, err := opensshJump(over.Jumps)
		if err != nil {
			return nil, err
		}
		option("ProxyCommand", command)
	}
	if strings.HasPrefix(name, "-") {
		return nil, fmt.Errorf("%q is no name of a host", name)
	}
	if command == "" {
		return append(words, "--", name), nil
	}
	option("RemoteCommand", "none") // ssh takes one or the other
	return append(words, "--", name, command), nil
}

// opensshJump is the value of ProxyCommand that goes through hops, "none" without any. ProxyJump would take a user and a port and
// nothing else.
func opensshJump(hops []Target) (string, error) {
	command := "none"
	var all []Target
	for _, hop := range hops {
		all = append(all, hop.hops()...)
	}
	for _, hop := range all {
		if hop.Password != nil || hop.Legacy {
			return "", fmt.Errorf("transport = \"openssh\" cannot give the jump host %s a password or legacy: write it into ssh_config, or use a key", hop.Name)
		}
		words := []string{"ssh", "-W", "[%h]:%p", "-o", "StrictHostKeyChecking=yes", "-o", "NumberOfPasswordPrompts=1"}
		if command != "none" {
			words = append(words, "-o", "ProxyCommand="+command)
		}
		own := hop.OpenSSHWords
		switch {
		case own != nil:
		case hop.Address != "":
			hop.Jumps = nil // they are among the hops
			var err error
			if own, err = opensshWords(hop.Name, hop, ""); err != nil {
				return "", err
			}
		default:
			host := hop.Name
			if !strings.HasPrefix(host, "ssh://") && strings.ContainsAny(host, "@:") {
				host = "ssh://" + host
			}
			own = []string{"--", host}
		}
		words = append(words, own...)
		for i, w := range words {
			if i != 2 {
				w = strings.ReplaceAll(w, "%", "%%")
			}
			words[i] = shellescape.Quote(w)
		}
		command = strings.Join(words, " ")
	}
	return command, nil
}

// quoteOption quotes a path as an argument of ssh_config, where percent signs begin tokens.
func quoteOption(path string) string {
	path = strings.ReplaceAll(path, "%", "%%")
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`
}
