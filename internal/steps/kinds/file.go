package kinds

import (
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var fileKind = &steps.Kind{
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
	Rules: []steps.Rule{
		steps.AbsentTakes("path"),
		steps.AtMostOne("content", "source", "template"),
	},
	New: func() (steps.Step, steps.Args) {
		s := &file{File: kit.File{State: "present"}}
		args := steps.Args{
			kit.PathArg("path", &s.Path, "Absolute path on the host.").Must(),
			kit.TextArg("content", &s.Text, "The content. It may be sensitive."),
			kit.FileArg("source", &s.Source, "A local file with the content."),
			kit.TemplateArg("template", &s.Rendered, "A local template that gives the content."),
		}
		args = append(args, s.Ownership.Args("file")...)
		args = append(args, s.Writing.Args()...)
		return s, append(args,
			kit.EnumArg("state", &s.State, "Whether the file is there.", "present", "absent"),
		)
	},
}

type file struct {
	kit.File
	Text     *steps.Text
	Source   *steps.Local
	Rendered *steps.Text
}

var (
	_ steps.Settler  = (*file)(nil)
	_ steps.Bringer  = (*file)(nil)
	_ steps.Requirer = (*file)(nil)
	_ steps.Batcher  = (*file)(nil)
)

func (s *file) Validate() []steps.Problem { return s.Writing.Problems() }

// whole is the file with its content from whichever argument gives it.
func (s *file) whole() *kit.File {
	c := s.File
	switch {
	case s.Source != nil:
		c.Content = &steps.Content{Local: s.Source}
	case s.Text != nil:
		c.Content = &steps.Content{Text: *s.Text}
	case s.Rendered != nil:
		c.Content = &steps.Content{Text: *s.Rendered}
	}
	return &c
}

// Batch implements steps.Batcher.
func (s *file) Batch() (attributes, sums []string) { return s.whole().Batch() }

// Settled implements steps.Settler.
func (s *file) Settled(f *steps.Facts) []steps.Observation { return s.whole().Settled(f) }

func (s *file) Probe() string { return s.whole().Probe() }

func (s *file) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	return s.whole().Plan(f, obs)
}
