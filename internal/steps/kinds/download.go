package kinds

import (
	"fmt"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var downloadKind = &steps.Kind{
	Name: "download",
	Doc: `A file that the host itself downloads.

With sha256 the file on the host is compared with it, and a download that does not match is thrown away.
Without it the file is downloaded only if it does not exist, and nothing vouches for its content: over
http and ftp that is refused, unless insecure is set.

The file is loaded beside its destination and renamed when it is whole and verified, so nobody sees
half of it. A link to a file is looked through, and a file takes its place when one has to be loaded.
curl, wget or python is used, whichever the host has. headers travel apart from the program, on standard
input. The directory of the path must exist.`,
	Example: `step "download" "release" {
  url  = "file:///etc/debian_version"
  path = "/opt/debian_version"
  mode = "0644"
}
`,
	New: func() (steps.Step, steps.Args) {
		d := &download{Timeout: 1800}
		args := steps.Args{
			kit.URLArg("url", &d.URL, "Where the file is: https, http, ftp, or file for one on the host.", "https", "http", "ftp", "file").Must(),
			kit.PathArg("path", &d.Path, "Absolute path of the file on the host, with its name.").Must(),
			kit.SHA256Arg("sha256", &d.SHA256, "SHA-256 of the file, as sha256sum prints it."),
			kit.HeadersArg("headers", &d.Headers, "Fields of the request, such as Authorization. They may be sensitive."),
			kit.SecondsArg("timeout", &d.Timeout, "How long the download may take."),
			kit.BoolArg("insecure", &d.Insecure, "Allow http and ftp without sha256."),
		}
		return d, append(args, d.Ownership.Args("file")...)
	},
}

type download struct {
	URL, Path, SHA256 string
	Headers           []steps.Variable
	Timeout           int
	Insecure          bool
	kit.Ownership
}

var (
	_ steps.Bringer  = (*download)(nil)
	_ steps.Requirer = (*download)(nil)
	_ steps.Batcher  = (*download)(nil)
)

func (d *download) Validate() []steps.Problem {
	var problems []steps.Problem
	if p := kit.Unverified(d.URL, d.SHA256, d.Insecure); p != nil {
		problems = append(problems, *p)
	}
	if len(d.Headers) > 0 && !strings.HasPrefix(d.URL, "http") {
		problems = append(problems, steps.Problem{Arg: "headers", Summary: "headers belong to http and https only", Detail: "Leave them out, or use another URL."})
	}
	if secret := kit.HeaderLines(d.Headers); secret != nil && secret.Text.Sensitive() && strings.HasPrefix(d.URL, "http:") {
		problems = append(problems, steps.Problem{Arg: "url", Warning: true, Summary: "a secret header would travel unencrypted", Detail: "Use https."})
	}
	return problems
}

// fileBehind is sh that sets p to the file: a link to one is looked through, and replaced when the file has to be written.
func (d *download) fileBehind() string {
	return fmt.Sprintf("p=%s\nif [ -h \"$p\" ] && [ -f \"$p\" ]; then p=$(readlink -f \"$p\") || exit 1; fi\n", shell.Quote(d.Path))
}

func (d *download) Probe() string {
	var b strings.Builder
	b.WriteString(d.fileBehind())
	b.WriteString("path_type \"$p\" || exit 1; t=$TYPE\nsay type \"$t\"\n[ \"$p\" = " + shell.Quote(d.Path) + " ] || say link yes\n")
	b.WriteString("if [ \"$t\" = absent ]; then\n" + kit.ProbeParent + d.ProbeNames(false) + "exit 0\nfi\n[ \"$t\" = file ] || exit 0\n")
	if d.SHA256 != "" {
		b.WriteString("sum_of \"$p\" || exit 1; s=$SUM\nsay sum \"$s\"\n")
	}
	return b.String() + d.Ownership.ProbeAttributes()
}

// Batch implements steps.Batcher.
func (d *download) Batch() (attributes, sums []string) {
	attributes = []string{d.Path}
	if d.SHA256 != "" {
		sums = attributes
	}
	return attributes, sums
}

func (d *download) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	kind, _ := obs.Get("type")
	if kind == "directory" {
		return steps.Change{}, fmt.Errorf("%s is a directory, not a file; name the file itself, with its directory", d.Path)
	}
	if kind != "absent" && kind != "file" {
		return steps.Change{}, kit.NotA(d.Path, kind, "file")
	}
	change := steps.Change{Action: steps.NoOp}
	if kind == "absent" {
		change.Action = steps.Create
		change.Diff = []steps.Attr{{Name: "path", BeforeMissing: true, After: d.Path}}
	}
	sum, _ := obs.Get("sum")
	fetch := kind == "absent" || d.SHA256 != "" && sum != d.SHA256
	if kind == "file" && fetch {
		change.Action = steps.Update
		if obs.Yes("link") {
			change.Diff = append(change.Diff, steps.Attr{Name: "type", Before: "link", After: "file"})
		}
		change.Diff = append(change.Diff, steps.Attr{Name: "sha256", Before: sum, After: d.SHA256})
	}
	commands := d.Differences(&change, obs, `"$p"`)
	switch {
	case fetch:
		change.Reason = "from " + d.URL
		change.Ops = []steps.Op{steps.Run{Script: d.script(), Stdin: kit.HeaderLines(d.Headers)}}
	case len(commands) == 0:
		return steps.Change{Action: steps.NoOp}, nil
	default:
		change.Action = steps.Update
		change.Ops = []steps.Op{steps.Run{Script: d.fileBehind() + strings.Join(commands, " &&\n")}}
	}
	change.AddNeeds(obs)
	return change, nil
}

func (d *download) script() string {
	var b strings.Builder
	b.WriteString(kit.FetchScript())
	if len(d.Headers) > 0 {
		b.WriteString(kit.HeadersOnHost("cat"))
	}
	fmt.Fprintf(&b, `p=%s
d=${p%%/*}
[ -d "${d:-/}" ] || fail "the directory ${d:-/} does not exist; make it with a step of the kind directory"
# What an interrupted run left behind.
rm -f -- "$d/.${p##*/}.provision."??????
t=$(mktemp "$d/.${p##*/}.provision.XXXXXX") || exit 1
trap 'rm -f -- "$t" ${FETCH_HEADERS:+"$FETCH_HEADERS"}' EXIT
`, shell.Quote(d.Path))
	b.WriteString(kit.FetchInto(d.URL, `"$t"`, d.Timeout))
	b.WriteString(kit.VerifySum(d.SHA256, `"$t"`))
	// chown clears the bits of setuid and setgid, so the mode comes after it.
	b.WriteString(`m=644
if [ -f "$p" ] && [ ! -h "$p" ]; then
	m=$(stat -c %a "$p") && o=$(stat -c %u:%g "$p") || exit 1
	chown "$o" "$t" 2>/dev/null || :
fi
`)
	if owner := d.Operand(); owner != "" {
		b.WriteString("chown -- " + shell.Quote(owner) + " \"$t\" || exit 1\n")
	}
	if d.Mode != "" {
		b.WriteString("m=" + d.Mode + "\n")
	}
	b.WriteString("chmod \"$m\" \"$t\" || exit 1\n")
	b.WriteString("mv -f -- \"$t\" \"$p\" || exit 1\n! have restorecon || restorecon -- \"$p\" 2>/dev/null || :\n")
	return b.String()
}

// Brings implements steps.Bringer.
func (d *download) Brings(steps.Change) steps.Supply { return kit.FileSupply(d.Path) }

// Requires implements steps.Requirer.
func (d *download) Requires() []steps.Thing {
	return append(d.Accounts(), kit.ParentOf(d.Path)...)
}
