package ssh

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever stands in known_hosts, a line that is whole keeps its meaning, and each other one is warned of or passed over.
func FuzzKnownHosts(f *testing.F) {
	key := authorized("host ed25519")
	for _, line := range []string{
		"web1 KEY", "[web1]:2222,10.0.0.* KEY # comment", "|1|AAAA|BBBB KEY", "@cert-authority *.example.test KEY", "@revoked * KEY", "web1 ssh-ed25519", "\xef\xbb\xbfweb1 KEY",
		"!web1,* KEY", "web1\tKEY", "web1 1024 65537 12345", "", "#", "web1 KEY\r",
	} {
		f.Add(strings.ReplaceAll(line, "KEY", key))
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "known_hosts")
		if err := os.WriteFile(file, []byte("trusted "+key+"\n"+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		known := readKnownHosts([]string{file})
		for _, name := range []string{"trusted", "[web1]:2222", "10.0.0.1"} {
			h := hostKeys{known: known, names: []string{name}, host: name}
			_ = h.algorithms(nil, false)
			err := h.check(t.Context(), testKeys()["host ed25519"].PublicKey())
			if err != nil && name == "trusted" && !strings.Contains(text, "@revoked") {
				t.Errorf("a line beside it cost a host its key: %v", err)
			}
		}
		for _, w := range known.passed {
			if strings.ContainsAny(w, "\x00\x1b\n") {
				t.Errorf("controls in a warning: %q", w)
			}
		}
	})
}
