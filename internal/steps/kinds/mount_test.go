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
	line := func(random *rand.Rand, text *strings.Builder) {
		text.WriteString([]string{"", "", " ", "demo /home/m tmpfs "}[random.IntN(4)])
		for range random.IntN(8) {
			text.WriteString(pieces[random.IntN(len(pieces))])
			text.WriteString([]string{" ", "\t", "  ", ""}[min(random.IntN(12), 3)])
		}
	}
	place := func(file string) string { return "cat " + file + " >/etc/fstab" }
	systemFileReadAlike(t, "F_INIT=sysv\n", line, place, "mount", "path = \"/home/m\"\nlive = false\n",
		"source = \"demo\"\ntype = \"tmpfs\"\noptions = [\"size=1m\"]", `state = "absent"`)
}

// What is mounted may have any name that a file may have.
func TestMountSourceWithOddNames(t *testing.T) {
	h := &host{shell: availableShells(t, "")[0], work: t.TempDir()}
	for _, name := range []string{"plain", "a=b", "UUID=1", "a b", "a#b", `a\\b`} {
		dir := h.work + "/" + name
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		args := fmt.Sprintf("path = %q\nsource = %q\ntype = \"none\"\noptions = [\"bind\"]\n", h.work+"/plain", dir)
		if obs := h.probe(t, stepOf(t, "mount", args), true); obs.Exit != 0 || len(obs.Needs()) > 0 {
			t.Errorf("%s: exit %d, needs %v: %s", name, obs.Exit, obs.Needs(), obs.Stderr)
		}
	}
}
