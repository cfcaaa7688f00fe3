package ssh

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"
)

var negotiated = regexp.MustCompile(`debug1: kex: (algorithm|host key algorithm|server->client cipher): (\S+)(?: MAC: (\S+))?`)

// TestNegotiationIsThatOfOpenSSH connects to a real sshd of drawn algorithms and host keys, by a real ssh and by ours, with drawn
// settings of ssh_config, and compares who gets through. Where a setting says what comes first, both negotiate the same.
func TestNegotiationIsThatOfOpenSSH(t *testing.T) {
	lab := newLoginLab(t)
	t.Setenv("HOME", lab.path("home"))
	t.Setenv("SSH_AUTH_SOCK", "")
	keys := map[string]string{"ed25519": "host_key"}
	known := map[string]string{}
	line, err := os.ReadFile(lab.path("known_hosts"))
	if err != nil {
		t.Fatal(err)
	}
	known["ed25519"] = string(line)
	ec, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r, err2 := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for kind, private := range map[string]any{"ecdsa": ec, "rsa": r} {
		block, err1 := ssh.MarshalPrivateKey(private, "")
		signer, err2 := ssh.NewSignerFromKey(private)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		keys[kind] = "host_" + kind
		lab.write(t, keys[kind], string(pem.EncodeToMemory(block)))
		known[kind] = "h " + string(ssh.MarshalAuthorizedKey(signer.PublicKey()))
	}
	lab.write(t, "case/authorized_keys", string(ssh.MarshalAuthorizedKey(lab.keys[0].signer.PublicKey())))
	lab.write(t, "user_key", string(lab.keys[0].plain))
	for _, binary := range opensshTools(t, "ssh") {
		n := 0
		rapid.Check(t, func(t *rapid.T) {
			if n++; fewChecks() && n > 12 {
				return
			}
			compareNegotiation(t, lab, binary, keys, known)
		})
	}
}

// algorithmSettings are drawn for both sides; the first of each is no setting.
func algorithmSettings() map[string][]string {
	return map[string][]string{
		"KexAlgorithms": {
			"", "", "ecdh-sha2-nistp256", "diffie-hellman-group14-sha256,curve25519-sha256", "diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1",
			"curve25519-sha256@libssh.org", "diffie-hellman-group-exchange-sha256", "+diffie-hellman-group14-sha1", "^ecdh-sha2-nistp521",
			"-curve25519*", "sntrup761x25519-sha512@openssh.com,ecdh-sha2-nistp384", "+diffie-hellman-group1-sha1", "diffie-hellman-group-exchange-sha1",
		},
		"Ciphers": {
			"", "", "aes256-ctr", "aes128-cbc", "+aes128-cbc", "^aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "-aes*", "3des-cbc,aes192-ctr",
			"aes128-gcm@openssh.com,aes128-ctr", "+3des-cbc",
		},
		"MACs": {
			"", "", "hmac-sha2-256", "hmac-sha1", "+hmac-sha1", "^hmac-sha2-512-etm@openssh.com", "-*etm*", "hmac-sha2-512,hmac-sha2-256-etm@openssh.com", "umac-64@openssh.com,hmac-sha2-512", "umac-64@openssh.com", "umac-128-etm@openssh.com,hmac-md5",
		},
		"HostKeyAlgorithms": {
			"", "", "ssh-ed25519", "rsa-sha2-256", "ecdsa-sha2-nistp256", "+ssh-rsa", "ssh-rsa", "^rsa-sha2-512", "-ssh-ed25519", "rsa-*,ssh-ed25519", "ssh-*", "-ssh-ed25519,rsa-sha2-512",
		},
	}
}

func compareNegotiation(t *rapid.T, lab *loginLab, binary string, keys, known map[string]string) {
	var server, client strings.Builder
	fmt.Fprintf(&server, "AuthorizedKeysFile %s\nStrictModes no\nPidFile none\nUsePAM no\n", lab.path("case/authorized_keys"))
	kinds := []string{"ed25519", "rsa", "ecdsa"}
	held := rapid.SliceOfNDistinct(rapid.SampledFrom(kinds), 1, 3, rapid.ID[string]).Draw(t, "host keys")
	trusted := rapid.SliceOfNDistinct(rapid.SampledFrom(kinds), 1, 3, rapid.ID[string]).Draw(t, "known keys")
	for _, k := range held {
		fmt.Fprintf(&server, "HostKey %s\n", lab.path(keys[k]))
	}
	text := ""
	for _, k := range trusted {
		text += known[k]
	}
	set := map[string]string{}
	for _, keyword := range []string{"KexAlgorithms", "Ciphers", "MACs", "HostKeyAlgorithms"} {
		if v := rapid.SampledFrom(algorithmSettings()[keyword]).Draw(t, "server's "+keyword); v != "" {
			fmt.Fprintf(&server, "%s %s\n", keyword, v)
		}
		if set[keyword] = rapid.SampledFrom(algorithmSettings()[keyword]).Draw(t, keyword); set[keyword] != "" {
			fmt.Fprintf(&client, " %s %s\n", keyword, set[keyword])
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(lab.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("case/sshd_config", server.String())
	write("case/known", text)
	config := strings.Replace(lab.config("Host h\n IdentityFile "+lab.path("user_key")+"\n"+client.String()), lab.path("known_hosts"), lab.path("case/known"), 1)
	write("case/config", config)
	lab.log.Store("case/log")

	args := append(slices.Clone(lab.enter), binary, "-v", "-F", lab.path("case/config"), "h", "echo entered")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = lab.dir
	out, sshErr := cmd.CombinedOutput()
	want := map[string]string{}
	for _, m := range negotiated.FindAllStringSubmatch(string(out), -1) {
		switch m[1] {
		case "algorithm":
			want["KexAlgorithms"] = m[2]
		case "host key algorithm":
			want["HostKeyAlgorithms"] = m[2]
		default:
			want["Ciphers"], want["MACs"] = m[2], strings.ReplaceAll(m[3], "<implicit>", "")
		}
	}

	files, err := LoadConfig(lab.path("case/config"))
	if err != nil {
		t.Fatal(err)
	}
	target, err := files.Resolve(context.Background(), "h", Target{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(context.Background(), target)
	shown := fmt.Sprintf("--- host keys %q, on record %q\n--- sshd_config\n%s--- ssh_config\n%s--- ssh: %v\n%q\n--- provision: %v\n", held, trusted, server.String(), client.String(), sshErr, negotiated.FindAll(out, -1), err)
	if err != nil {
		if sshErr == nil && !notOffered(set, want) {
			t.Fatalf("ssh gets through with %v\n%s", want, shown)
		}
		return
	}
	got := c.conn.Conn.(ssh.AlgorithmsConnMetadata).Algorithms()
	c.Close()
	// The standard order differs on purpose, also behind those of a ^. In it ssh may come to a cipher for which there is no MAC.
	ordered := func(keyword, algorithm string) bool {
		named, first := strings.CutPrefix(set[keyword], "^")
		return named != "" && named[0] != '+' && named[0] != '-' && (!first || slices.Contains(strings.Split(named, ","), algorithm))
	}
	if sshErr != nil && got.Read.MAC == "" && strings.Contains(string(out), "no matching MAC found") && !ordered("Ciphers", got.Read.Cipher) {
		return
	}
	if sshErr != nil {
		t.Fatalf("provision gets through with %+v\n%s", got, shown)
	}
	for keyword, have := range map[string]string{"KexAlgorithms": got.KeyExchange, "Ciphers": got.Read.Cipher, "MACs": got.Read.MAC, "HostKeyAlgorithms": got.HostKey} {
		if !ordered(keyword, want[keyword]) || keyword == "MACs" && want["Ciphers"] != got.Read.Cipher {
			continue
		}
		if want[keyword] != have && slices.Contains(knownAlgorithms(keyword), want[keyword]) {
			t.Fatalf("%s: ssh has %s, provision %s\n%s", keyword, want[keyword], have, shown)
		}
	}
}

// knownAlgorithms are the algorithms that there are here for a keyword.
func knownAlgorithms(keyword string) []string {
	return map[string][]string{"KexAlgorithms": allKeyExchanges(), "Ciphers": allCiphers(), "MACs": append(allMACs(), ""), "HostKeyAlgorithms": allHostKeys()}[keyword]
}

// notOffered reports whether ssh has negotiated what is not offered here on purpose: what the library lacks, or what is not safe and
// not named.
func notOffered(set, want map[string]string) bool {
	for keyword, algorithm := range want {
		named := set[keyword] != "" && len(assemble(strings.TrimLeft(set[keyword], "+^"), nil, []string{algorithm})) > 0
		if !slices.Contains(knownAlgorithms(keyword), algorithm) || algorithm == ssh.HMACSHA1 && !named {
			return true
		}
	}
	return false
}
