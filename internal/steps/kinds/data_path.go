package kinds

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var pathData = &steps.Kind{
	Name:  "path",
	Block: steps.DataBlock,
	Doc: `What is at a path: whether it is there, its type, owner and mode, its content.

No more is looked at than what the playbook refers to: a content that nobody asks for stays on the host. content and lines are for
text of at most 64 KiB; a larger file, and one that is no text in UTF-8, is an error where they are used. match finds lines in files of
any size.

The content of a file that not everybody may read is a secret, and so are its lines, matches and sum: the mode tells, and those of the
directories above it. With sensitive = true they are secrets in any case.`,
	Example: `data "path" "release" {
  path = "/etc/os-release"
}

data "path" "flag" {
  path = "/etc/demo-data-path"
}

step "file" "note" {
  path    = "/var/tmp/demo-data-path"
  content = "os-release has ${length(data.path.release.lines)} lines\n"
  when    = !data.path.flag.exists
}
`,
	Outputs: []steps.Output{
		{Name: "exists", Type: cty.Bool, Doc: "Whether anything is there."},
		{Name: "type", Type: cty.String, Doc: "file, directory, symlink (with follow = false) or other; null if nothing is there, as is all that follows but target."},
		{Name: "target", Type: cty.String, Doc: "Where the symbolic link at the path leads, as it is written there; null for all else."},
		{Name: "owner", Type: cty.String, Doc: "The name of the owner, or the number if that has no name."},
		{Name: "group", Type: cty.String, Doc: "The name of the group, or the number if that has no name."},
		{Name: "uid", Type: cty.Number, Doc: "The number of the owner."},
		{Name: "gid", Type: cty.Number, Doc: "The number of the group."},
		{Name: "mode", Type: cty.String, Doc: "The mode in octal, such as 0644."},
		{Name: "size", Type: cty.Number, Doc: "The bytes of a file; null for all else."},
		{Name: "mtime", Type: cty.Number, Doc: "When it was changed last, in seconds since 1970."},
		{Name: "sha256", Type: cty.String, Doc: "The SHA-256 of a file in hexadecimal; null for all else."},
		{Name: "content", Type: cty.String, Doc: "The text of a file; null for all else."},
		{Name: "lines", Type: cty.List(cty.String), Doc: "The lines of a file, without what ends them; null for all else."},
		{Name: "matches", Type: cty.List(cty.String), Doc: "The lines of a file in which match is found, at most 64 KiB; null for all else."},
	},
	New: func() (steps.Step, steps.Args) {
		p := &pathLook{Follow: true}
		return p, steps.Args{
			kit.PathArg("path", &p.Path, "Absolute path of what to look at.").Must(),
			kit.BoolArg("follow", &p.Follow, "Whether to look at what a symbolic link leads to, and not at the link. A link that leads nowhere is as nothing then."),
			kit.PatternArg("match", &p.Match, "What finds the lines of matches, anywhere in a line."),
			kit.BoolArg("sensitive", &p.Sensitive, "Whether what the file holds is a secret, whoever may read it."),
		}
	},
}

type pathLook struct {
	looking
	Path              string
	Follow, Sensitive bool
	Match             *kit.Pattern
}

var (
	_ steps.Chooser   = (*pathLook)(nil)
	_ steps.Asker     = (*pathLook)(nil)
	_ steps.Finder    = (*pathLook)(nil)
	_ steps.Batcher   = (*pathLook)(nil)
	_ steps.Outputter = (*pathLook)(nil)
)

func (p *pathLook) Validate() []steps.Problem {
	if p.Match == nil && p.wanted != nil && p.wanted("matches") && !p.wanted("no such output") {
		return []steps.Problem{{Summary: "matches of nothing", Detail: "The playbook refers to matches: give the regular expression match that finds them."}}
	}
	return nil
}

// Asks implements steps.Asker.
func (p *pathLook) Asks(*steps.Facts) []steps.Thing {
	return []steps.Thing{{Kind: steps.PathThing, Name: p.Path}}
}

// Found implements steps.Finder.
func (p *pathLook) Found(obs steps.Observation) []steps.Thing {
	var list []steps.Thing
	if real, led := obs.Get("real"); led {
		list = append(list, steps.Thing{Kind: steps.PathThing, Name: real})
	}
	for key, kind := range map[string]string{"owner": steps.UserThing, "group": steps.GroupThing} {
		if name, told := obs.Get(key); told {
			if kit.IsNumber(name) {
				name = "" // whoever gets the number gives it a name
			}
			list = append(list, steps.Thing{Kind: kind, Name: name})
		}
	}
	return list
}

// Batch implements steps.Batcher.
func (p *pathLook) Batch() (attributes, sums []string) {
	if p.attributes() {
		attributes = []string{p.Path}
	}
	if p.summed() {
		sums = []string{p.Path}
	}
	return attributes, sums
}

func (p *pathLook) text() bool    { return p.wants("content", "lines") }
func (p *pathLook) matches() bool { return p.Match != nil && p.wants("matches") }
func (p *pathLook) summed() bool  { return p.wants("sha256") || p.text() }

func (p *pathLook) attributes() bool {
	return p.wants("owner", "group", "uid", "gid", "mode", "size") || p.summed() || p.matches()
}

// closedAbove is sh that says of a file that not everybody may enter one of the directories above it.
const closedAbove = `d=$(readlink -f -- "$p") || exit 1
while [ "$d" != / ]; do
	d=${d%/*}
	d=${d:-/}
	m=$(stat -c %A -- "$d") || exit 1
	case $m in ??????[xs]??[xt]*) ;; *) say closed yes; break ;; esac
done
`

// Probe prints no more than the outputs that are wanted: what is printed is what a saved plan holds to.
func (p *pathLook) Probe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "p=%s\n", shell.Quote(p.Path))
	if p.Follow {
		target := ""
		if p.wants("target") {
			target = "\tlink_target \"$p\" || exit 1\n\tsay target \"$LINK\"\n"
		}
		fmt.Fprintf(&b, `if [ -h "$p" ]; then
%s	[ -e "$p" ] || { say type absent; exit 0; }
	p=$(readlink -f -- "$p") || exit 1
	say real "$p"
fi
`, target)
	}
	b.WriteString("path_type \"$p\" || exit 1\nt=$TYPE\nsay type \"$t\"\n[ \"$t\" != absent ] || exit 0\n")
	if p.wants("target") && !p.Follow {
		b.WriteString("if [ \"$t\" = symlink ]; then\n\tlink_target \"$p\" || exit 1\n\tsay target \"$LINK\"\nfi\n")
	}
	if p.attributes() {
		b.WriteString("attributes \"$p\" || exit 1\n")
		for _, name := range []string{"owner", "group", "uid", "gid", "mode"} {
			if p.wants(name) || name == "mode" && (p.summed() || p.matches()) {
				fmt.Fprintf(&b, "say %[1]s \"$A_%[1]s\"\n", name)
			}
		}
	}
	if p.wants("mtime") {
		b.WriteString("m=$(stat -c %Y -- \"$p\") || exit 1\nsay mtime \"$m\"\n")
	}
	if p.wants("size") || p.summed() || p.matches() {
		b.WriteString("[ \"$t\" = file ] || exit 0\n")
	}
	if p.wants("size") {
		b.WriteString("say size \"$A_size\"\n")
	}
	if p.summed() || p.matches() {
		b.WriteString("[ -r \"$p\" ] || fail \"$p: its content cannot be read; look with become = true\"\n")
	}
	if p.summed() || p.matches() {
		b.WriteString(closedAbove)
	}
	if p.summed() {
		b.WriteString("sum_of \"$p\" || exit 1\nsay sha256 \"$SUM\"\n")
	}
	if p.text() {
		fmt.Fprintf(&b, "if [ \"$A_size\" -gt %d ]; then say large \"$A_size\"; else detail content \"$p\"; fi\n", dataLimit)
	}
	if p.matches() {
		b.WriteString("n=$(tr -cd '\\000' <\"$p\" | head -c 1 | wc -c) || exit 1\n[ \"$n\" -eq 0 ] || { say binary yes; exit 0; }\n" + kit.ProbeLines + piped("lines | { grep -E -e "+shell.Quote(p.Match.ERE)+"; printf '%s' \"$?\" >&3; }", "match") +
			"[ \"$status\" -le 1 ] || say failed \"$status\"\n")
	}
	return b.String()
}

func (p *pathLook) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	change := steps.Change{Action: steps.NoOp}
	if size, large := obs.Get("large"); large {
		return change, fmt.Errorf("%s has %s bytes, and content and lines are for at most %d: use match for the lines that matter, or sha256", p.Path, size, dataLimit)
	}
	found := strings.Join(obs.All("match"), "\n")
	if len(found) > dataLimit {
		return change, fmt.Errorf("the lines of %s that match finds have more than %d bytes: let it find fewer", p.Path, dataLimit)
	}
	if _, binary := obs.Get("binary"); binary {
		return change, fmt.Errorf("%s is no text: it holds a NUL byte, and match is for text; use sha256, or leave match out", p.Path)
	}
	if status, failed := obs.Get("failed"); failed {
		return change, fmt.Errorf("grep ended with status %s in %s", status, p.Path)
	}
	if _, err := textValue("what match finds in "+p.Path, found); err != nil {
		return change, err
	}
	for _, key := range []string{"target", "owner", "group"} {
		if text, there := obs.Get(key); there {
			if _, err := textValue("the "+key+" of "+p.Path, text); err != nil {
				return change, err
			}
		}
	}
	if p.text() && p.file(obs) {
		_, err := p.content(obs)
		return change, err
	}
	return change, nil
}

func (p *pathLook) file(obs steps.Observation) bool {
	kind, _ := obs.Get("type")
	return kind == "file"
}

// content is the text of the file. What a tool of the host changed on its way, such as a NUL byte, shows by the sum.
func (p *pathLook) content(obs steps.Observation) (cty.Value, error) {
	text, sent := obs.Detail("content")
	if !sent {
		return cty.NilVal, errors.New("the content of " + p.Path + " did not come")
	}
	if len(text) > dataLimit {
		return cty.NilVal, fmt.Errorf("%s has more than %d bytes, and content and lines are for at most so many: use match for the lines that matter, or sha256", p.Path, dataLimit)
	}
	v, err := textValue(p.Path, text)
	if err != nil {
		return cty.NilVal, fmt.Errorf("%w: content and lines are for text; use sha256, or leave them out", err)
	}
	sum := sha256.Sum256([]byte(text))
	if said, _ := obs.Get("sha256"); said != hex.EncodeToString(sum[:]) {
		return cty.NilVal, fmt.Errorf("%s is no text, or changed while it was read: content and lines are for text; use sha256, or leave them out", p.Path)
	}
	return v, nil
}

// Outputs implements steps.Outputter.
func (p *pathLook) Outputs(_ *steps.Facts, obs steps.Observation, _ steps.Result) map[string]cty.Value {
	kind, _ := obs.Get("type")
	values := map[string]cty.Value{"exists": cty.BoolVal(kind != "absent")}
	values["target"] = outputText(obs, "target")
	if kind == "absent" {
		return values
	}
	values["type"] = cty.StringVal(kind)
	for _, name := range []string{"owner", "group", "sha256"} {
		values[name] = outputText(obs, name)
	}
	for _, name := range []string{"uid", "gid", "size", "mtime"} {
		values[name] = kit.NumberOutput(obs, name)
	}
	mode, moded := obs.Get("mode")
	if moded {
		values["mode"] = cty.StringVal(fmt.Sprintf("%04s", mode))
	}
	if kind != "file" {
		return values
	}
	if p.text() {
		if v, err := p.content(obs); err == nil {
			values["content"], values["lines"] = v, textLines(v.AsString())
		}
	}
	if p.matches() {
		values["matches"] = lineList(obs.All("match"))
	}
	_, closed := obs.Get("closed")
	secretIf(p.Sensitive || closed || moded && !readByAll(mode), values, "content", "lines", "matches", "sha256")
	return values
}

// readByAll tells of a mode in octal that the group and all others may read.
func readByAll(mode string) bool {
	mode = fmt.Sprintf("%03s", mode)
	return strings.Contains("4567", mode[len(mode)-1:]) && strings.Contains("4567", mode[len(mode)-2:len(mode)-1])
}
