//go:build unix

package ssh

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"provision/internal/ssh/sshconfig"
)

// opensshTools are the programs of a name to compare with: that of the machine, or those in the directories of the ssh binaries
// that PROVISION_TEST_SSH names, with colons between.
func opensshTools(t *testing.T, name string) []string {
	t.Helper()
	var paths []string
	for binary := range strings.SplitSeq(os.Getenv("PROVISION_TEST_SSH"), ":") {
		path, err := exec.LookPath(filepath.Join(filepath.Dir(binary), name))
		if !strings.Contains(binary, "/") {
			path, err = exec.LookPath(name)
		}
		if err != nil {
			if os.Getenv("PROVISION_CI") == "1" || os.Getenv("PROVISION_TEST_SSH") != "" {
				t.Fatalf("no %s to compare with: %v; install openssh-client", name, err)
			}
			t.Skipf("NOT TESTED: there is no %s to compare with: install openssh-client", name)
		}
		paths = append(paths, path)
	}
	return paths
}

// testKeys are one signer of each type for the host, one that the host has not, and authorities.
var testKeys = sync.OnceValue(func() map[string]ssh.Signer {
	keys := map[string]ssh.Signer{}
	must := func(name string, key crypto.Signer, err error) {
		if err != nil {
			panic(err)
		}
		if keys[name], err = ssh.NewSignerFromKey(key); err != nil {
			panic(err)
		}
	}
	for _, who := range []string{"host", "other"} {
		_, ed, err := ed25519.GenerateKey(rand.Reader)
		must(who+" ed25519", ed, err)
		ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(who+" ecdsa", ec, err)
		r, err := rsa.GenerateKey(rand.Reader, 2048)
		must(who+" rsa", r, err)
		_, ed, err = ed25519.GenerateKey(rand.Reader)
		must(who+" authority", ed, err)
	}
	return keys
})

// drawLine draws a line of known_hosts about the names that a host is looked up by, or one that nobody understands.
func drawLine(t *rapid.T, host string, port int) string {
	withPort := fmt.Sprintf("[%s]:%d", host, port)
	names := []string{
		host, withPort, strings.ToUpper(host), strings.ToUpper(withPort), "*", "*" + host + "*", "!" + host + ",*", "*,!" + host,
		"!" + withPort + ",*", "[" + host + "]:*", "[" + host[:1] + "*]:22??", "[" + host + "]:22", host + ",other", "other," + withPort,
		"other", "?" + host[1:], "[*]:" + strconv.Itoa(port), "[" + host + "]", host + ":" + strconv.Itoa(port), "", "!other,*", "!other",
		host + ",,", "**" + host, hashName(host), hashName(withPort), hashName("other"), "|1|AAAA|BBBB", "|2|x", host + "," + hashName(host),
	}
	name := rapid.SampledFrom(names).Draw(t, "names")
	key := rapid.SampledFrom([]string{
		"host ed25519", "host ed25519", "host ecdsa", "host rsa", "other ed25519", "other ecdsa", "other rsa", "host authority", "other authority",
	}).Draw(t, "key")
	text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(testKeys()[key].PublicKey())))
	marker := rapid.SampledFrom([]string{"", "", "", "", "@cert-authority ", "@cert-authority ", "@revoked ", "@unknown ", "@cert-authority\t", "@cert-authority @revoked ", "@"}).Draw(t, "marker")
	blank := rapid.SampledFrom([]string{" ", " ", "\t", "  \t "}).Draw(t, "blank")
	text = strings.Replace(text, " ", blank, 1)
	line := marker + name + blank + text
	switch rapid.SampledFrom([]string{"", "", "", "", "", "cut", "comment", "type", "trailing", "indented", "hash", "type2", "ssh1", "bits", "bom", "sha2"}).Draw(t, "damage") {
	case "cut":
		line = line[:rapid.IntRange(0, len(line)).Draw(t, "length")]
	case "comment":
		line += " root@" + host + " # more"
	case "type":
		line = strings.Replace(line, "ssh-", "ssh-mldsa44-", 1)
	case "type2":
		line = strings.Replace(line, "ssh-ed25519", "ssh-rsa", 1)
	case "trailing":
		line += " \t"
	case "indented":
		line = " \t" + line
	case "hash":
		line = "#" + line
	case "ssh1":
		line = name + " 1024 65537 1234567890"
	case "bits":
		line = strings.TrimRight(line, "=")
	case "bom":
		line = byteOrderMark + line
	case "sha2":
		line = strings.Replace(line, "ssh-rsa ", "rsa-sha2-512 ", 1)
	}
	return line + rapid.SampledFrom([]string{"\n", "\n", "\n", "\r\n", "\n\n"}).Draw(t, "end")
}

func hashName(name string) string {
	salt := sha1.Sum([]byte(name))
	mac := hmac.New(sha1.New, salt[:])
	mac.Write([]byte(name))
	return "|1|" + base64.StdEncoding.EncodeToString(salt[:]) + "|" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func drawHost(t *rapid.T) (host string, port int) {
	host = rapid.SampledFrom([]string{"web1", "WEB1", "10.0.0.1", "fe80::1%eth0", "2001:db8::1", "db.example.test"}).Draw(t, "host")
	return host, rapid.SampledFrom([]int{22, 2222}).Draw(t, "port")
}

// Which lines name a host, compared with ssh-keygen -F, which prints their numbers.
func TestKnownHostsLookupIsThatOfOpenSSH(t *testing.T) {
	for _, keygen := range opensshTools(t, "ssh-keygen") {
		compareLookup(t, keygen)
	}
}

func compareLookup(t *testing.T, keygen string) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	rapid.Check(t, func(t *rapid.T) {
		host, port := drawHost(t)
		var text string
		for range rapid.IntRange(1, 20).Draw(t, "lines") {
			text += drawLine(t, host, port)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		names, _ := Target{Address: host, Port: port}.knownNames()
		for _, name := range names {
			out, _ := exec.Command(keygen, "-l", "-F", name, "-f", file).Output() // status 1: there is none
			var want []string
			for _, m := range regexp.MustCompile(`found: line (\d+)`).FindAllStringSubmatch(string(out), -1) {
				want = append(want, m[1])
			}
			known := readKnownHosts([]string{file})
			var got []string
			for _, l := range known.matching(name) {
				got = append(got, strconv.Itoa(l.number))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s: lines %v, and ssh-keygen has %v of\n%s\n%q", name, got, want, text, known.passed)
			}
		}
	})
}

// Whether a host is let pass, compared with ssh itself and StrictHostKeyChecking=yes. Where it differs on purpose:
//   - ssh before 10 takes the principals of a certificate literally, and one without any for one of every host; the cases
//     drawn for it have neither.
//   - ssh asks for ECDSA keys that nothing is on record about, and for certificates without an authority on record, and then
//     refuses what it gets; so a host has one type of key, or two without ECDSA and certificates.
func TestHostKeyVerdictIsThatOfOpenSSH(t *testing.T) {
	for _, binary := range opensshTools(t, "ssh") {
		compareVerdicts(t, binary)
	}
}

func compareVerdicts(t *testing.T, binary string) {
	version, err := exec.Command(binary, "-V").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	patterns := regexp.MustCompile(`OpenSSH_[1-9]\d`).Match(version)
	newer := regexp.MustCompile(`OpenSSH_(10\.([6-9]|\d\d)|1[1-9])`).Match(version)
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		host, port := drawHost(t)
		alias := rapid.SampledFrom([]string{"", "", "", "web1", "[web1]:2222"}).Draw(t, "alias")
		about := host
		if alias == "web1" {
			about = alias
		}
		var files []string
		var text string
		for i := range rapid.IntRange(1, 2).Draw(t, "files") {
			one := ""
			for range rapid.IntRange(0, 5).Draw(t, "lines") {
				one += drawLine(t, about, port)
			}
			if newer && rapid.IntRange(0, 2).Draw(t, "a key of a newer type") == 0 {
				name := rapid.SampledFrom([]string{about, fmt.Sprintf("[%s]:%d", about, port), "*", hashName(strings.ToLower(fmt.Sprintf("[%s]:%d", about, port)))}).Draw(t, "name")
				marker := rapid.SampledFrom([]string{"", "", "@cert-authority ", "@revoked "}).Draw(t, "marker of it")
				one += marker + name + " ssh-mldsa44-ed25519 " + base64.StdEncoding.EncodeToString(keyOf("ssh-mldsa44-ed25519")) + "\n"
			}
			files = append(files, filepath.Join(dir, fmt.Sprint("known", i)))
			if err := os.WriteFile(files[i], []byte(one), 0o600); err != nil {
				t.Fatal(err)
			}
			text += one + "---\n"
		}
		asked := filepath.Join(dir, "asked")
		command := ""
		// The first time, older releases ask it about the address alone.
		if rapid.IntRange(0, 3).Draw(t, "KnownHostsCommand") == 0 && (patterns || port == 22 && alias == "") {
			printed := ""
			for range rapid.IntRange(0, 3).Draw(t, "printed lines") {
				printed += drawLine(t, about, port)
			}
			text += "printed:\n" + printed
			if err := os.WriteFile(filepath.Join(dir, "printed"), []byte(printed), 0o600); err != nil {
				t.Fatal(err)
			}
			status := rapid.SampledFrom([]string{"0", "0", "0", "1"}).Draw(t, "status")
			command = `/bin/sh -c "echo $* >>` + asked + `; cat ` + filepath.Join(dir, "printed") + `; exit ` + status + `" x %I %H %t %f %K %h %n %p %%`
		}
		target, err := Target{Name: "h", Address: host, Port: port, HostKeyAlias: alias, KnownHostsFiles: files, User: "u", AgentSocket: "none", IdentityFiles: []string{"/nonexistent"}}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		if command != "" {
			target.KnownHostsCommand.Words = must(sshconfig.SplitCommand(command))
			target.KnownHostsCommand.Tokens = sshconfig.Tokens{Name: host, Host: strings.ToLower(host), Port: strconv.Itoa(port), User: "u"}
		}
		d := new(Dialer)
		keys := drawHostKeys(t, strings.ToLower(about), patterns)
		// A certificate is not asked for where no authority is on record.
		known, askErr := d.loadHostKeys(target).ask(context.Background(), askedForOrder, nil)
		if askErr != nil || !slices.Contains(known.algorithms(nil, true), ssh.CertAlgoED25519v01) {
			keys = slices.DeleteFunc(keys, func(k ssh.Signer) bool { _, cert := k.PublicKey().(*ssh.Certificate); return cert })
		}
		server := startVerdictServer(t, keys)
		defer server.close()
		args := []string{
			"-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + strings.Join(files, " "),
			"-o", "GlobalKnownHostsFile=none", "-o", "PubkeyAuthentication=no", "-o", "UpdateHostKeys=no", "-o", "ConnectTimeout=20",
			"-o", "ProxyCommand=bash -c 'exec 2>/dev/null 3<>/dev/tcp/127.0.0.1/" + strconv.Itoa(server.port) + "; cat <&3 & exec cat >&3'",
			"-p", strconv.Itoa(port), "-v",
		}
		if alias != "" {
			args = append(args, "-o", "HostKeyAlias="+alias)
		}
		if command != "" {
			args = append(args, "-o", "KnownHostsCommand="+command)
		}
		_ = os.Remove(asked)
		out, _ := exec.Command(binary, append(args, "--", host, "true")...).CombinedOutput()
		want := server.entered(t)
		wantAsked, _ := os.ReadFile(asked)
		_ = os.Remove(asked)

		var got bool
		for again := true; again; again = errors.Is(err, errWider) {
			var nc net.Conn
			if nc, err = net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(server.port)); err != nil {
				t.Fatal(err)
			}
			_ = os.Remove(asked)
			var client *ssh.Client
			if client, err = d.handshake(context.Background(), target, newLink(nc), d.loadHostKeys(target)); err == nil {
				client.Close()
			}
			got = server.entered(t)
		}
		gotAsked, _ := os.ReadFile(asked)
		// A host that shows none of what is asked for here is not asked about any further.
		if got != want || !strings.HasPrefix(string(wantAsked), string(gotAsked)) || got && len(gotAsked) < len(wantAsked) {
			text += fmt.Sprintf("asked by ssh:\n%sby ours:\n%s", wantAsked, gotAsked)
			t.Fatalf("let pass: %t, and ssh: %t\nhost %s port %d alias %q\nknown hosts:\n%s\nours: %v\nssh:\n%s", got, want, host, port, alias, text, err, out)
		}
	})
}

// drawHostKeys draws what a server proves itself with.
func drawHostKeys(t *rapid.T, host string, patterns bool) []ssh.Signer {
	kind := rapid.SampledFrom([]string{"ed25519", "ed25519", "ecdsa", "rsa", "ed25519 and rsa", "certificate", "certificate", "certificate"}).Draw(t, "host keys")
	if kind == "ed25519 and rsa" {
		return []ssh.Signer{testKeys()["host ed25519"], testKeys()["host rsa"]}
	}
	if kind != "certificate" {
		return []ssh.Signer{testKeys()["host "+kind]}
	}
	principals := [][]string{{host}, {host}, {"other", host}, {"other"}, {strings.ToUpper(host)}}
	if patterns {
		principals = append(principals, nil, []string{"*"}, []string{"?" + host[1:]}, []string{"other*", host[:1] + "*"}, []string{"!" + host, "*"})
	}
	now := uint64(time.Now().Unix())
	times := rapid.SampledFrom([][2]uint64{{0, ssh.CertTimeInfinity}, {0, ssh.CertTimeInfinity}, {now - 100, now + 1000}, {0, now - 100}, {now + 1000, ssh.CertTimeInfinity}}).Draw(t, "validity")
	key := testKeys()["host "+rapid.SampledFrom([]string{"ed25519", "ecdsa", "rsa"}).Draw(t, "certified key")]
	cert := &ssh.Certificate{
		Key: key.PublicKey(), CertType: rapid.SampledFrom([]uint32{ssh.HostCert, ssh.HostCert, ssh.HostCert, ssh.UserCert}).Draw(t, "certificate type"),
		ValidPrincipals: rapid.SampledFrom(principals).Draw(t, "principals"), ValidAfter: times[0], ValidBefore: times[1],
	}
	if rapid.IntRange(0, 5).Draw(t, "critical option") == 0 {
		cert.CriticalOptions = map[string]string{"force-command": "true"}
	}
	authority := testKeys()[rapid.SampledFrom([]string{"host authority", "host authority", "host rsa", "host ecdsa"}).Draw(t, "authority")]
	if rapid.IntRange(0, 5).Draw(t, "signed with SHA-1") == 0 && authority.PublicKey().Type() == ssh.KeyAlgoRSA {
		sha1, err := ssh.NewSignerWithAlgorithms(authority.(ssh.AlgorithmSigner), []string{ssh.KeyAlgoRSA})
		if err != nil {
			t.Fatal(err)
		}
		authority = sha1
	}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return []ssh.Signer{signer, key}
}

// A verdictServer notices whether a client goes on to log in.
type verdictServer struct {
	listener net.Listener
	port     int
	conns    chan net.Conn
	verdicts chan bool
}

func startVerdictServer(t *rapid.T, keys []ssh.Signer) *verdictServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &verdictServer{listener: l, port: l.Addr().(*net.TCPAddr).Port, conns: make(chan net.Conn, 8), verdicts: make(chan bool, 8)}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			s.conns <- nc
			entered := false
			config := &ssh.ServerConfig{NoClientAuth: true, NoClientAuthCallback: func(ssh.ConnMetadata) (*ssh.Permissions, error) {
				entered = true
				return nil, errScanned
			}}
			for _, k := range keys {
				config.AddHostKey(k)
			}
			_, _, _, _ = ssh.NewServerConn(nc, config)
			s.verdicts <- entered
		}
	}()
	return s
}

// entered tells it once the client has gone. The proxy's processes would keep the connection open.
func (s *verdictServer) entered(t *rapid.T) bool {
	for {
		select {
		case nc := <-s.conns:
			nc.Close()
		case v := <-s.verdicts:
			return v
		case <-time.After(20 * time.Second):
			t.Fatal("nobody came")
		}
	}
}

func (s *verdictServer) close() { s.listener.Close() }
