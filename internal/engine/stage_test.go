package engine

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"provision/internal/steps"
)

// TestStagePlaces pins where content waits on hosts of which something is missing: secrets stay off the disks where they can.
func TestStagePlaces(t *testing.T) {
	if os.Getuid() != 0 {
		lack(t, "only root can take /dev/shm away")
	}
	const tmpfs = 0x01021994 // statfs(2)
	const (
		noShm   = "mount -t tmpfs -o ro tmpfs /dev/shm\n"
		fullShm = "mount -t tmpfs -o size=64k,mode=1777 tmpfs /dev/shm && head -c 65536 /dev/zero >/dev/shm/ballast\n"
		disks   = "mount -t tmpfs -o mode=1777 tmpfs /tmp; mount -t tmpfs -o mode=1777 tmpfs /var/tmp; mount -t tmpfs -o mode=755 tmpfs /home; mkdir /home/ann && chown 65533 /home/ann\n"
		noDisks = "mount -t tmpfs -o ro tmpfs /tmp; mount -t tmpfs -o ro tmpfs /var/tmp; mount -t tmpfs -o ro tmpfs /home\n"
	)
	secret := staged{name: "1.put", content: steps.Content{Text: steps.Secret("hunter2")}}
	plain := staged{name: "0.put", content: steps.Content{Text: steps.Plain("hello")}}
	small := staged{name: "2.put", content: steps.Content{Local: &steps.Local{Path: "/x", Size: 2}}}
	huge := staged{name: "3.put", content: steps.Content{Local: &steps.Local{Path: "/y", Size: 40 << 20}}}
	dir := fmt.Sprintf(".provision-stage.1.2.b.%d", os.Getpid()) // nobody else's
	for name, test := range map[string]struct {
		setup, home string
		files       []staged
		main, disk  string // where the directory is, and what is uploaded
		said        string
	}{
		"as always":                {disks, "/home/ann", []staged{secret, small}, "/dev/shm", "/dev/shm", ""},
		"large":                    {disks, "/home/ann", []staged{secret, huge}, "/dev/shm", "/var/tmp", ""},
		"no home":                  {disks, "/nonexistent", []staged{small}, "/dev/shm", "/dev/shm", ""},
		"the root as home":         {disks, "/", []staged{small, huge}, "/dev/shm", "/var/tmp", ""},
		"no shm":                   {disks + noShm, "/nonexistent", []staged{secret}, "/tmp", "none", ""},
		"no shm, a file":           {disks + noShm, "/nonexistent", []staged{secret, small}, "/tmp", "/var/tmp", ""},
		"no shm, large":            {disks + noShm, "/home/ann", []staged{secret, huge}, "/tmp", "/var/tmp", ""},
		"full shm":                 {disks + fullShm, "", []staged{secret, small}, "/tmp", "/var/tmp", ""},
		"no secret on a disk":      {noShm, "/nonexistent", []staged{secret, small}, "", "", "in memory takes the secrets that have to be sent; /dev/shm cannot be written; /run/user/65533 is not there; /tmp is not in memory; /var/tmp is not in memory; /nonexistent is not there; mount a tmpfs at /dev/shm"},
		"no secret, on a disk":     {noShm, "/nonexistent", []staged{plain, small}, "/var/tmp", "/var/tmp", ""},
		"only shm, large":          {noDisks, "/home/ann", []staged{huge}, "/dev/shm", "/dev/shm", ""},
		"only a home":              {noDisks + noShm + "mount -t tmpfs -o uid=65533 tmpfs /home\n", "/home", []staged{secret, huge}, "/home", "/home", ""},
		"nothing can be written":   {noDisks + noShm, "/nonexistent", []staged{secret}, "", "", "/dev/shm cannot be written; /run/user/65533 is not there; /tmp cannot be written; /var/tmp cannot be written; /nonexistent is not there"},
		"no room for what is sent": {noDisks + fullShm, "/nonexistent", []staged{huge}, "", "", "/dev/shm has only 0 KiB free"},
	} {
		for kind, sh := range shells(t) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				var tmp, varTmp syscall.Statfs_t
				if test.setup == noShm && (syscall.Statfs("/tmp", &tmp) != nil || syscall.Statfs("/var/tmp", &varTmp) != nil || tmp.Type == tmpfs || varTmp.Type == tmpfs) {
					lack(t, "/tmp or /var/tmp of this machine is in memory")
				}
				var need room
				for _, f := range test.files {
					if size, _ := f.size(); f.large() {
						need.large += size
					} else {
						need.texts += size
						need.secret = need.secret || f.content.Text.Sensitive()
					}
				}
				// The second half looks at what was made, from inside, and removes it as a program does.
				look := sweepText() + `IFS=' ' read -r mark main || exit 0
main=${main% stream}
disk=none
[ ! -d "$main/disk" ] || disk=$(readlink -f "$main/disk")
printf '%s %s\n' "${main%/.prov*}" "${disk%%/.prov*}"
[ ! -e "$main/1.put" ] || printf '%s %s\n' "$(cat "$main/1.put")" "$(stat -c %a "$main/1.put")"
for f in 2.put 3.put; do [ ! -h "$main/$f" ] || : >"$main/$f" || echo "no $f"; done
unstage "$main"
find /dev/shm /tmp /var/tmp /home /run/user -name '` + dir + `*' 2>/dev/null || :`
				// The machine's own /dev/shm has what other programs stage there.
				outer := "mount -t tmpfs -o mode=1777 tmpfs /dev/shm\n" + test.setup + `switch="setpriv --reuid=65533 --regid=65533 --clear-groups"
HOME=$1 $switch "$2" $3 | $switch sh -c "$4"`
				shell := append(sh, "")
				cmd := exec.Command("unshare", "-m", "sh", "-c", outer, "sh", test.home, shell[0], shell[1], look)
				cmd.Stdin = strings.NewReader(stageScript("n", dir, nil, test.files, need))
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				want := ""
				if test.main != "" {
					want = fmt.Sprintf("%s %s\n", test.main, test.disk)
					if test.files[0].name == "1.put" {
						want += "hunter2 600\n"
					}
				}
				if got := string(out); err != nil || got != want || !strings.Contains(stderr.String(), test.said) {
					t.Errorf("%v: %q, want %q\nstderr %q, want %q", err, got, want, stderr.String(), test.said)
				}
			})
		}
	}
}
