package kinds

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// TestFstabReadsAlike has the host and the control machine read random files: a difference between them would leave a second
// plan that is not empty.
func TestFstabReadsAlike(t *testing.T) {
	t.Parallel()
	pieces := []string{"/home/m", "/home/m", "/home/m/", "/home/m/x", "demo", "demo", "tmpfs", "tmpfs", "size=1m", "defaults", "0", "0", "1", "#", "é", "\xe9", "\v", "\\040"}
	shells := availableShells(t, "")
	enter := privateSystem(t)
	if enter == nil {
		return
	}
	for seed := range 60 {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		var text strings.Builder
		for range 1 + random.IntN(5) {
			text.WriteString([]string{"", "", " ", "demo /home/m tmpfs "}[random.IntN(4)])
			for range random.IntN(8) {
				text.WriteString(pieces[random.IntN(len(pieces))])
				text.WriteString([]string{" ", "\t", "  ", ""}[min(random.IntN(12), 3)])
			}
			text.WriteString([]string{"\n", "\n", "\r\n", ""}[random.IntN(4)])
		}
		h := &host{shell: shells[seed%len(shells)], work: t.TempDir(), enter: enter, before: "F_INIT=sysv\n"}
		for _, args := range []string{"source = \"demo\"\ntype = \"tmpfs\"\noptions = [\"size=1m\"]", `state = "absent"`} {
			if err := os.WriteFile(h.work+"/f", []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			h.script(t, "cat "+h.work+"/f >/etc/fstab", nil)
			if got := h.settled(t, stepOf(t, "mount", fmt.Sprintf("path = \"/home/m\"\nlive = false\n%s\n", args))); got != "" {
				t.Errorf("seed %d, %v, %q, %s: %s", seed, h.shell, text.String(), args, got)
			}
		}
	}
}
