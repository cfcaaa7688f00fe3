package kinds

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed unpack.sh
var unpackScriptSource string

var archiveKind = &steps.Kind{
	Name: "archive",
	Doc: `An archive, unpacked into a directory of the host.

The archive is a local file that is uploaded (source), a URL that the host downloads (url, with sha256), or
a file on the host (file). Its format is told by its content: tar, plain or compressed with gzip, bzip2, xz
or zstd, and zip. The host needs tar or unzip, and the program for the compression.

With creates the step is done once that path exists, whatever it holds. Without it the step leaves a file
.provision-archive in dest that names the archive by its SHA-256, and unpacks again when the
archive is another one. Several archives in one directory each need creates, since that file names
one. Files of an earlier archive that the new one lacks stay.

It is unpacked beside its destination first and then moved, so a broken archive changes nothing. Files
belong to owner and group, or to whoever runs the step; owners in the archive are not used. With another
owner or group the archive is unpacked again, as with another archive, unless creates is set. Directories that are
there already keep their owner, unless that is the one which the step gave them.`,
	Example: `step "command" "make" {
  script  = "mkdir -p /srv/demo-1.0 && echo hello >/srv/demo-1.0/README && tar -czf /srv/demo.tar.gz -C /srv demo-1.0"
  creates = "/srv/demo.tar.gz"
}

step "archive" "demo" {
  file  = "/srv/demo.tar.gz"
  dest  = "/opt/demo"
  strip = 1
}
`,
	Rules: []steps.Rule{steps.OneOf("source is a local archive, url is downloaded by the host, file is on the host already.", "source", "url", "file")},
	New: func() (steps.Step, steps.Args) {
		a := &archive{Timeout: 1800}
		return a, steps.Args{
			kit.FileArg("source", &a.Source, "A local archive, which is uploaded."),
			kit.URLArg("url", &a.URL, "Where the host downloads the archive: https, http, ftp or file.", "https", "http", "ftp", "file"),
			kit.PathArg("file", &a.File, "An archive on the host."),
			kit.PathArg("dest", &a.Dest, "The directory to unpack into. It is made if it does not exist.").Must(),
			kit.IntArg("strip", &a.Strip, 0, 20, "How many leading parts of the names in the archive to drop.").With("0"),
			kit.PathArg("creates", &a.Creates, "A path that exists once the archive is unpacked."),
			kit.SHA256Arg("sha256", &a.SHA256, "SHA-256 of the archive. Required with url, unless creates is set and the URL is https."),
			kit.OwnerArg("owner", &a.Owner, "User that the unpacked files belong to, by name or number.").With("whoever runs the step"),
			kit.OwnerArg("group", &a.Group, "Group that the unpacked files belong to, by name or number."),
			kit.HeadersArg("headers", &a.Headers, "Fields of the request for url. They may be sensitive."),
			kit.SecondsArg("timeout", &a.Timeout, "How long the download may take."),
		}
	},
}

type archive struct {
	Source                                         *steps.Local
	URL, File, Dest, Creates, SHA256, Owner, Group string
	Strip, Timeout                                 int
	Headers                                        []steps.Variable
}

var (
	_ steps.Settler  = (*archive)(nil)
	_ steps.Bringer  = (*archive)(nil)
	_ steps.Requirer = (*archive)(nil)
)

func (a *archive) Validate() []steps.Problem {
	var problems []steps.Problem
	if a.Source != nil && a.SHA256 != "" && a.SHA256 != a.Source.SHA256 {
		problems = append(problems, steps.Problem{Arg: "sha256", Summary: "the local archive has another SHA-256: " + a.Source.SHA256, Detail: "Fetch the archive again, or mend sha256."})
	}
	if a.URL != "" && a.SHA256 == "" {
		if a.Creates == "" {
			problems = append(problems, steps.Problem{Arg: "sha256", Summary: "url needs sha256, or creates", Detail: "Without either nothing tells whether the archive was unpacked already."})
		} else if p := kit.Unverified(a.URL, "", false); p != nil {
			problems = append(problems, *p)
		}
	}
	if len(a.Headers) > 0 && !strings.HasPrefix(a.URL, "http") {
		problems = append(problems, steps.Problem{Arg: "headers", Summary: "headers belong to a url of http or https", Detail: "Leave them out."})
	}
	if kit.ProtectedPath(a.Dest) && a.Creates == "" && a.Dest != "/" {
		problems = append(problems, steps.Problem{Arg: "creates", Warning: true, Summary: "other archives may be unpacked into " + a.Dest + " too", Detail: "Set creates, so that the steps do not undo each other's mark."})
	}
	return problems
}

// sum is the SHA-256 of the archive, or "" if only the host can tell.
func (a *archive) sum() string {
	if a.Source != nil {
		return a.Source.SHA256
	}
	return a.SHA256
}

func (a *archive) stamp() string { return path.Join(a.Dest, ".provision-archive") }

// Brings implements steps.Bringer.
func (a *archive) Brings(steps.Change) steps.Supply {
	s := steps.Supply{Trees: []string{a.Dest}, Filled: []string{a.Dest}}
	s.AddDirectory(a.Dest)
	if a.Creates != "" {
		s.Things = append(s.Things, steps.Thing{Kind: steps.PathThing, Name: a.Creates})
	}
	return s
}

// Requires implements steps.Requirer.
func (a *archive) Requires() []steps.Thing {
	list := a.names().Accounts()
	if a.File != "" {
		list = append(list, steps.Thing{Kind: steps.FileThing, Name: a.File})
	}
	return list
}

// names are the owner and the group.
func (a *archive) names() *kit.Ownership { return &kit.Ownership{Owner: a.Owner, Group: a.Group} }

// Settled implements steps.Settler.
func (a *archive) Settled(*steps.Facts) []steps.Observation {
	return []steps.Observation{steps.Observe("unpacked yes")}
}

func (a *archive) Probe() string {
	if a.Creates != "" {
		return fmt.Sprintf("path_type %s || exit 1; t=$TYPE\nif [ \"$t\" = absent ]; then say unpacked no; else say unpacked yes; exit 0; fi\n", shell.Quote(a.Creates)) + a.probeDest() + a.probeFile(false) + a.names().ProbeNames(false)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "p=%s\n", shell.Quote(a.stamp()))
	b.WriteString(`path_type "$p" || exit 1; t=$TYPE
s=-
if [ "$t" = file ]; then
	IFS= read -r s <"$p" || [ -n "$s" ] || exit 1
fi
say stamp "$s"
`)
	b.WriteString(a.probeDest())
	b.WriteString(a.probeFile(a.SHA256 == ""))
	b.WriteString(a.names().ProbeNames(false))
	return b.String()
}

// probeDest is sh that tells what is at the destination. A link to a directory is as good as one.
func (a *archive) probeDest() string {
	return fmt.Sprintf("p=%s\npath_type \"$p\" || exit 1; t=$TYPE\n[ ! -d \"$p\" ] || t=directory\n[ \"$t\" != absent ] || above \"$p\"\nsay dest \"$t\"\n", shell.Quote(a.Dest))
}

// probeFile is sh that looks at an archive on the host.
func (a *archive) probeFile(sum bool) string {
	if a.File == "" {
		return ""
	}
	script := fmt.Sprintf("f=%s\npath_type \"$f\" || exit 1; t=$TYPE\n", shell.Quote(a.File)) +
		"[ ! -f \"$f\" ] || t=file\nsay file \"$t\"\n[ \"$t\" != absent ] || need file \"$f\"\n"
	if sum {
		script += "[ \"$t\" != file ] || { sum_of \"$f\" || exit 1; s=$SUM; say sum \"$s\"; }\n"
	}
	return script
}

// key is what the stamp holds.
func (a *archive) key(sum string) string {
	key := fmt.Sprintf("%s strip=%d", sum, a.Strip)
	if a.Owner != "" {
		key += " owner=" + a.Owner
	}
	if a.Group != "" {
		key += " group=" + a.Group
	}
	return key
}

// owners are the differences between a stamp and the wanted one; none if it is that of another archive.
func (a *archive) owners(stamp, sum string) []steps.Attr {
	was := map[string]string{}
	for i, word := range strings.Fields(stamp) {
		name, value, _ := strings.Cut(word, "=")
		if i == 0 && word != sum || name == "strip" && value != strconv.Itoa(a.Strip) {
			return nil
		}
		was[name] = value
	}
	var list []steps.Attr
	for _, part := range []struct{ name, wanted string }{{"owner", a.Owner}, {"group", a.Group}} {
		if found := was[part.name]; found != part.wanted {
			list = append(list, steps.Attr{Name: part.name, Before: found, BeforeMissing: found == "", After: part.wanted, AfterMissing: part.wanted == ""})
		}
	}
	return list
}

func (a *archive) from() string {
	switch {
	case a.Source != nil:
		return path.Base(a.Source.Path)
	case a.URL != "":
		return a.URL
	}
	return a.File
}

func (a *archive) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	sum := a.sum()
	if sum == "" {
		sum, _ = obs.Get("sum")
	}
	stamp, _ := obs.Get("stamp")
	unpacked, _ := obs.Get("unpacked")
	file, _ := obs.Get("file")
	if unpacked == "yes" || a.Creates == "" && sum != "" && stamp == a.key(sum) {
		return steps.Change{Action: steps.NoOp}, nil
	}
	dest, _ := obs.Get("dest")
	if dest != "absent" && dest != "directory" {
		return steps.Change{}, kit.NotA(a.Dest, dest, "directory")
	}
	change := steps.Change{Action: steps.Create, Reason: "from " + a.from()}
	switch {
	case a.Creates != "":
		change.Diff = []steps.Attr{{Name: "creates", BeforeMissing: true, After: a.Creates}}
	case stamp != "-":
		change.Action = steps.Update
		if change.Diff = a.owners(stamp, sum); len(change.Diff) > 0 {
			change.Reason = "unpacks " + a.from() + " again"
			break
		}
		change.Diff = []steps.Attr{{Name: "archive", Before: stamp, After: a.key(sum)}}
	case dest == "directory":
		change.Action = steps.Update
		change.Diff = []steps.Attr{{Name: "archive", BeforeMissing: true, After: a.key(sum)}}
	default:
		change.Diff = []steps.Attr{{Name: "dest", BeforeMissing: true, After: a.Dest}}
	}
	if a.File != "" {
		switch file {
		case "file":
		case "absent":
			change.Needs = obs.Needs()
			if sum == "" && a.Creates == "" {
				// Which archive it will be, and so whether it is unpacked already, is not known.
				change.Action, change.Diff = steps.Unknown, nil
				return change, nil
			}
			change.Predict = []steps.Observation{obs.With("file absent", "file file").Fulfilled()}
		default:
			return steps.Change{}, fmt.Errorf("%s is a %s, not an archive", a.File, file)
		}
	}
	change.Ops = a.ops(sum)
	if len(change.Needs) == 0 {
		change.AddNeeds(obs)
	}
	// An earlier step may make the destination.
	for _, o := range append([]steps.Observation{obs}, change.Predict...) {
		if dest == "absent" {
			change.Predict = append(change.Predict, o.With("dest absent", "dest directory"))
		}
	}
	return change, nil
}

func (a *archive) ops(sum string) []steps.Op {
	shown := "unpack " + a.from() + " into " + a.Dest
	if a.Source == nil {
		return []steps.Op{steps.Run{Script: a.script(sum, a.File, false), Shown: shown, Stdin: kit.HeaderLines(a.Headers)}}
	}
	// Beside the destination, so that there is room, with a name that says whose it is.
	digest := sha256.Sum256([]byte(a.Dest + sum))
	upload := path.Join(path.Dir(a.Dest), ".provision-upload-"+hex.EncodeToString(digest[:6]))
	return []steps.Op{
		steps.Run{Script: "mkdir -p -- " + shell.Quote(path.Dir(a.Dest)) + "\n", Shown: shown},
		steps.Put{Path: upload, Content: steps.Content{Local: a.Source}, Mode: "600"},
		steps.Run{Script: a.script(sum, upload, true), Shown: shown},
	}
}

// script unpacks a file of the host, or the URL if there is none. The file is removed afterwards
// if it was uploaded for this.
func (a *archive) script(sum, file string, uploaded bool) string {
	var b strings.Builder
	b.WriteString(shell.Strip(unpackScriptSource))
	if a.URL != "" {
		b.WriteString(kit.FetchScript())
		if len(a.Headers) > 0 {
			b.WriteString(kit.HeadersOnHost("cat"))
		}
	}
	b.WriteString(mergeScript)
	upload := ""
	if uploaded {
		upload = file
	}
	fmt.Fprintf(&b, "dest=%s upload=%s\ntrap 'rm -rf -- ${t:+\"$t\"} ${upload:+\"$upload\"} ${FETCH_HEADERS:+\"$FETCH_HEADERS\"}' EXIT\ntrap 'exit 143' HUP INT TERM\n", shell.Quote(a.Dest), shell.Quote(upload))
	// Inside the destination where it exists: its owner may not write beside it.
	b.WriteString(`if [ -d "$dest" ]; then
	up=$dest
else
	up=${dest%/*}
	mkdir -p -- "${up:-/}" || exit 1
fi
# What an interrupted run left behind.
rm -rf -- "$up"/.provision-unpack.??????
t=$(mktemp -d "$up/.provision-unpack.XXXXXX") || exit 1
mkdir "$t/0" || exit 1
`)
	if a.URL != "" {
		b.WriteString("file=$t/archive\n" + kit.FetchInto(a.URL, `"$file"`, a.Timeout))
		b.WriteString(kit.VerifySum(a.SHA256, `"$file"`))
	} else {
		fmt.Fprintf(&b, "file=%s\n", shell.Quote(file))
		b.WriteString(`[ -f "$file" ] || fail "$file is not there; an earlier step has to bring it"` + "\n")
		b.WriteString(kit.VerifySum(sum, `"$file"`))
	}
	b.WriteString("unpack \"$file\" \"$t/0\" || fail \"the archive could not be unpacked, and nothing was changed; is it whole, and is there room?\"\n")
	if uploaded {
		b.WriteString("rm -f -- \"$file\"\n")
	}
	b.WriteString(a.strip())
	b.WriteString("set -- \"$t/$n\"/* \"$t/$n\"/.[!.]* \"$t/$n\"/..?*\nfound=0\nfor e in \"$@\"; do\n\t[ ! -e \"$e\" ] && [ ! -h \"$e\" ] || found=1\ndone\n")
	b.WriteString("[ \"$found\" = 1 ] || fail \"nothing is left of the archive" + map[bool]string{true: " after dropping parts of its names; lower strip"}[a.Strip > 0] + "\"\n")
	if owner := a.names().Operand(); owner != "" {
		fmt.Fprintf(&b, "chown -R -h -- %s \"$t/$n\" || exit 1\n", shell.Quote(owner))
	}
	if a.Creates == "" && sum != "" {
		fmt.Fprintf(&b, "printf '%%s\\n' %s >\"$t/stamp\" || exit 1\n", shell.Quote(a.key(sum)))
	}
	if owner := a.names().Operand(); owner != "" && a.Creates == "" && !kit.ProtectedPath(a.Dest) {
		fmt.Fprintf(&b, "owner=%s group=%s\n%s", shell.Quote(a.Owner), shell.Quote(a.Group), handOverScript)
	}
	// A stamp of another archive must not stay while files are mixed. Moving puts every file in place in one
	// go, even a program that runs; directories that are there keep their owner and mode.
	b.WriteString(`if [ -d "$dest" ]; then
	rm -f -- "$dest/.provision-archive" && merge "$t/$n" "$dest" || fail "not all files could be put into $dest"
else
	mv -- "$t/$n" "$dest" || exit 1
	! have restorecon || restorecon -R -- "$dest" 2>/dev/null || :
fi
[ ! -e "$t/stamp" ] || mv -f -- "$t/stamp" "$dest/.provision-archive" || exit 1
`)
	return b.String()
}

// handOverScript gives the directories that are there already, and have the owner and the group that the stamp names, to the new ones. A
// destination of which the stamp names none may be somebody else's.
const handOverScript = `hand_over() {
	attributes "$2" || return 1
	set -- "$1" "$2" ''
	case $was_owner in "$A_owner" | "$A_uid") set -- "$1" "$2" "$owner" ;; esac
	case $was_group in "$A_group" | "$A_gid") set -- "$1" "$2" "$3${group:+:$group}" ;; esac
	[ -z "$3" ] || chown -- "$3" "$2" || return 1
	for e in "$1"/* "$1"/.[!.]* "$1"/..?*; do
		[ -d "$e" ] && [ ! -h "$e" ] && [ -d "$2/${e##*/}" ] && [ ! -h "$2/${e##*/}" ] || continue
		# In a subshell, since sh has no local variables.
		( hand_over "$e" "$2/${e##*/}" ) || return 1
	done
}
if IFS= read -r was 2>/dev/null <"$dest/.provision-archive"; then
	was="$was "
	case $was in *' owner='*) was_owner=${was#* owner=} was_owner=${was_owner%% *} ;; *) was_owner= ;; esac
	case $was in *' group='*) was_group=${was#* group=} was_group=${was_group%% *} ;; *) was_group= ;; esac
	hand_over "$t/$n" "$dest" || fail "the directories in $dest could not be given to their new owner"
fi
`

// mergeScript moves what is in one directory into another one that exists.
const mergeScript = `merge() {
	for e in "$1"/* "$1"/.[!.]* "$1"/..?*; do
		[ -e "$e" ] || [ -h "$e" ] || continue
		target=$2/${e##*/}
		if [ -d "$e" ] && [ ! -h "$e" ] && [ -d "$target" ]; then
			# In a subshell, since sh has no local variables.
			( merge "$e" "$target" ) || return 1
			continue
		fi
		if [ -d "$target" ] && [ ! -h "$target" ]; then
			echo "$target is a directory, and a file in the archive" >&2
			return 1
		fi
		[ ! -h "$target" ] || rm -f -- "$target" || return 1
		mv -f -- "$e" "$target" || return 1
	done
}
`

// strip is sh that leaves the files in $t/$n, without the leading parts of their names.
func (a *archive) strip() string {
	return fmt.Sprintf(`n=0
while [ "$n" -lt %d ]; do
	mkdir "$t/$((n + 1))" || exit 1
	for d in "$t/$n"/* "$t/$n"/.[!.]* "$t/$n"/..?*; do
		[ -d "$d" ] && [ ! -h "$d" ] || continue
		chmod u+rwx "$d" || exit 1
		for e in "$d"/* "$d"/.[!.]* "$d"/..?*; do
			[ -e "$e" ] || [ -h "$e" ] || continue
			mv -- "$e" "$t/$((n + 1))/" || exit 1
		done
	done
	n=$((n + 1))
done
`, a.Strip)
}
