package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"

	"provision/internal/seccomp"
)

// idMaps are the user and group ids that a sandbox without root has: the caller becomes its root, and the subordinate
// ids become 1 and up.
type idMaps struct {
	newuidmap, newgidmap string // paths of the set-user-ID programs
	uid, gid             int
	subUID, subGID       idRange
	missing              string // what it takes to have more than a single id
}

// single reports whether the caller's own id is all there is.
func (m *idMaps) single() bool { return m.newuidmap == "" }

// An idRange is a line of /etc/subuid or /etc/subgid: subuid(5).
type idRange struct{ start, count int }

// enoughIDs reaches up to nobody, 65534.
const enoughIDs = 65535

// findIDMaps finds out whether this user can have a user namespace, and otherwise says what is missing. Without subordinate ids
// it has a single one.
func findIDMaps() (*idMaps, error) {
	if os.Geteuid() == 0 {
		return nil, fmt.Errorf("sandbox: root lacks CAP_SYS_ADMIN, which mounting needs: %s", permissionHint())
	}
	if _, err := os.Stat("/proc/self/ns/user"); err != nil || sysctl("user/max_user_namespaces") == "0" || sysctl("kernel/unprivileged_userns_clone") == "0" {
		return nil, fmt.Errorf("sandbox: without root it needs a user namespace: %s", permissionHint())
	}
	m := &idMaps{uid: os.Getuid(), gid: os.Getgid()}
	name := strconv.Itoa(m.uid)
	// The system's own answer where there is one; ids without an account are allowed in the files too.
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	var missing []string
	var errUID, errGID error
	if m.newuidmap, errUID = exec.LookPath("newuidmap"); errUID == nil {
		m.newgidmap, errGID = exec.LookPath("newgidmap")
	}
	if errUID != nil || errGID != nil {
		missing = append(missing, "install newuidmap and newgidmap (Debian and Ubuntu: apt install uidmap; Fedora and the like: shadow-utils)")
	}
	var err error
	if m.subUID, err = readSubIDs("/etc/subuid", name, m.uid); err != nil {
		missing = append(missing, err.Error())
	}
	if m.subGID, err = readSubIDs("/etc/subgid", name, m.uid); err != nil {
		missing = append(missing, err.Error())
	}
	if len(missing) > 0 && seccomp.Arch != 0 {
		m.newuidmap, m.newgidmap, m.missing = "", "", strings.Join(missing, "; ")
		m.subUID, m.subGID = idRange{count: enoughIDs}, idRange{count: enoughIDs}
		return m, nil
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("sandbox: without root it needs subordinate ids, so that useradd and chown work in it: %s; or use sudo",
			strings.Join(missing, "; "))
	}
	return m, nil
}

// readSubIDs finds a range that is long enough for the user, by name or number.
func readSubIDs(file, name string, uid int) (idRange, error) {
	absent := fmt.Errorf("add the line \"%s:100000:65536\" to %s (a range that nobody else has)", name, file)
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return idRange{}, absent
	}
	if err != nil {
		return idRange{}, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(strings.TrimSpace(lines.Text()), ":")
		if len(fields) != 3 || fields[0] != name && fields[0] != strconv.Itoa(uid) {
			continue
		}
		start, errStart := strconv.Atoi(fields[1])
		count, errCount := strconv.Atoi(fields[2])
		if errStart == nil && errCount == nil && count >= enoughIDs {
			return idRange{start: start, count: count}, nil
		}
	}
	return idRange{}, absent
}

// apply gives the user namespace of process pid its ids: newuidmap(1).
func (m *idMaps) apply(ctx context.Context, pid int) error {
	if m.single() {
		return m.applySingle(pid)
	}
	for _, call := range []struct {
		program, file string
		own           int
		sub           idRange
	}{
		{m.newuidmap, "/etc/subuid", m.uid, m.subUID},
		{m.newgidmap, "/etc/subgid", m.gid, m.subGID},
	} {
		out, err := exec.CommandContext(ctx, call.program, strconv.Itoa(pid),
			"0", strconv.Itoa(call.own), "1", "1", strconv.Itoa(call.sub.start), strconv.Itoa(call.sub.count)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("sandbox: %s, to give it the ids of %s: %w: %s; "+
				"the program must be set-user-ID root, and a container needs --cap-add SYS_ADMIN",
				call.program, call.file, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// applySingle makes the caller the namespace's root. The kernel asks that setgroups(2) be given up for it: user_namespaces(7).
func (m *idMaps) applySingle(pid int) error {
	for _, f := range []struct{ name, text string }{
		{"setgroups", "deny"},
		{"uid_map", fmt.Sprintf("0 %d 1", m.uid)},
		{"gid_map", fmt.Sprintf("0 %d 1", m.gid)},
	} {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, f.name), []byte(f.text), 0); err != nil {
			return fmt.Errorf("sandbox: make this user its root: %w", err)
		}
	}
	return nil
}
