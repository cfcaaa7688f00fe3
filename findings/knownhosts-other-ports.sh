#!/usr/bin/env bash
# The known_hosts reader of golang.org/x/crypto compares the name and the port of a pattern apart. OpenSSH writes both into one text,
# "[web1]:2222", compares it with the whole pattern in lower case, and then looks the bare name up as well. So `*`, `[web1]:*`,
# `[web?]:22??` and the plain name cover a host on port 2222 for ssh, and none of them does in Go; nor does a name in another case.
# And one line of a key type that the library does not know makes the whole file fail, where ssh passes over the line.
#
# Versions: golang.org/x/crypto v0.58.0; beside OpenSSH 9.2 and 10.6 (whose client writes keys of new types into the file by itself).
# Why it matters: a Go client with the user's own known_hosts calls hosts unknown that ssh knows, or reaches none at all.
set -euo pipefail

dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'MOD'
module finding
go 1.24
MOD
cat >main.go <<'GO'
package main

import (
	"crypto/ed25519"
	"fmt"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func main() {
	public, _, _ := ed25519.GenerateKey(nil)
	key, _ := ssh.NewPublicKey(public)
	line := string(ssh.MarshalAuthorizedKey(key))
	known := func(text, host string) string {
		_ = os.WriteFile("known_hosts", []byte(text), 0o600)
		check, err := knownhosts.New("known_hosts")
		if err == nil {
			err = check(host, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 22}, key)
		}
		return map[bool]string{true: "known", false: "not known"}[err == nil]
	}
	for _, pattern := range []string{"[web1]:2222", "*", "[web1]:*", "[web?]:22??", "web1", "[WEB1]:2222"} {
		fmt.Println(pattern, known(pattern+" "+line, "web1:2222"))
	}
	fmt.Println("beside a line of a new key type:", known("web1 "+line+"web2 ssh-new-type AAAA\n", "web1:22"))
}
GO
go get golang.org/x/crypto/ssh/knownhosts@v0.58.0 >/dev/null 2>&1
go run . | tee seen
printf '%s known\n' '[web1]:2222' >expected
printf '%s not known\n' '*' '[web1]:*' '[web?]:22??' web1 '[WEB1]:2222' 'beside a line of a new key type:' >>expected
cmp seen expected
