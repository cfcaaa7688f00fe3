package kinds

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestSysctlReadsAlike has the host and the control machine read random files: a difference between them would leave a second
// plan that is not empty.
func TestSysctlReadsAlike(t *testing.T) {
	t.Parallel()
	pieces := []string{
		"provision.test.a", "provision/test/a", "provision.test/a", "/provision//test/a", "provision.test.ab", "provision..test.a", "=", "=", "=",
		"= 1", "=1", "1", "2", " ", "\t", "  ", "-", "#", ";", "\n", "\n", "\r\n", "\r", "é", "\xe9", "\v", "\x01", "\\", "'", "\"", "$x", "*",
	}
	shells := availableShells(t, "")
	for seed := range 60 {
		random := rand.New(rand.NewPCG(uint64(seed), 1))
		var text strings.Builder
		for range random.IntN(24) {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}
		h := &host{shell: shells[seed%len(shells)], work: t.TempDir()}
		path := h.work + "/f.conf"
		for _, args := range []string{"value = \"1\"\nignore = true", `state = "absent"`} {
			if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
				t.Fatal(err)
			}
			got := h.settled(t, stepOf(t, "sysctl", fmt.Sprintf("name = \"provision.test.a\"\npath = %q\n%s\n", path, args)))
			if got != "" {
				t.Errorf("seed %d, %v, %q, %s: %s", seed, h.shell, text.String(), args, got)
			}
		}
	}
}

// TestSysctlSetsTheKernel changes keys of a network namespace of its own.
func TestSysctlSetsTheKernel(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		lack(t, "root, for a network namespace")
		return
	}
	// The namespace lives as long as its process, which ends with its input.
	holder := exec.Command("unshare", "-n", "sh", "-c", "ip link set lo name d0.1; echo; read x")
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		lack(t, "unshare on this machine")
		return
	}
	t.Cleanup(func() { in.Close(); holder.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		lack(t, "a network namespace")
		return
	}
	for _, sh := range availableShells(t, "") {
		h := &host{shell: append([]string{"nsenter", "-t", strconv.Itoa(holder.Process.Pid), "-n", "--"}, sh...), work: t.TempDir()}
		kernel := func(key string) string {
			value, err := exec.Command("nsenter", "-t", strconv.Itoa(holder.Process.Pid), "-n", "cat", "/proc/sys/"+key).Output()
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSuffix(string(value), "\n")
		}
		for _, c := range []struct{ name, value, key, before, after, fails string }{
			{name: "net.ipv4.tcp_rmem", value: "4096 131072  6291456", key: "net/ipv4/tcp_rmem", before: "4096 4097 4098", after: "4096\t131072\t6291456"},
			{name: "net/ipv4/conf/d0.1/forwarding", value: "1", key: "net/ipv4/conf/d0.1/forwarding", before: "0", after: "1"},
			{name: "net.ipv4.conf.d0/1.forwarding", value: "0", key: "net/ipv4/conf/d0.1/forwarding", before: "1", after: "0"},
			{name: "net.ipv4.ip_forward", value: "yes", key: "net/ipv4/ip_forward", before: "1", after: "1", fails: "the kernel refuses net.ipv4.ip_forward = yes and keeps 1"},
			{name: "net.ipv4.ip_forward", value: "0x0", key: "net/ipv4/ip_forward", before: "1", after: "1", fails: "the kernel makes 0 of net.ipv4.ip_forward = 0x0"},
		} {
			if err := exec.Command("nsenter", "-t", strconv.Itoa(holder.Process.Pid), "-n", "sh", "-c", `printf '%s\n' "$1" >"/proc/sys/$2"`, "sh", c.before, c.key).Run(); err != nil {
				t.Fatal(err)
			}
			path := h.work + "/f.conf"
			os.Remove(path)
			got := h.settled(t, stepOf(t, "sysctl", fmt.Sprintf("name = %q\nvalue = %q\npath = %q\n", c.name, c.value, path)))
			if c.fails == "" && got != "" || !strings.Contains(got, c.fails) || kernel(c.key) != c.after {
				t.Errorf("%v: %s = %s: %s; the kernel has %q, want %q", sh, c.name, c.value, got, kernel(c.key), c.after)
			}
			text, _ := os.ReadFile(path)
			if want := c.name + " = " + strings.Join(strings.Fields(c.value), " ") + "\n"; c.fails == "" && string(text) != want || c.fails != "" && text != nil {
				t.Errorf("%v: %s = %s: the file holds %q", sh, c.name, c.value, text)
			}
		}
	}
}
