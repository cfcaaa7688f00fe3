package ssh

import (
	"context"
	"testing"

	"provision/internal/ssh/sshconfig"
)

// Two hosts that differ in how they are entered share neither a connection nor a verdict.
func TestWaysThatDifferAreTwo(t *testing.T) {
	base := Target{Name: "h", Address: "10.0.0.1", IdentityFiles: []string{"a b"}}
	person := base
	person.Passphrase = func(context.Context, string, int) (string, error) { return "", nil }
	if pathKey([]Target{base}) != pathKey([]Target{person}) {
		t.Error("a way is another one where a person can be asked")
	}
	seen := map[string]string{pathKey([]Target{base}): "nothing"}
	for name, change := range map[string]func(*Target){
		"PreferredAuthentications": func(t *Target) { t.PreferredAuthentications = "password" },
		"WithoutMethods":           func(t *Target) { t.WithoutMethods = []string{"publickey"} },
		"two identities":           func(t *Target) { t.IdentityFiles = []string{"a", "b"} },
		"no identities":            func(t *Target) { t.IdentityFiles = []string{} },
		"default identities":       func(t *Target) { t.IdentityFiles = nil },
		"AgentFirst":               func(t *Target) { t.AgentFirst = true },
		"AddressFamily":            func(t *Target) { t.AddressFamily = "inet6" },
		"ProxyCommand":             func(t *Target) { t.ProxyCommand = "nc" },
		"KnownHostsCommand":        func(t *Target) { t.KnownHostsCommand.Words = []string{"/bin/known"} },
		"its tokens": func(t *Target) {
			t.KnownHostsCommand = KnownHostsCommand{[]string{"/bin/known"}, sshconfig.Tokens{Name: "other"}}
		},
		"RevokedHostKeys": func(t *Target) { t.RevokedHostKeys = "/revoked" },
		"Legacy":          func(t *Target) { t.Legacy = true },
	} {
		other := base
		change(&other)
		key := pathKey([]Target{other})
		if same, ok := seen[key]; ok {
			t.Errorf("%s makes no other way than %s", name, same)
		}
		seen[key] = name
	}
}
