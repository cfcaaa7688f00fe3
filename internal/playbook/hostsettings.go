package playbook

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"provision/internal/inventory"
	"provision/internal/steps"
)

// attribute evaluates one attribute of a block about hosts. Null counts as not written.
func (h *hostReader) attribute(a *hcl.Attribute, ty cty.Type) (cty.Value, bool) {
	if a == nil {
		return cty.NilVal, false
	}
	e := newExpression(a.Expr)
	h.pb.linkStatic(h.s, e, "where hosts are described")
	res := h.s.eval(e, nil)
	if res.failed {
		h.pb.vague = true
		return cty.NilVal, false
	}
	v, err := convert.Convert(res.value, ty)
	if err == nil && !v.IsWhollyKnown() && sensitive(v) && !h.pb.ask {
		return cty.NilVal, false // a secret whose program is not asked
	}
	if err != nil || !v.IsWhollyKnown() {
		h.s.run.found.error(a.Expr.Range(), "Invalid value for "+a.Name, sentence(withArticle(ty.FriendlyName())+" is required"))
		return cty.NilVal, false
	}
	h.pb.secrets.note(v)
	return v, !v.IsNull()
}

// text is an attribute that is a string, not sensitive.
func (h *hostReader) text(a *hcl.Attribute) string {
	v, ok := h.attribute(a, cty.String)
	if !ok {
		return ""
	}
	if v.IsMarked() {
		h.s.run.found.error(a.Expr.Range(), "Invalid value for "+a.Name, "It is shown to people and cannot be sensitive.")
		return ""
	}
	s := v.AsString()
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 || s == "" || s[0] == '-' {
		h.s.run.found.error(a.Expr.Range(), "Invalid value for "+a.Name, "It must not be empty, begin with a dash or hold control characters.")
		return ""
	}
	return s
}

func (h *hostReader) list(a *hcl.Attribute) ([]string, bool) {
	if a == nil {
		return nil, false
	}
	e := newExpression(a.Expr)
	h.pb.linkStatic(h.s, e, "where hosts are described")
	return h.s.staticStrings(e, a.Name)
}

func (h *hostReader) flag(a *hcl.Attribute) *bool {
	v, ok := h.attribute(a, cty.Bool)
	if !ok {
		return nil
	}
	v, _ = v.Unmark()
	b := v.True()
	return &b
}

// password is a text that is a secret, whether or not it is marked.
func (h *hostReader) password(a *hcl.Attribute) *steps.Text {
	v, ok := h.attribute(a, cty.String)
	if a != nil {
		h.pb.blot(a.Expr.Range())
	}
	if !ok {
		return nil
	}
	h.pb.secrets.note(v.Mark(steps.Sensitive))
	v, _ = v.Unmark()
	secret := steps.Secret(v.AsString())
	return &secret
}

// word is one of some words.
func (h *hostReader) word(a *hcl.Attribute, words ...string) string {
	if a == nil {
		return ""
	}
	e := newExpression(a.Expr)
	h.pb.linkStatic(h.s, e, "where hosts are described")
	return h.s.word(e, a.Name, "", words...)
}

// localFile is a path of the control machine, relative to the playbook.
func (h *hostReader) localFile(a *hcl.Attribute) string {
	return h.onThisMachine(h.text(a))
}

func (h *hostReader) onThisMachine(name string) string {
	switch {
	case name == "":
		return ""
	case name == "~" || strings.HasPrefix(name, "~/"):
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, name[1:])
		}
	case !filepath.IsAbs(name):
		return filepath.Join(h.pb.root.place.dir, name)
	}
	return name
}

func (h *hostReader) settings(attrs hcl.Attributes) inventory.Settings {
	set := inventory.Settings{
		User: h.text(attrs["user"]), IdentityFile: h.localFile(attrs["identity_file"]), KnownHostsFile: h.localFile(attrs["known_hosts_file"]),
		Password: h.password(attrs["password"]), BecomePassword: h.password(attrs["become_password"]),
		Legacy: h.flag(attrs["legacy"]), Become: h.flag(attrs["become"]),
	}
	if v, ok := h.attribute(attrs["port"], cty.Number); ok {
		v, _ = v.Unmark()
		n, accuracy := v.AsBigFloat().Int64()
		if accuracy != 0 || n < 1 || n > 65535 {
			h.s.run.found.error(attrs["port"].Expr.Range(), "Invalid value for port", "A whole number from 1 to 65535 is required.")
		}
		set.Port = int(n)
	}
	if jump, ok := h.list(attrs["jump"]); ok {
		set.Jump = append([]string{}, jump...)
		for _, hop := range jump {
			if hop == "" || hop[0] == '-' || strings.ContainsAny(hop, " \t\n") {
				h.s.run.found.error(attrs["jump"].Expr.Range(), "Invalid value for jump", fmt.Sprintf("%q is no host: write a name, or user@host:port.", hop))
			}
		}
	}
	if a := attrs["connect_timeout"]; a != nil {
		e := newExpression(a.Expr)
		h.pb.linkStatic(h.s, e, "where hosts are described")
		set.ConnectTimeout = h.s.duration(e, a.Name)
	}
	set.BecomeMethod = h.word(attrs["become_method"], "sudo", "su", "doas")
	set.Transport = h.word(attrs["transport"], "builtin", "openssh", "auto")
	return set
}
