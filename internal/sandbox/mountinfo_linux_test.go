package sandbox

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMountTable(t *testing.T) {
	const table = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
23 22 0:21 / /proc rw - proc proc rw
30 22 8:2 / /srv/hidden rw - xfs /dev/sdb1 rw
31 22 8:3 / /srv rw,nosuid - xfs /dev/sdb2 rw
32 31 0:40 / /srv/My\040Files rw shared:3 master:4 - fuse.sshfs me@there:/ rw
33 22 8:4 / /opt ro - btrfs /dev/sdc ro
34 33 8:5 / /opt rw - btrfs /dev/sdd rw
35 22 8:5 / /media rw - iso9660 /dev/sr0 ro
`
	got, err := parseMountinfo(table)
	if err != nil {
		t.Fatal(err)
	}
	want := []mount{
		{"/", "ext4", false},
		{"/media", "iso9660", true},
		{"/opt", "btrfs", false},
		{"/proc", "proc", false},
		{"/srv", "xfs", false},
		{"/srv/My Files", "fuse.sshfs", false},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mount{})); diff != "" {
		t.Error(diff)
	}
	if _, err := parseMountinfo("one two three\n"); err == nil {
		t.Error("a line of unknown form was passed over: what is mounted there would be unknown")
	}
}

func TestTreatment(t *testing.T) {
	for m, want := range map[mount]treatment{
		{"/", "ext4", false}:                                       layered,
		{"/home", "btrfs", false}:                                  layered,
		{"/home", "nfs4", false}:                                   leftOut,
		{"/home/me/there", "fuse.sshfs", false}:                    leftOut,
		{"/snap/core/1", "squashfs", true}:                         readOnly,
		{"/run/user/1000", "tmpfs", false}:                         fresh,
		{"/runner", "tmpfs", false}:                                layered,
		{"/etc", "overlay", false}:                                 layered,
		{"/var/lib/docker/overlay2/0123/merged", "overlay", false}: leftOut,
		{"/var/lib/docker", "ext4", false}:                         layered,
	} {
		if got := treat(m); got != want {
			t.Errorf("%+v: %d, want %d", m, got, want)
		}
	}
}

func TestOverlayOptionsAreEscaped(t *testing.T) {
	if got, want := escapeOption(`/srv/a:b,c\d`), `/srv/a\:b\,c\\d`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
