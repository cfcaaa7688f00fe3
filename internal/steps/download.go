package steps

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"provision/internal/shell"
)

var downloadKind = &Kind{
	Name: "download",
	Doc: `A file that the host itself downloads.

With sha256 the file on the host is compared with it, and a download that does not match is thrown away.
Without it the file is downloaded only if it does not exist, and nothing vouches for its content: over
http and ftp that is refused, unless insecure is set.

The file is loaded beside its destination and renamed when it is whole and verified, so nobody sees
half of it. curl, wget or python is used, whichever the host has. headers travel apart from the
program, on standard input. The directory of the path must exist.`,
	Example: `step "download" "release" {
  url  = "file:///etc/debian_version"
  path = "/opt/debian_version"
  mode = "0644"
}
`,
	New: func() (Step, Args) {
		d := &download{Timeout: 1800}
		return d, Args{
			urlArg("url", &d.URL, "Where the file is: https, http, ftp, or file for one on the host.", "https", "http", "ftp", "file").Must(),
			pathArg("path", &d.Path, "Absolute path of the file on the host, with its name.").Must(),
			sha256Arg("sha256", &d.SHA256, "SHA-256 of the file, as sha256sum prints it."),
			stringArg("owner", &d.Owner, "User name. Left out, it is not looked at."),
			stringArg("group", &d.Group, "Group name. Left out, it is not looked at."),
			modeArg("mode", &d.Mode, "Mode in octal. Left out, a new file gets 0644 and it is not looked at."),
			headersArg("headers", &d.Headers, "Fields of the request, such as Authorization. They may be sensitive."),
			secondsArg("timeout", &d.Timeout, "How long the download may take."),
			boolArg("insecure", &d.Insecure, "Allow http and ftp without sha256."),
		}
	},
}

type download struct {
	URL, Path, SHA256, Owner, Group, Mode string
	Headers                               []header
	Timeout                               int
	Insecure                              bool
}

func (d *download) Validate() []Problem {
	var problems []Problem
	if p := unverified(d.URL, d.SHA256, d.Insecure); p != nil {
		problems = append(problems, *p)
	}
	if len(d.Headers) > 0 && !strings.HasPrefix(d.URL, "http") {
		problems = append(problems, Problem{Arg: "headers", Summary: "headers belong to http and https only", Detail: "Leave them out, or use another URL."})
	}
	if secret := headerLines(d.Headers); secret != nil && secret.Text.Sensitive() && strings.HasPrefix(d.URL, "http:") {
		problems = append(problems, Problem{Arg: "url", Warning: true, Summary: "a secret header would travel unencrypted", Detail: "Use https."})
	}
	return problems
}

// unverified reports a download whose content nothing vouches for.
func unverified(from, sum string, insecure bool) *Problem {
	switch {
	case sum != "" || strings.HasPrefix(from, "file:"):
		return nil
	case strings.HasPrefix(from, "https:") || insecure:
		return &Problem{Arg: "sha256", Warning: true, Summary: "nothing verifies this download", Detail: "Set sha256: then a changed or damaged file is noticed, and a new one replaces the old."}
	}
	return &Problem{Arg: "sha256", Summary: "a download that is not over https needs sha256", Detail: "Anyone on the way can change the file. Set sha256, or insecure = true."}
}

func (d *download) Probe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "p=%s\n", shell.Quote(d.Path))
	b.WriteString("t=$(path_type \"$p\") || exit 1\n")
	// A link to a file is looked through, and replaced by a file when it has to be written.
	b.WriteString("[ \"$t\" != symlink ] || { [ ! -f \"$p\" ] || t=file; }\nsay type \"$t\"\n")
	b.WriteString("if [ \"$t\" = absent ]; then\n\td=${p%/*}\n\tif [ -d \"${d:-/}\" ]; then say parent yes; else say parent no; fi\n\texit 0\nfi\n[ \"$t\" = file ] || exit 0\n")
	if d.SHA256 != "" {
		b.WriteString("s=$(sum_of \"$p\") || exit 1\nsay sum \"$s\"\n")
	}
	if d.Owner+d.Group+d.Mode != "" {
		b.WriteString("m=$(stat -L -c '%U %G %a' \"$p\") || exit 1\n")
		if d.Owner != "" {
			b.WriteString("say owner \"${m%% *}\"\n")
		}
		b.WriteString("m=${m#* }\n")
		if d.Group != "" {
			b.WriteString("say group \"${m% *}\"\n")
		}
		if d.Mode != "" {
			b.WriteString("say mode \"${m#* }\"\n")
		}
	}
	return b.String()
}

func (d *download) Plan(_ *Facts, obs Observation) (Change, error) {
	kind, _ := obs.Get("type")
	if kind != "absent" && kind != "file" {
		return Change{}, fmt.Errorf("%s is a %s, not a file; name the file itself, with its directory", d.Path, kind)
	}
	change := Change{Action: NoOp}
	if kind == "absent" {
		change.Action = Create
		change.Diff = []Attr{{Name: "path", BeforeMissing: true, After: d.Path}}
		if parent, _ := obs.Get("parent"); parent == "no" {
			change.Need = &Need{What: "directory " + path.Dir(d.Path), Kinds: []string{"directory", "package", "user"}}
			change.Predict = []Observation{Observe("type absent", "parent yes")}
		}
	}
	sum, _ := obs.Get("sum")
	fetch := kind == "absent" || d.SHA256 != "" && sum != d.SHA256
	if kind == "file" && fetch {
		change.Action = Update
		change.Diff = append(change.Diff, Attr{Name: "sha256", Before: sum, After: d.SHA256})
	}
	owner, _ := obs.Get("owner")
	group, _ := obs.Get("group")
	mode, _ := obs.Get("mode")
	change.compare("owner", owner, d.Owner)
	change.compare("group", group, d.Group)
	change.compare("mode", octal(mode), octal(d.Mode))
	if len(change.Diff) == 0 {
		return Change{Action: NoOp}, nil
	}
	if change.Action == NoOp {
		change.Action = Update
	}
	if !fetch {
		change.Ops = []Op{Run{Script: d.adopt(shell.Quote(d.Path))}}
		return change, nil
	}
	change.Reason = "from " + d.URL
	change.Ops = []Op{Run{Script: d.script(), Stdin: headerLines(d.Headers)}}
	return change, nil
}

// ownerAndGroup is the operand of chown(1) for an owner, a group, or both; "" for neither.
func ownerAndGroup(owner, group string) string {
	if group != "" {
		return owner + ":" + group
	}
	return owner
}

// adopt is sh that gives a file, a word of sh, its owner and mode.
func (d *download) adopt(file string) string {
	script := ""
	if owner := ownerAndGroup(d.Owner, d.Group); owner != "" {
		script += "chown -- " + shell.Quote(owner) + " " + file + " || exit 1\n"
	}
	if d.Mode != "" {
		script += "chmod " + d.Mode + " -- " + file + " || exit 1\n"
	}
	return script
}

func (d *download) script() string {
	var b strings.Builder
	b.WriteString(fetchScript)
	if len(d.Headers) > 0 {
		b.WriteString(headersOnHost("cat"))
	}
	fmt.Fprintf(&b, `p=%s
d=${p%%/*}
[ -d "${d:-/}" ] || fail "the directory ${d:-/} does not exist; make it with a step of the kind directory"
# What an interrupted run left behind.
rm -f -- "$d/.${p##*/}.provision."??????
t=$(mktemp "$d/.${p##*/}.provision.XXXXXX") || exit 1
trap 'rm -f -- "$t" ${FETCH_HEADERS:+"$FETCH_HEADERS"}' EXIT
`, shell.Quote(d.Path))
	b.WriteString(fetchInto(d.URL, `"$t"`, d.Timeout))
	b.WriteString(verifySum(d.SHA256, `"$t"`))
	b.WriteString(`if [ -f "$p" ] && [ ! -h "$p" ]; then
	chmod "$(stat -c %a "$p")" "$t" && { chown "$(stat -c %u:%g "$p")" "$t" 2>/dev/null || :; }
else
	chmod 644 "$t"
fi || exit 1
`)
	b.WriteString(d.adopt(`"$t"`))
	b.WriteString("mv -f -- \"$t\" \"$p\" || exit 1\n! have restorecon || restorecon -- \"$p\" 2>/dev/null || :\n")
	return b.String()
}

// fetchInto is sh that brings a URL into a file, a word of sh; after fetch.sh.
func fetchInto(from, file string, limit int) string {
	if u, err := url.Parse(from); err == nil && u.Scheme == "file" {
		return "cp -- " + shell.Quote(u.Path) + " " + file + " || exit 1\n"
	}
	return fmt.Sprintf("fetch %s %s %d || fail %s\n", shell.Quote(from), file, limit, shell.Quote("could not download "+from))
}

// verifySum is sh that fails unless a file, a word of sh, has a SHA-256; nothing for "".
func verifySum(sum, file string) string {
	if sum == "" {
		return ""
	}
	return fmt.Sprintf("s=$(sum_of %s) || exit 1\n[ \"$s\" = %s ] || fail \"the SHA-256 of the download is $s, not %s: check the URL, then sha256\"\n", file, sum, sum)
}
