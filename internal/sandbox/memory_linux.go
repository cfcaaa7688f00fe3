package sandbox

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// enoughMemory, in KiB, must be available before the sandbox writes to memory: its tmpfs may grow to half of the
// machine's, and a build of Python takes half a gigabyte.
const enoughMemory = 3 << 20

// memoryServes reports whether what the sandbox writes can be kept in memory.
func memoryServes(rootless bool) bool {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return false
	}
	available := 0
	for line := range strings.Lines(string(data)) {
		// MemAvailable counts the caches that the kernel can give up: proc_meminfo(5).
		if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &available); err == nil {
			break
		}
	}
	// An overlay without root marks its files with user.* attributes, which tmpfs has from Linux 6.6 on.
	return available >= enoughMemory && (!rootless || kernelAtLeast(6, 6))
}

func kernelAtLeast(major, minor int) bool {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return false
	}
	release, _, _ := bytes.Cut(name.Release[:], []byte{0})
	var haveMajor, haveMinor int
	if _, err := fmt.Sscanf(string(release), "%d.%d", &haveMajor, &haveMinor); err != nil {
		return false
	}
	return haveMajor > major || haveMajor == major && haveMinor >= minor
}
