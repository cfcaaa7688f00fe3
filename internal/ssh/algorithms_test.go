package ssh

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"
)

// algorithmKinds are the keywords whose lists are compared.
func algorithmKinds() []string {
	return []string{"kexalgorithms", "ciphers", "macs", "hostkeyalgorithms", "pubkeyacceptedalgorithms", "casignaturealgorithms"}
}

// algorithmLists reads lines of `ssh -G`.
func algorithmLists(text string) map[string][]string {
	lists := map[string][]string{}
	for line := range strings.Lines(text) {
		keyword, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if slices.Contains(algorithmKinds(), keyword) {
			lists[keyword] = strings.FieldsFunc(value, func(r rune) bool { return r == ',' })
		}
	}
	return lists
}

// ourAlgorithms is what is offered to a host that wants all of it, with an authority and a key of each type on record.
func ourAlgorithms(t *testing.T) map[string][]string {
	t.Helper()
	k := &knownHosts{}
	add := func(names string, key ssh.PublicKey) {
		k.add("known_hosts", names+" "+string(ssh.MarshalAuthorizedKey(key)))
	}
	add("@cert-authority h", testKeys()["host authority"].PublicKey())
	add("h", testKeys()["host rsa"].PublicKey())
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		add("h", must(ssh.NewPublicKey(private.Public())))
	}
	add("h", testKeys()["host ed25519"].PublicKey())
	keys := hostKeys{known: k, names: []string{"h"}, host: "h"}
	target := Target{}
	wide := width{more: true, strict: true, checked: true}
	var accepted []string
	for _, a := range allKeys() {
		if !strings.HasPrefix(a, "ssh-rsa") && !strings.HasPrefix(a, "ssh-dss") && !strings.HasSuffix(a, "@golang.org") {
			accepted = append(accepted, a)
		}
	}
	return map[string][]string{
		"kexalgorithms": target.keyExchanges(wide), "ciphers": target.ciphers(wide), "macs": target.macs(wide),
		"hostkeyalgorithms":        target.hostKeyAlgorithms(keys, true),
		"pubkeyacceptedalgorithms": accepted,
		"casignaturealgorithms":    authoritySignatures(),
	}
}

var quotedName = regexp.MustCompile("`([^`]+)`")

// documented reads the table of docs/ssh.md of what is not offered, by keyword, and the kinds that have another order.
func documented(t *testing.T) (left map[string][]string, order []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/ssh.md")
	if err != nil {
		t.Fatal(err)
	}
	left = map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		keyword := strings.ToLower(strings.TrimSpace(cells[1]))
		if keyword != "order" && !slices.Contains(algorithmKinds(), keyword) {
			continue
		}
		for _, m := range quotedName.FindAllStringSubmatch(cells[2], -1) {
			if keyword == "order" {
				order = append(order, strings.ToLower(m[1]))
			} else {
				left[keyword] = append(left[keyword], m[1])
			}
		}
	}
	return left, order
}

// What OpenSSH offers is offered here, or named in docs/ssh.md with the reason; nothing else is offered, and nothing is named that is.
func TestOfferBesideOpenSSH(t *testing.T) {
	theirs := map[string]map[string][]string{}
	for _, release := range []string{"9.2", "10.6"} {
		text, err := os.ReadFile(filepath.Join("testdata", "algorithms-"+release+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		theirs[release] = algorithmLists(string(text))
	}
	for _, binary := range opensshTools(t, "ssh") {
		out, err := exec.Command(binary, "-F", "none", "-G", "h").Output()
		if err != nil {
			t.Fatal(err)
		}
		theirs[binary] = algorithmLists(string(out))
	}
	ours := ourAlgorithms(t)
	left, order := documented(t)
	missing, reordered := map[string]map[string]bool{}, map[string]bool{}
	offered := map[string]bool{}
	for release, lists := range theirs {
		for _, kind := range algorithmKinds() {
			if len(lists[kind]) == 0 {
				t.Errorf("ssh %s says nothing of %s", release, kind)
			}
			have := ours[kind]
			if slices.Contains(have, ssh.KeyExchangeCurve25519) {
				have = append(slices.Clone(have), oldCurve25519) // the library's own addition
			}
			var common, theirCommon []string
			for _, a := range lists[kind] {
				offered[kind+" "+a] = true
				if slices.Contains(have, a) {
					theirCommon = append(theirCommon, a)
				} else {
					if missing[kind] == nil {
						missing[kind] = map[string]bool{}
					}
					missing[kind][a] = true
				}
			}
			for _, a := range have {
				if slices.Contains(lists[kind], a) && a != oldCurve25519 {
					common = append(common, a)
				}
			}
			theirCommon = slices.DeleteFunc(theirCommon, func(a string) bool { return a == oldCurve25519 })
			if kind != "pubkeyacceptedalgorithms" && kind != "casignaturealgorithms" && !slices.Equal(common, theirCommon) { // these are sets
				reordered[kind] = true
			}
		}
	}
	for _, kind := range algorithmKinds() {
		want := slices.Sorted(maps.Keys(missing[kind]))
		got := slices.Sorted(slices.Values(left[kind]))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: ssh offers and we do not (-), and what docs/ssh.md names (+):\n%s", kind, diff)
		}
		for _, a := range ours[kind] {
			if !offered[kind+" "+a] {
				t.Errorf("%s: %s is offered, and no ssh offers it", kind, a)
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(reordered)), slices.Sorted(slices.Values(order))); diff != "" {
		t.Errorf("the order differs (-), and what docs/ssh.md names (+):\n%s", diff)
	}
}

// kexInit is the packet in which a client or server lists its algorithms.
func kexInit(lists ...string) []byte {
	payload := append([]byte{20}, make([]byte, 16)...)
	for _, l := range lists {
		payload = append(binary.BigEndian.AppendUint32(payload, uint32(len(l))), l...)
	}
	payload = append(payload, make([]byte, 5)...)
	packet := binary.BigEndian.AppendUint32(nil, uint32(len(payload)+1))
	return append(append(packet, 0), payload...)
}

// What goes over the wire is what the lists say: the two are compared as a host sees them.
func TestOfferOnTheWire(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	seen := make(chan offer, 2)
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = nc.Write([]byte("SSH-2.0-test\r\n"))
			h := &head{}
			buffer := make([]byte, 4096)
			for {
				n, err := nc.Read(buffer)
				h.keep(buffer[:n])
				if o, ok := h.offer(); ok {
					seen <- o
					break
				}
				if err != nil {
					break
				}
			}
			nc.Close()
		}
	}()
	port := l.Addr().(*net.TCPAddr).Port
	target := Target{Address: "127.0.0.1", Port: port, User: "u", KnownHostsFiles: []string{}, AgentSocket: "none", ConnectTimeout: 20 * time.Second}
	target.KexAlgorithms, target.Ciphers = "+diffie-hellman-group14-sha1", "aes256-ctr,aes128-ctr"
	target.MACs, target.HostKeyAlgorithms = "^hmac-sha2-512", "ecdsa-*,-x"
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	dialer := &Dialer{}
	_, _ = dialer.Dial(ctx, target)
	got := <-seen
	if !slices.Contains(got.keyExchanges, "diffie-hellman-group14-sha1") || !slices.Contains(got.keyExchanges, "curve25519-sha256") {
		t.Errorf("key exchanges %q", got.keyExchanges)
	}
	if diff := cmp.Diff([]string{"aes256-ctr", "aes128-ctr"}, got.ciphers); diff != "" {
		t.Error(diff)
	}
	if len(got.macs) < 4 || got.macs[0] != "hmac-sha2-512" {
		t.Errorf("MACs %q", got.macs)
	}
	if diff := cmp.Diff(ecdsaHostKeys(), got.hostKeys); diff != "" {
		t.Error(diff)
	}
}

// A drawn setting comes to what `ssh -G` makes of it.
func TestAlgorithmSettingsAreThoseOfOpenSSH(t *testing.T) {
	for _, binary := range opensshTools(t, "ssh") {
		ask := func(options ...string) (map[string][]string, error) {
			out, err := exec.Command(binary, append(append([]string{"-F", "none"}, options...), "-G", "h")...).Output()
			return algorithmLists(string(out)), err
		}
		standard, err := ask()
		if err != nil {
			t.Fatal(err)
		}
		all := map[string][]string{}
		for kind, query := range map[string]string{"kexalgorithms": "kex", "ciphers": "cipher", "macs": "mac", "hostkeyalgorithms": "HostKeyAlgorithms"} {
			out, err := exec.Command(binary, "-Q", query).Output()
			if err != nil {
				t.Fatal(err)
			}
			all[kind] = strings.Fields(string(out))
		}
		rapid.Check(t, func(t *rapid.T) {
			kind := rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(t, "kind")
			prefix := rapid.SampledFrom([]string{"", "", "+", "-", "^"}).Draw(t, "prefix")
			name := rapid.SampledFrom(all[kind])
			if prefix == "-" || kind == "hostkeyalgorithms" {
				name = rapid.OneOf(name, rapid.SampledFrom([]string{"*", "ssh-*", "*sha1*", "*cbc", "rsa-sha2-???", "*@openssh.com", "nothing*", "aes???-*"}))
			}
			setting := prefix + strings.Join(rapid.SliceOfN(name, 1, 4).Draw(t, "names"), ",")
			want, err := ask("-o", kind+"="+setting)
			got := assemble(setting, standard[kind], all[kind])
			if err != nil {
				return // a pattern that nothing matches; which names there are differs between releases
			}
			if diff := cmp.Diff(want[kind], got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s %s: ssh (-), here (+)\n%s", kind, setting, diff)
			}
		})
	}
}

// A pattern lists what it matches in ssh's own order, which is not that of preference.
func TestPatternsOfAlgorithms(t *testing.T) {
	keys := hostKeys{known: &knownHosts{}, names: []string{"h"}, host: "h"}
	for setting, want := range map[string]string{
		"rsa-*,ssh-ed25519": "rsa-sha2-256,rsa-sha2-512,ssh-ed25519", "^rsa-sha2-*": "rsa-sha2-256,rsa-sha2-512,ssh-ed25519",
		"+ssh-rsa": "ssh-ed25519,rsa-sha2-512,rsa-sha2-256,ssh-rsa", "ssh-ed25519-cert*": "ssh-ed25519-cert-v01@openssh.com",
	} {
		if got := strings.Join(Target{HostKeyAlgorithms: setting}.hostKeyAlgorithms(keys, true), ","); got != want {
			t.Errorf("%s: %s", setting, got)
		}
	}
	// Behind those of a ^ what is on record does not count, as in ssh.
	keys.known = &knownHosts{}
	keys.known.add("known", "h "+authorized("host ecdsa")+"\n")
	for setting, want := range map[string]string{
		"^rsa-sha2-512": "rsa-sha2-512,ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-256", "": "ecdsa-sha2-nistp256,ssh-ed25519,rsa-sha2-512,rsa-sha2-256",
	} {
		if got := strings.Join(Target{HostKeyAlgorithms: setting}.hostKeyAlgorithms(keys, true), ","); got != want {
			t.Errorf("%q with ECDSA on record: %s", setting, got)
		}
	}
	key := testKeys()["host rsa"].PublicKey()
	certificate := &ssh.Certificate{Key: key, CertType: ssh.UserCert}
	for _, c := range []struct {
		setting string
		key     ssh.PublicKey
		want    string
	}{
		{"", key, "rsa-sha2-512,rsa-sha2-256"},
		{"rsa-*", key, "rsa-sha2-256,rsa-sha2-512"},
		{"+ssh-rsa", key, "rsa-sha2-512,rsa-sha2-256,ssh-rsa"},
		{"-rsa-sha2-512", key, "rsa-sha2-256"},
		{"rsa-sha2-512", certificate, ""},
		{"rsa-sha2-512-cert-v01@openssh.com", certificate, "rsa-sha2-512"},
		{"-*cert*", certificate, ""},
		{"ssh-ed25519", key, ""},
	} {
		if got := strings.Join(Target{PubkeyAcceptedAlgorithms: c.setting}.signatureAlgorithms(c.key), ","); got != c.want {
			t.Errorf("%s of %s: %s", c.setting, c.key.Type(), got)
		}
	}
	if got := strings.Join(Target{Legacy: true}.signatureAlgorithms(key), ","); got != "rsa-sha2-512,rsa-sha2-256,ssh-rsa" {
		t.Errorf("legacy: %s", got)
	}
}

// ChaCha20-Poly1305, which ssh_config may ask for, is given up where the host does not take part in strict key exchange.
func TestChaChaNeedsStrictKeyExchange(t *testing.T) {
	const chacha, ctr = ssh.CipherChaCha20Poly1305, ssh.CipherAES128CTR
	for _, c := range []struct {
		kex, theirs string
		ours        []string
		again       bool
	}{
		{"curve25519-sha256,kex-strict-s-v00@openssh.com", chacha, []string{chacha}, false},
		{"curve25519-sha256", chacha + "," + ctr, []string{chacha, ctr}, true},
		{"curve25519-sha256", chacha + "," + ctr, []string{ctr, chacha}, false},
		{"curve25519-sha256", chacha, []string{ctr}, false},
	} {
		l := &link{head: &head{}}
		l.head.keep([]byte("SSH-2.0-x\r\n"))
		l.head.keep(kexInit(c.kex, "ssh-ed25519", c.theirs, c.theirs, "hmac-sha2-256", "hmac-sha2-256"))
		d, target := &Dialer{}, Target{Address: "h", Port: 22, Ciphers: strings.Join(c.ours, ",")}
		err := d.withoutTerrapin(target, l, target.ciphers(width{}))
		if (err != nil) != c.again {
			t.Errorf("%+v: %v", c, err)
		}
		if c.again && slices.Contains(target.ciphers(d.width(target)), chacha) {
			t.Errorf("%+v: it is offered again", c)
		}
	}
}
