package truth

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"golang.org/x/sys/unix"

	"provision/internal/event"
)

// A Scene is a host, a playbook for it, and what ought to come of it.
type Scene struct {
	Shell string // what /bin/sh is

	Users  []string // lines of passwd(5), with the second field of shadow(5) in place of the x
	Groups []string // lines of group(5)
	Files  []Placed

	Local  []Placed // beside the playbook
	Blocks []string // of the playbook, as text
	Steps  []*Step

	Saved bool // applied from a saved plan
	JSON  bool // applied with --json
}

// A Placed is something that lies somewhere before anything is done.
type Placed struct {
	Path      string
	Type      string // as of an Entry; "mount" is a file that is a mount point, "kernel" one below /proc/sys
	Mode      uint32
	UID, GID  int
	Content   string
	Target    string
	Immutable bool
	Attr      string // the value of an extended attribute user.note; "" for none
}

// An Outlook is what may come of a step.
type Outlook int

// The outlooks.
const (
	Fine       Outlook = iota // planned and applied
	PlanError                 // the plan must refuse it
	ApplyError                // the plan knows no reason, and the apply fails if it has something to do
	Lacking                   // it needs what is not there and does not come: an error of the plan, or of the apply where the plan cannot know
	Unsure                    // it depends on what no model knows
)

// A Step is one step of a playbook, and what it means.
type Step struct {
	Addr    string
	Kind    string
	Outlook Outlook
	Why     string // of another outlook than Fine

	Always  bool                       // it has something to do in every run
	Proceed bool                       // continue_on_error
	Skip    bool                       // its when is false
	FailsIf func(*event.PlanStep) bool // of ApplyError: whether what is planned fails; nil: all of it
	Silent  bool                       // changed_if says that nothing changed
	Sources []*Step                    // of on_change

	// Explain marks the differences that a planned change accounts for, and reports what it says that did not happen.
	Explain func(*Judge, *event.PlanStep)
	// Wish looks whether the host is what the step wants, once it has run.
	Wish func(*Judge)
}

// quote writes a string as HCL.
func quote(s string) string { return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes()) }

// Playbook is the text of the playbook.
func (s *Scene) Playbook() string {
	steps, secret := strings.Join(s.Blocks, "\n"), ""
	if strings.Contains(steps, "var.secret") { // a saved plan takes its time over a secret
		secret = "variable \"secret\" {\n  sensitive = true\n  default   = \"hush-7391\"\n}\n\n"
	}
	return "ssh {\n  user = \"root\"\n}\n\nhost \"h1\" {\n  address = \"127.0.0.1\"\n}\n\n" + secret + steps
}

// Long ago, so that what is written now shows.
var before = time.Unix(1_500_000_000, 123456789)

// Build puts everything in its place, on the host and beside the playbook.
func (s *Scene) Build(r *Root, work string) error {
	for _, p := range s.Files {
		if err := p.place(r.Path(p.Path), work); err != nil {
			return err
		}
	}
	if err := s.accounts(r); err != nil {
		return err
	}
	for _, p := range s.Local {
		if err := p.place(filepath.Join(work, p.Path), work); err != nil {
			return err
		}
	}
	if err := age(r.dir); err != nil {
		return err
	}
	for _, p := range s.Files { // the last word: nothing can be done to them any more
		if p.Immutable {
			if err := immutable(r.Path(p.Path)); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(work, "playbook.hcl"), []byte(s.Playbook()), 0o644)
}

func (p *Placed) place(file, aside string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	var err error
	switch p.Type {
	case "kernel":
		return os.WriteFile(file, []byte(p.Content), 0o644)
	case "file":
		err = os.WriteFile(file, []byte(p.Content), 0o644)
	case "mount":
		if err = os.WriteFile(file, nil, 0o644); err != nil {
			return err
		}
		source, serr := os.CreateTemp(aside, ".mounted-")
		if serr != nil {
			return serr
		}
		if _, err = source.WriteString(p.Content); err == nil {
			err = unix.Mount(source.Name(), file, "", unix.MS_BIND, "")
		}
		source.Close()
	case "directory":
		err = os.MkdirAll(file, 0o755)
	case "symlink":
		return os.Symlink(p.Target, file)
	case "fifo":
		err = unix.Mkfifo(file, 0o644)
	case "socket":
		err = unix.Mknod(file, unix.S_IFSOCK|0o644, 0)
	case "char":
		err = unix.Mknod(file, unix.S_IFCHR|0o644, int(unix.Mkdev(1, 3)))
	case "block":
		err = unix.Mknod(file, unix.S_IFBLK|0o644, int(unix.Mkdev(7, 200)))
	default:
		return fmt.Errorf("%s: no type %q", p.Path, p.Type)
	}
	if err != nil {
		return err
	}
	if err := os.Lchown(file, p.UID, p.GID); err != nil {
		return err
	}
	if p.Attr != "" {
		if err := unix.Lsetxattr(file, "user.note", []byte(p.Attr), 0); err != nil {
			return fmt.Errorf("%s: extended attribute: %w", p.Path, err)
		}
	}
	return unix.Chmod(file, p.Mode)
}

func immutable(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|immutableFlag)
}

func (s *Scene) accounts(r *Root) error {
	var passwd, shadow, group, gshadow strings.Builder
	for _, line := range s.Users {
		f := strings.SplitN(line, ":", 3)
		fmt.Fprintf(&passwd, "%s:x:%s\n", f[0], f[2])
		fmt.Fprintf(&shadow, "%s:%s:19000:0:99999:7:::\n", f[0], f[1])
	}
	for _, line := range s.Groups {
		f := strings.Split(line, ":")
		fmt.Fprintf(&group, "%s\n", line)
		fmt.Fprintf(&gshadow, "%s:!::%s\n", f[0], f[3])
	}
	for name, content := range map[string]string{"passwd": passwd.String(), "group": group.String()} {
		if err := os.WriteFile(r.Path("etc/"+name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	for name, content := range map[string]string{"shadow": shadow.String(), "gshadow": gshadow.String()} {
		if err := os.WriteFile(r.Path("etc/"+name), []byte(content), 0o640); err != nil {
			return err
		}
	}
	return nil
}

// age gives everything a time of change that nothing new has.
func age(dir string) error {
	return filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if rel, _ := filepath.Rel(dir, name); rel == "usr" || rel == "proc" {
			return filepath.SkipDir
		}
		ts := unix.NsecToTimespec(before.UnixNano())
		return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	})
}
