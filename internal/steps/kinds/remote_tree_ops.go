package kinds

import (
	"fmt"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
)

// ops is the one Run that removes the differences.
func (t *remoteTree) ops(d differences) []steps.Op {
	var b strings.Builder
	b.WriteString(shell.Strip(syncScriptSource) + mergeScript)
	replaces := ""
	if len(d.send) > d.created {
		replaces = "yes"
	}
	fmt.Fprintf(&b, "dest=%s\nowner_words=%s\nreplaces=%s\n", shell.Quote(t.dest), shell.Quote(t.owner.Operand()), replaces)
	if t.noted == "" {
		t.eachChunk(&b, d.replace, "rm -rf --")
	} else {
		t.eachChunk(&b, d.remove, "sync_remove")
		t.eachChunk(&b, d.prune, "sync_prune")
		t.eachChunk(&b, d.replace, "sync_replace")
	}
	run := steps.Run{}
	if len(d.send) > 0 || t.noted != "" {
		b.WriteString("sync_receive\n")
		wanted := map[string]bool{}
		for _, p := range d.send {
			wanted[p] = true
		}
		run.Stdin = &steps.Content{Tree: t.Only(func(f steps.TreeFile) bool { return wanted[f.Path] })}
		if t.noted != "" {
			run.Stdin.Tree.Files = append(run.Stdin.Tree.Files, t.note())
		}
	}
	wrong := map[string]bool{}
	for _, p := range d.chmod {
		wrong[p] = true
	}
	modes := map[int64][]string{}
	for _, f := range t.Files {
		if wrong[f.Path] {
			modes[f.Mode()] = append(modes[f.Mode()], f.Path)
		}
	}
	for _, mode := range []int64{0o755, 0o644, 0o600} {
		t.eachChunk(&b, modes[mode], fmt.Sprintf("chmod %o --", mode))
	}
	if owner := t.owner.Operand(); owner != "" {
		chown := d.chown
		if len(chown) == 0 {
			chown = []string{"."} // where it is made just now
		}
		t.eachChunk(&b, chown, "chown -h -- "+shell.Quote(owner))
	}
	if t.noted == "" {
		t.eachChunk(&b, d.remove, "sync_remove")
	}
	run.Script = b.String()
	return []steps.Op{run}
}

// eachChunk writes a command with paths of the destination as operands, as often as it takes.
func (t *remoteTree) eachChunk(b *strings.Builder, paths []string, command string) {
	const chunk = 200
	for len(paths) > 0 {
		n := min(len(paths), chunk)
		words := make([]string, n)
		for i, p := range paths[:n] {
			words[i] = "./" + p
		}
		fmt.Fprintf(b, "( cd -- \"$dest\" && %s %s ) || exit 1\n", command, shell.Words(words...))
		paths = paths[n:]
	}
}

// noteName is the name under which the list of what is sent travels among the files. It does not stay with them: an image that is
// built from the whole directory would be built anew for nothing.
const noteName = ".provision-sent"

// note is that list.
func (t *remoteTree) note() steps.TreeFile {
	content := steps.Plain(t.manifest())
	return steps.TreeFile{Path: noteName, Type: steps.TreeRegular, Size: int64(len(content.Reveal())), Content: &content}
}
