package playbook

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/mattn/go-isatty"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"provision/internal/steps"
)

// readSecret reads the block of a variable whose value a program of this machine prints.
func (pb *Playbook) readSecret(m *module, v *variable, b *hcl.Block) {
	content, diags := b.Body.Content(&secretSchema)
	pb.loading.add(diags...)
	v.sensitive = true
	switch {
	case m.parent != nil:
		pb.loading.error(b.DefRange, "A secret in a module", "Only a variable of the playbook itself can ask a program for its value. Declare it there, and pass it to the module.")
	case v.def != nil:
		pb.loading.error(v.def.Range(), "Two values", "A variable has either a default or a secret. Remove one of them.")
	case v.command != nil:
		pb.loading.error(b.DefRange, "Two secrets", "A variable takes its value from one program. Remove one of the blocks.")
	case content.Attributes["command"] != nil:
		v.command = newExpression(content.Attributes["command"].Expr)
	}
}

// askSecret returns what the program of a secret prints, without the line break at its end. Where nobody may be asked it is unknown.
func (pb *Playbook) askSecret(v *variable) (cty.Value, bool) {
	if v.command.bad {
		return cty.NilVal, false
	}
	at := v.command.Range()
	list, diags := v.command.constant(pb.root, pb)
	if diags.HasErrors() {
		pb.loading.add(diags...)
		return cty.NilVal, false
	}
	list, _ = list.UnmarkDeep()
	list, err := convert.Convert(list, cty.List(cty.String))
	if err != nil || list.IsNull() || !list.IsWhollyKnown() || list.LengthInt() == 0 {
		pb.loading.error(at, "Wrong type of value", "command is a list of texts: a program and its arguments, such as [\"op\", \"read\", \"op://vault/database/password\"].")
		return cty.NilVal, false
	}
	if !pb.ask {
		return cty.UnknownVal(v.typ), true
	}
	var argv []string
	for _, word := range list.AsValueSlice() {
		if word.IsNull() {
			pb.loading.error(at, "Wrong type of value", "A word of command is null.")
			return cty.NilVal, false
		}
		argv = append(argv, word.AsString())
	}
	text, err := pb.runSecret(argv)
	if err != nil {
		pb.loading.error(at, "A secret cannot be had", sentence("The value of var."+v.name+" comes from "+err.Error()))
		return cty.NilVal, false
	}
	pb.secrets.note(cty.StringVal(text).Mark(steps.Sensitive))
	values := map[string]given{}
	pb.giveText(values, v, text, "the secret's command")
	return values[v.name].value, values[v.name].value != cty.NilVal
}

// runSecret runs a program in the directory of the playbook. At a terminal it may ask a person; what it says there is not kept.
func (pb *Playbook) runSecret(argv []string) (string, error) {
	cmd := exec.CommandContext(pb.whole, argv[0], argv[1:]...)
	if errors.Is(cmd.Err, exec.ErrNotFound) {
		return "", errors.New(argv[0] + ", which is not installed on this machine")
	}
	cmd.Dir = pb.root.place.dir
	if isatty.IsTerminal(os.Stdin.Fd()) {
		cmd.Stdin = os.Stdin
	}
	out, err := runSecretly(cmd)
	if err != nil {
		return "", err
	}
	out = bytes.TrimSuffix(bytes.TrimSuffix(out, []byte("\n")), []byte("\r"))
	switch {
	case len(out) == 0:
		return "", errors.New(filepath.Base(cmd.Path) + ", which prints nothing")
	case !utf8.Valid(out):
		return "", errors.New(filepath.Base(cmd.Path) + ", which prints no UTF-8 text")
	}
	return string(out), nil
}
