package kinds

import (
	"os"
	"strings"
	"testing"

	"provision/internal/steps"
)

// fakeSwap stands in for the kernel: /proc/swaps is a file, and swapon and swapoff change it. swapoff fails as long as there is a file
// "full".
const fakeSwap = `swapon() { printf '%s\tpartition\t1024\t0\t-2\n' "$1" >>/proc/swaps; }
swapoff() {
	[ ! -e /home/full ] || { echo 'swapoff failed: Cannot allocate memory' >&2; return 255; }
	sed "\|^$1	|d" /proc/swaps >/home/swaps.new && cat /home/swaps.new >/proc/swaps
}
`

func swapHost(t *testing.T) *host {
	t.Helper()
	if os.Getuid() != 0 {
		lack(t, "root, for a namespace of mounts")
		return nil
	}
	h := &host{shell: availableShells(t, "")[0], work: t.TempDir(), enter: privateSystem(t), before: fakeSwap + "F_INIT=sysv\nF_UID=0\n"}
	if h.enter == nil {
		return nil
	}
	setup := "set -e\nmkdir /home/w; mount --bind " + h.work + " /home/w\nprintf 'Filename\\tType\\n' >/home/swaps; mount --bind /home/swaps /proc/swaps\n: >/etc/fstab\n"
	if r := h.script(t, setup, nil); r.exit != 0 {
		t.Fatal(r.stderr)
	}
	return h
}

// A swap file that cannot be switched off stays as it is, and in use.
func TestSwapFileThatIsNeeded(t *testing.T) {
	t.Parallel()
	h := swapHost(t)
	if h == nil {
		return
	}
	if got := h.settled(t, stepOf(t, "swap", "path = \"/home/w/swap\"\nsize = \"1M\"\n")); got != "" {
		t.Fatal(got)
	}
	if r := h.script(t, ": >/home/full; cp /proc/swaps /home/before; cksum /home/w/swap >/home/sum", nil); r.exit != 0 {
		t.Fatal(r.stderr)
	}
	if got := h.settled(t, stepOf(t, "swap", "path = \"/home/w/swap\"\nsize = \"2M\"\n")); !strings.Contains(got, "stays as it was") {
		t.Errorf("it is made anew though it cannot be switched off: %q", got)
	}
	if r := h.script(t, "cmp /home/before /proc/swaps && [ \"$(cksum /home/w/swap)\" = \"$(cat /home/sum)\" ] && ls -A /home/w", nil); r.exit != 0 || r.stdout != "swap\n" {
		t.Errorf("it is not as it was: %d %s%s", r.exit, r.stdout, r.stderr)
	}
}

// A device is formatted only if nothing is on it. An image stands in for it.
func TestSwapDeviceIsNeverOverwritten(t *testing.T) {
	t.Parallel()
	h := swapHost(t)
	if h == nil {
		return
	}
	// The probe asks whether it is a block device; all else it does is the same for an image.
	image := func(text string) string { return strings.ReplaceAll(text, `[ -b "$2" ]`, `[ -f "$2" ]`) }
	look := func() steps.Observation {
		r := h.fragment(t, image(stepOf(t, "swap", "path = \"/dev/shm/swap.img\"\n").Probe()), nil, nil, true)
		return steps.Observation{Stdout: r.stdout, Stderr: r.stderr, Exit: r.exit}
	}
	if r := h.script(t, "mount -t tmpfs none /dev/shm", nil); r.exit != 0 {
		lack(t, "the right to mount a tmpfs")
		return
	}
	const empty = "dd if=/dev/zero of=/dev/shm/swap.img bs=1M count=8 2>/dev/null; "
	for _, c := range []struct{ setup, fails, what string }{
		{empty, "", "empty"},
		{empty + "mkswap /dev/shm/swap.img >/dev/null", "", "swap"},
		{empty + "mkfs.ext4 -q /dev/shm/swap.img", "holds ext4", ""},
		{empty + "printf x | dd of=/dev/shm/swap.img bs=1 seek=70000 conv=notrunc 2>/dev/null", "holds something in its first MiB", ""},
	} {
		if r := h.script(t, "PATH=$PATH:/usr/sbin:/sbin; rm -f /dev/shm/swap.img; "+c.setup, nil); r.exit != 0 {
			if strings.Contains(r.stderr, "not found") {
				lack(t, "a program: "+r.stderr)
				continue
			}
			t.Fatalf("%s: %s", c.setup, r.stderr)
		}
		obs := look()
		what, _ := obs.Get("what")
		if c.fails != "" && (obs.Exit == 0 || !strings.Contains(obs.Stderr, c.fails)) || c.fails == "" && (obs.Exit != 0 || what != c.what) {
			t.Errorf("%s: exit %d, %q, %s", c.setup, obs.Exit, what, obs.Stderr)
		}
	}
}
