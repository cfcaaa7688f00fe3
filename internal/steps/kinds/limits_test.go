package kinds

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// TestLimitsReadAlike has the host and the control machine read random files: a difference between them would leave a second
// plan that is not empty.
func TestLimitsReadAlike(t *testing.T) {
	t.Parallel()
	pieces := []string{
		"app", "app", "app", "App", "@app", "*", "soft", "hard", "-", "-", "SOFT", "nofile", "nofile", "NoFile", "nproc", "100", "100", "200", "-1", "infinity", "#", "\n", "\n", "\r\n", "\r", "\t", "é", "\xe9", "\v",
	}
	line := func(random *rand.Rand, text *strings.Builder) {
		for range 3 + random.IntN(3) {
			text.WriteString(pieces[random.IntN(len(pieces))])
			text.WriteString([]string{" ", "\t", "  ", ""}[min(random.IntN(12), 3)%4])
		}
	}
	place := func(file string) string {
		return "mkdir -p /etc/security/limits.d; rm -f /etc/security/limits.d/*; cat " + file + " >/etc/security/limits.d/99-provision.conf"
	}
	systemFileReadAlike(t, "", line, place, "limits", "domain = \"app\"\nitem = \"nofile\"\n",
		"type = \"soft\"\nvalue = \"100\"", "type = \"hard\"\nvalue = \"100\"", `value = "100"`, `state = "absent"`, "type = \"soft\"\nstate = \"absent\"", "type = \"hard\"\nstate = \"absent\"")
}

// systemFileReadAlike settles a kind on random texts of a file that place puts where the host reads it, in a private system: with each
// of some arguments. line draws a line without its end.
func systemFileReadAlike(t *testing.T, before string, line func(*rand.Rand, *strings.Builder), place func(file string) string, kind, args string, more ...string) {
	t.Helper()
	shells := availableShells(t, "")
	enter := privateSystem(t)
	if enter == nil {
		return
	}
	for seed := range 60 {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		var text strings.Builder
		for range 1 + random.IntN(5) {
			line(random, &text)
			text.WriteString([]string{"\n", "\n", "\r\n", ""}[random.IntN(4)])
		}
		h := &host{shell: shells[seed%len(shells)], work: t.TempDir(), enter: enter, before: before}
		for _, own := range more {
			if err := os.WriteFile(h.work+"/f", []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			h.script(t, place(h.work+"/f"), nil)
			if got := h.settled(t, stepOf(t, kind, args+own+"\n")); got != "" {
				t.Errorf("seed %d, %v, %q, %s: %s", seed, h.shell, text.String(), own, got)
			}
		}
	}
}
