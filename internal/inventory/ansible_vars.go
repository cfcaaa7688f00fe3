package inventory

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// TakeAnsible moves the variables that say how to connect out of the variables of a host, once those of
// its groups are among them, into its address and settings where these do not say so yet: ansible_host, _port,
// _user, _password, _ssh_private_key_file, _become, _become_method, _become_password, the jump of _ssh_common_args, and
// their older names. Others that begin with ansible_ concern Ansible alone and are dropped. The notes are for
// people: what could not be taken over, and why. An error says why the host cannot be reached as it is written.
func (h *Host) TakeAnsible(vars Vars) (notes []string, err error) {
	taken := ansibleVars{host: h.Name, vars: vars}
	if err := taken.connection(); err != nil {
		return nil, err
	}
	own, address, err := taken.settings(h)
	if err != nil {
		return nil, err
	}
	taken.arguments(&own)
	if h.Address == "" {
		h.Address = address
	}
	h.Settings = h.Settings.Over(own)
	for name := range vars {
		if strings.HasPrefix(name, "ansible_") {
			delete(vars, name)
		}
	}
	return taken.notes, nil
}

// ansibleVars reads the variables of one host.
type ansibleVars struct {
	host  string
	vars  Vars
	notes []string
}

// text returns the first of some variables that is set, as text, and its name.
func (a *ansibleVars) text(names ...string) (name, value string, ok bool) {
	for _, name := range names {
		if v, set := a.vars[name]; set && !v.Value.IsNull() {
			return name, ansibleText(v.Value), true
		}
	}
	return "", "", false
}

// plain is text that is no template; an error names the variable.
func (a *ansibleVars) plain(names ...string) (name, value string, err error) {
	name, value, ok := a.text(names...)
	switch {
	case !ok:
		return "", "", nil
	case isTemplate(value):
		return "", "", fmt.Errorf("%s is %q, a template, which only Ansible can fill in; write the value there, or set it in a block host %q", a.at(name), value, a.host)
	case strings.HasPrefix(value, "-") || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", "", fmt.Errorf("%s must not begin with a dash or hold control characters", a.at(name))
	}
	return name, value, nil
}

// at names a variable with its place: "ansible_host of web1 (hosts.yml:3)".
func (a *ansibleVars) at(name string) string {
	text := name + " of " + a.host
	if from := a.vars[name].From; from != nil {
		text += " (" + from.String() + ")"
	}
	return text
}

func (a *ansibleVars) note(name, text string) {
	place := name
	if from := a.vars[name].From; from != nil {
		place += " (" + from.String() + ")"
	}
	a.notes = append(a.notes, place+" "+text)
}

// connection refuses what is not SSH.
func (a *ansibleVars) connection() error {
	name, value, ok := a.text("ansible_connection")
	switch {
	case !ok, value == "", value == "ssh", value == "smart", value == "ansible.builtin.ssh", strings.HasPrefix(value, "paramiko"):
		return nil
	}
	return fmt.Errorf("%s is %q, and provision reaches hosts over SSH only; leave the host out with hosts = [\"!%s\"] in the inventory block", a.at(name), value, a.host)
}

// settings reads what the host does not say itself yet.
func (a *ansibleVars) settings(h *Host) (own Settings, address string, err error) {
	if h.Address == "" {
		_, address, err = a.plain("ansible_host", "ansible_ssh_host")
	}
	if err == nil && h.Settings.User == "" {
		_, own.User, err = a.plain("ansible_user", "ansible_ssh_user")
	}
	if err != nil {
		return own, "", err
	}
	if _, own.IdentityFile, err = a.plain("ansible_ssh_private_key_file", "ansible_private_key_file"); err != nil {
		return own, "", err
	}
	if name, value, err := a.plain("ansible_port", "ansible_ssh_port"); err != nil {
		return own, "", err
	} else if name != "" {
		port, err := strconv.Atoi(value)
		if err != nil || port < 1 || port > 65535 {
			return own, "", fmt.Errorf("%s is no port: %q", a.at(name), value)
		}
		own.Port = port
	}
	if name, value, ok := a.text("ansible_become"); ok && !isTemplate(value) {
		yes := ansibleYes(value)
		own.Become = &yes
	} else if ok {
		a.note(name, "is a template and is not heeded; say become in the playbook")
	}
	if name, value, ok := a.text("ansible_become_method"); ok {
		if value != "sudo" && value != "su" && value != "doas" {
			return own, "", fmt.Errorf("%s is %q; sudo, su and doas are known", a.at(name), value)
		}
		own.BecomeMethod = value
	}
	if name, value, ok := a.text("ansible_become_user"); ok && value != "root" {
		a.note(name, "is not heeded: hosts become root; say run_as in the play or step")
	}
	own.Password = a.secret("ansible_password", "ansible_ssh_password", "ansible_ssh_pass")
	own.BecomePassword = a.secret("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass")
	return own, address, nil
}

func (a *ansibleVars) secret(names ...string) *steps.Text {
	name, value, ok := a.text(names...)
	switch {
	case !ok:
		return nil
	case isTemplate(value):
		a.note(name, "is a template and is not heeded; set the password in the ssh block from a sensitive variable")
		return nil
	}
	secret := steps.Secret(value)
	return &secret
}

func ansibleYes(value string) bool {
	switch strings.ToLower(value) {
	case "true", "yes", "on", "y", "t", "1":
		return true
	}
	return false
}

// ansibleText is the text of a plain value; "" of others.
func ansibleText(v cty.Value) string {
	v, _ = v.UnmarkDeep()
	switch {
	case v.IsNull() || !v.IsKnown():
	case v.Type() == cty.String:
		return v.AsString()
	case v.Type() == cty.Number:
		return v.AsBigFloat().Text('f', -1)
	case v.Type() == cty.Bool:
		return strconv.FormatBool(v.True())
	}
	return ""
}
