package kinds

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var hostsEntryKind = &steps.Kind{
	Name: "hosts_entry",
	Doc: `An address and its names in /etc/hosts, or their absence.

Names that the address has already are left where they are. Further ones join the first line of
the address that has one of them; without such a line a new one goes behind the last line of the
address, or to the end of the file. On a line the names stand in the order of names, since the
first name of a line is the canonical one. Names are compared without regard to case, and written
as given; addresses are compared as addresses, so that ::1 and 0:0:0:0:0:0:0:1 are one.

A name that stands under another address of the same family is moved, and the plan says from
where. A line that has only such names gets the new address in its place, and keeps its comment.
With elsewhere = "error" such a name is an error; with elsewhere = "keep" it stays there too, for
names that have several addresses. IPv4 and IPv6 never stand in each other's way.

With exclusive the address has no other names. state = "absent" takes the names from the lines of
the address; without address, from every line; without names, the lines of the address go. A line
that loses its last name goes, with the comment at its end.

Lines that are no entries, and comments, order and spaces stay. The file is replaced as a whole
and at once, or written in place where it is a mount point, as in containers; the plan says so.
Files larger than 256 KiB and files with NUL bytes are not edited. Programs see the change at
once, but for those that keep what they read, such as nscd.`,
	Example: `step "hosts_entry" "db" {
  address = "10.0.0.5"
  names   = ["db.internal", "db"]
}

step "hosts_entry" "old" {
  names = ["db-old.internal"]
  state = "absent"
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("path", "address", "names", "validate", "backup")},
	New: func() (steps.Step, steps.Args) {
		h := &hostsEntry{Edit: kit.Edit{Path: "/etc/hosts", State: "present"}, Elsewhere: "move"}
		args := steps.Args{
			kit.PathArg("path", &h.Path, "Absolute path of the file.").With("/etc/hosts"),
			kit.OptionalArg("address", &h.Address, "An IPv4 or IPv6 address. Required unless state is absent.", parseHostsAddress),
			kit.ListArg("names", &h.Names, "Its names, the canonical one first. Required unless state is absent.", parseHostsName),
			kit.EnumArg("elsewhere", &h.Elsewhere, "What becomes of a name that stands under another address of the same family.", "move", "keep", "error"),
			kit.BoolArg("exclusive", &h.Exclusive, "Take every other name from the address."),
		}
		args = append(args, h.Edit.Args()...)
		return h, append(args, kit.EnumArg("state", &h.State, "Whether the address has the names.", "present", "absent"))
	},
}

type hostsEntry struct {
	kit.Edit
	Address   *hostsAddress
	Names     []string
	Elsewhere string
	Exclusive bool
}

var (
	_ steps.Bringer  = (*hostsEntry)(nil)
	_ steps.Foreseer = (*hostsEntry)(nil)
	_ steps.Requirer = (*hostsEntry)(nil)
)

// A hostsAddress is an address as it was written, and what it means.
type hostsAddress struct {
	text string
	addr netip.Addr
}

func parseHostsAddress(s string) (hostsAddress, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return hostsAddress{}, fmt.Errorf("%q is no IPv4 or IPv6 address; write it like 10.0.0.5 or 2001:db8::5, without port, prefix or brackets", s)
	}
	return hostsAddress{s, addr}, nil
}

var hostsName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$`)

func parseHostsName(s string) (string, error) {
	_, err := netip.ParseAddr(s)
	switch {
	case err == nil:
		return "", fmt.Errorf("%q is an address; give the names that it should have, and the address as address", s)
	case !hostsName.MatchString(s) || len(s) > 253:
		return "", fmt.Errorf("%q is no host name; its parts between dots are at most 63 letters, digits, hyphens and underscores, and begin and end with none of the hyphens", s)
	}
	return s, nil
}

func (h *hostsEntry) Validate() []steps.Problem {
	var problems []steps.Problem
	switch {
	case h.State == "absent" && h.Address == nil && len(h.Names) == 0:
		problems = append(problems, steps.Problem{Summary: "one of address and names is required", Detail: "Say which entries should go."})
	case h.State == "present" && h.Address == nil:
		problems = append(problems, steps.Problem{Arg: "address", Summary: "address is required", Detail: "Give the address that the names should have, or set state = \"absent\"."})
	}
	if len(h.Names) == 0 && (h.State == "present" || h.Names != nil) {
		problems = append(problems, steps.Problem{Arg: "names", Summary: "names needs at least one name", Detail: "Give the names of the address."})
	}
	for i, n := range h.Names {
		if slices.ContainsFunc(h.Names[:i], func(o string) bool { return strings.EqualFold(n, o) }) {
			problems = append(problems, steps.Problem{Arg: "names", Summary: fmt.Sprintf("%s is there twice", n), Detail: "Keep one; case makes no difference."})
		}
	}
	return append(problems, h.Edit.Problems()...)
}

// Probe says the lines that hold one of the names or, where its other names matter, the address: no tool of the host compares
// addresses. An IPv6 address has many forms, which have a colon in common.
func (h *hostsEntry) Probe() string {
	var find strings.Builder
	for _, n := range h.Names {
		find.WriteString(" -e " + shell.Quote(n))
	}
	switch {
	case !h.Exclusive && len(h.Names) > 0:
	case h.Address.addr.Is4():
		find.WriteString(" -e " + shell.Quote(h.Address.addr.String()))
	default:
		find.WriteString(" -e :")
	}
	return h.Edit.ProbeParts(kit.ProbePrivate + kit.ProbeLines + "found=$(lines | grep -iF" + find.String() + `)
[ $? -lt 2 ] || exit 1
[ -z "$found" ] || printf '%s\n' "$found" | sed 's/^/line /'
`)
}

func (h *hostsEntry) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	same := func(obs steps.Observation) bool {
		before := strings.Join(obs.All("line"), "\n")
		after, err := h.edit(&steps.Change{}, before)
		return err == nil && after == before
	}
	return h.Edit.Plan(obs, same, func(change *steps.Change, before string) (steps.Text, error) {
		after, err := h.edit(change, before)
		return steps.Plain(after), err
	})
}

// Foresee implements steps.Foreseer: the state is not that of an edit which the host judges.
func (h *hostsEntry) Foresee(func(string) (string, bool)) []steps.Observation { return nil }
