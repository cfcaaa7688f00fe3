//go:build acceptance

package acceptance

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"provision/internal/testhost"
)

// A snapshot is what a plan must not touch.
type snapshot struct {
	files     []string // one line each: path, type, mode, owner, size, change time, target
	processes []string // pid and arguments
}

// A file's ctime moves whenever anything about it changes, and cannot be set back: better than sums, and quick. What logging in
// and sudo themselves write is left out: logs, the directories of sessions, mount points, the history of fish.
const filesScript = `find / /tmp /dev/shm /run/provision -xdev \
	\( -path /var/log -o -path /var/lib/systemd -o -path /tmp/systemd-private-\* -o -path /var/tmp/systemd-private-\* -o -path /home/admin/.local \) -prune -o \
	! -path / ! -path /tmp ! -path /var/tmp ! -path /run ! -path /dev ! -path /dev/shm ! -path /home/admin ! -name .sudo_as_admin_successful -printf '%p %y %m %U:%G %s %C@ %l\n' 2>/dev/null; true`

// ofSessions are the processes that every login brings, and that outlive it for some seconds.
var ofSessions = regexp.MustCompile(`sshd: |systemd --user|\(sd-pam\)|systemd-(logind|hostnamed|userwork|timedated)|dbus-daemon|ps -eo|/bin/sh -c /usr/bin/ps `)

func takeSnapshot(t *testing.T, h *testhost.Host) snapshot {
	t.Helper()
	var s snapshot
	for line := range strings.Lines(h.Run(t, filesScript)) {
		s.files = append(s.files, strings.TrimSpace(line))
	}
	for line := range strings.Lines(h.Run(t, "/usr/bin/ps -eo pid,args --no-headers")) {
		if !ofSessions.MatchString(line) {
			s.processes = append(s.processes, strings.TrimSpace(line))
		}
	}
	slices.Sort(s.files)
	slices.Sort(s.processes)
	return s
}

// untouched fails the test if the host is not as it was.
func untouched(t *testing.T, h *testhost.Host, before snapshot) {
	t.Helper()
	var left []string
	// The shell of a session that was just closed may need a moment to end.
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		after := takeSnapshot(t, h)
		if diff := cmp.Diff(before.files, after.files); diff != "" {
			t.Errorf("a plan changed files (-before +after):\n%s", diff)
			return
		}
		left = slices.DeleteFunc(after.processes, func(p string) bool { return slices.Contains(before.processes, p) })
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("a plan left processes behind: %q", left)
			return
		}
	}
}
