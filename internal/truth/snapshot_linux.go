package truth

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Snapshot is what lies on a host, by absolute path. What belongs to the machine (/usr, /proc) is left out.
type Snapshot struct {
	Files    map[string]*Entry
	Accounts Accounts
}

// An Entry is one name in a file system.
type Entry struct {
	Type    string // file, directory, symlink, fifo, socket, char or block
	Mode    uint32 // the permission bits with setuid, setgid and sticky
	UID     uint32
	GID     uint32
	Size    int64
	Sum     string // of a file: SHA-256 of the content, in hexadecimal
	Content string // of a file up to contentLimit
	Target  string // of a link
	Device  uint64 // of a device: its number
	Attrs   string // extended attributes, sorted
	Inode   uint64
	Mtime   time.Time
	Mount   uint64 // the device that the entry lies on: another one than that of its directory is a mount point
}

const contentLimit = 64 << 10

// kinds of files that are looked at, by the bits of their mode.
var fileTypes = map[uint32]string{
	unix.S_IFREG: "file", unix.S_IFDIR: "directory", unix.S_IFLNK: "symlink", unix.S_IFIFO: "fifo",
	unix.S_IFSOCK: "socket", unix.S_IFCHR: "char", unix.S_IFBLK: "block",
}

// Take takes a snapshot of a host.
func (r *Root) Take() (*Snapshot, error) {
	s := &Snapshot{Files: map[string]*Entry{}}
	if err := s.walk(r, "/"); err != nil {
		return nil, err
	}
	for key := range kernelKeys {
		value, err := os.ReadFile(r.Path(kernelFile(key)))
		if err != nil {
			return nil, err
		}
		s.Files[kernelFile(key)] = &Entry{Type: "kernel", Content: string(value), Sum: sumOf(string(value))}
	}
	s.Accounts = readAccounts(s)
	return s, nil
}

func (s *Snapshot) walk(r *Root, name string) error {
	e, err := look(r.Path(name))
	if err != nil {
		return err
	}
	s.Files[name] = e
	if e.Type != "directory" || name == "/usr" || name == "/proc" {
		return nil
	}
	entries, err := os.ReadDir(r.Path(name))
	if err != nil {
		return err
	}
	for _, child := range entries {
		if err := s.walk(r, path.Join(name, child.Name())); err != nil {
			return err
		}
	}
	return nil
}

func look(file string) (*Entry, error) {
	var st unix.Stat_t
	if err := unix.Lstat(file, &st); err != nil {
		return nil, fmt.Errorf("lstat %s: %w", file, err)
	}
	e := &Entry{
		Type: fileTypes[st.Mode&unix.S_IFMT], Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, Inode: st.Ino,
		Mtime: time.Unix(st.Mtim.Unix()), Mount: st.Dev, //nolint:unconvert
	}
	switch e.Type {
	case "file":
		e.Size = st.Size
		if err := e.read(file); err != nil {
			return nil, err
		}
	case "symlink":
		target, err := os.Readlink(file)
		if err != nil {
			return nil, err
		}
		e.Target = target
	case "char", "block":
		e.Device = st.Rdev
	}
	e.Attrs = extended(file)
	return e, nil
}

func (e *Entry) read(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	var start strings.Builder
	if _, err := io.Copy(h, io.TeeReader(f, &limited{&start, contentLimit})); err != nil {
		return err
	}
	e.Sum = hex.EncodeToString(h.Sum(nil))
	if e.Size <= contentLimit {
		e.Content = start.String()
	}
	return nil
}

// limited passes on the first bytes and forgets the rest.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

func extended(file string) string {
	buf := make([]byte, 4096)
	n, err := unix.Llistxattr(file, buf)
	if err != nil || n == 0 {
		return ""
	}
	var list []string
	for _, name := range strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		value := make([]byte, 4096)
		m, err := unix.Lgetxattr(file, name, value)
		if err == nil {
			list = append(list, fmt.Sprintf("%s=%q", name, value[:m]))
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// A Difference is one attribute of one path that two snapshots do not agree on.
type Difference struct {
	Path, Attr    string
	Before, After string
}

func (d Difference) String() string {
	return fmt.Sprintf("%s: %s %.200q → %.200q", d.Path, d.Attr, d.Before, d.After)
}

// The attributes of a path that may differ.
const (
	attrExists  = "exists"
	attrType    = "type"
	attrMode    = "mode"
	attrUID     = "uid"
	attrGID     = "gid"
	attrContent = "content"
	attrTarget  = "target"
	attrDevice  = "device"
	attrXattr   = "extended attributes"
	attrMtime   = "mtime"
	attrInode   = "inode"
)

// Diff lists how the second snapshot differs from the first, in the order of the paths. A path that is new or gone differs in that alone.
func Diff(before, after *Snapshot) []Difference {
	names := map[string]bool{}
	for name := range before.Files {
		names[name] = true
	}
	for name := range after.Files {
		names[name] = true
	}
	var list []Difference
	for _, name := range sorted(names) {
		a, b := before.Files[name], after.Files[name]
		switch {
		case a == nil:
			list = append(list, Difference{name, attrExists, "", b.Type})
			continue
		case b == nil:
			list = append(list, Difference{name, attrExists, a.Type, ""})
			continue
		}
		add := func(attr, before, after string) {
			if before != after {
				list = append(list, Difference{name, attr, before, after})
			}
		}
		add(attrType, a.Type, b.Type)
		add(attrMode, fmt.Sprintf("%04o", a.Mode), fmt.Sprintf("%04o", b.Mode))
		add(attrUID, fmt.Sprint(a.UID), fmt.Sprint(b.UID))
		add(attrGID, fmt.Sprint(a.GID), fmt.Sprint(b.GID))
		if a.Sum != b.Sum {
			list = append(list, Difference{name, attrContent, a.shown(), b.shown()})
		}
		add(attrTarget, a.Target, b.Target)
		add(attrDevice, fmt.Sprint(a.Device), fmt.Sprint(b.Device))
		add(attrXattr, a.Attrs, b.Attrs)
		add(attrInode, fmt.Sprint(a.Inode), fmt.Sprint(b.Inode))
		add(attrMtime, a.Mtime.String(), b.Mtime.String())
	}
	return list
}

func (e *Entry) shown() string {
	if e.Size > contentLimit {
		return "sha256 " + e.Sum
	}
	return e.Content
}

func sorted[V any](m map[string]V) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
