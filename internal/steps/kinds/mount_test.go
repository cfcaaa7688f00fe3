package kinds

import (
	"math/rand/v2"
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
