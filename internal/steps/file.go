package steps

import (
	"fmt"

	"provision/internal/shell"
)

var fileKind = &Kind{
	Name: "file",
	Doc: `A regular file with its content, owner, group and mode, or its absence.

The content is given as text (content), as a local file (source) or as a local template
(template). Without any of them an existing file keeps its content and a new one is empty.

The file is replaced as a whole and at once: a reader never sees half of it. Its access list,
extended attributes, capabilities and SELinux label stay; its owner and mode stay, too, unless they
are given. A file that is a mount point, such as /etc/hosts in a container, cannot be replaced: it is
written in place, and the plan says so.
A new file gets the mode 0644, or 0600 if its content is sensitive. Where only the owner or the
mode differs, the content is not written. The directory must exist.

A sensitive content is never shown, and neither is that of a file that only its owner may read
(such as mode 0600), nor a binary one, nor more than 256 KiB.

A symbolic link is neither followed nor replaced: that is an error, since the file that it leads
to may not be the one that was meant. state = "absent" removes a file or a symbolic link.`,
	Example: `step "file" "motd" {
  path    = "/etc/motd"
  content = "Welcome.\n"
  owner   = "root"
  group   = "root"
  mode    = "0644"
}

step "file" "sudoers" {
  path     = "/etc/demo-sudoers"
  content  = "%adm ALL=(ALL) ALL\n"
  mode     = "0440"
  validate = "grep -q ALL %s"
}

step "file" "old" {
  path  = "/etc/motd.old"
  state = "absent"
}
`,
	New: func() (Step, Args) {
		s := &file{State: "present"}
		args := Args{
			pathArg("path", &s.Path, "Absolute path on the host.").Must(),
			textArg("content", &s.Text, "The content. It may be sensitive."),
			fileArg("source", &s.Source, "A local file with the content."),
			templateArg("template", &s.Rendered, "A local template that gives the content."),
		}
		args = append(args, s.ownership.args("file")...)
		args = append(args, s.writing.args()...)
		return s, append(args,
			enumArg("state", &s.State, "Whether the file is there.", "present", "absent"),
		)
	},
}

type file struct {
	contentFile
	State    string
	Text     *Text
	Source   *Local
	Rendered *Text
}

func (s *file) Validate() []Problem {
	var problems []Problem
	given := 0
	for _, yes := range []bool{s.Text != nil, s.Source != nil, s.Rendered != nil} {
		if yes {
			given++
		}
	}
	if given > 1 {
		problems = append(problems, Problem{Summary: "content, source and template exclude each other", Detail: "Keep one of them."})
	}
	problems = append(problems, s.writing.problems()...)
	if s.State == "absent" && (given > 0 || s.Check != "" || s.Backup || s.ownership != ownership{}) {
		problems = append(problems, Problem{Arg: "state", Summary: "a file that is absent has no content, owner or mode", Detail: "Leave out every argument but path and state."})
	}
	return problems
}

// whole is the file with its content from whichever argument gives it.
func (s *file) whole() *contentFile {
	c := s.contentFile
	switch {
	case s.Source != nil:
		c.Content = &Content{Local: s.Source}
	case s.Text != nil:
		c.Content = &Content{Text: *s.Text}
	case s.Rendered != nil:
		c.Content = &Content{Text: *s.Rendered}
	}
	return &c
}

// Batch implements Batcher.
func (s *file) Batch() (attributes, sums []string) {
	if s.State == "absent" {
		return nil, nil
	}
	return s.whole().Batch()
}

var (
	_ Bringer  = (*file)(nil)
	_ Requirer = (*file)(nil)
)

// Brings implements Bringer.
func (s *file) Brings(change Change) Supply {
	if s.State == "absent" {
		return removal(change, s.Path)
	}
	return fileSupply(s.Path)
}

// Requires implements Requirer.
func (s *file) Requires() []Thing {
	if s.State == "absent" {
		return nil
	}
	return s.requires()
}

func (s *file) Probe() string {
	if s.State == "absent" {
		return fmt.Sprintf("p=%s\nt=$(path_type \"$p\") || exit 1\nsay type \"$t\"\n", shell.Quote(s.Path)) +
			"[ \"$t\" != file ] || " + probeMounted
	}
	return s.whole().probe()
}

func (s *file) Plan(f *Facts, obs Observation) (Change, error) {
	if s.State == "present" {
		return s.whole().plan(f, obs)
	}
	kind, _ := obs.Get("type")
	switch kind {
	case "absent":
		return Change{Action: NoOp}, nil
	case "file", "symlink":
		if _, yes := obs.Get("mounted"); yes {
			return Change{}, fmt.Errorf("%s is a mount point, as some files of a container are: it cannot be removed from within; unmount it first", s.Path)
		}
		change := Change{
			Action:  Delete,
			Diff:    []Attr{{Name: "path", Before: s.Path, AfterMissing: true}},
			Ops:     []Op{Run{Script: "rm -f -- " + shell.Quote(s.Path)}},
			Dangers: []string{"removes " + s.Path},
		}
		if kind == "symlink" {
			change.Reason = "it is a symbolic link"
		}
		return change, nil
	case "directory":
		return Change{}, fmt.Errorf("%s is a directory; remove it with a step \"directory\"", s.Path)
	}
	return Change{}, fmt.Errorf("%s is a device, pipe or socket; remove it with a step \"command\"", s.Path)
}
