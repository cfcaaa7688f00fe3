package inventory

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// arguments takes over what the arguments for ssh say of the way to the host: -J, -p, -l, -i and the options of the same
// meaning. What only tunes ssh is dropped, and anything else is noted.
func (a *ansibleVars) arguments(own *Settings) {
	for _, name := range []string{"ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args"} {
		_, text, ok := a.text(name)
		if !ok || text == "" {
			continue
		}
		words, err := ansibleWords(text)
		if err != nil || isTemplate(text) {
			a.note(name, "cannot be read and is not heeded; set jump and the like in the ssh block")
			continue
		}
		for len(words) > 0 {
			var flag, value string
			flag, value, words = nextFlag(words)
			a.argument(own, name, flag, value)
		}
	}
}

// nextFlag takes one argument of ssh with its value off a list of words.
func nextFlag(words []string) (flag, value string, rest []string) {
	const withValue = "-B-b-c-D-E-e-F-I-i-J-L-l-m-O-o-p-Q-R-S-W-w" // ssh(1)
	word := words[0]
	if len(word) < 2 || word[0] != '-' || !strings.Contains(withValue, word[:2]) {
		return word, "", words[1:]
	}
	if len(word) > 2 {
		return word[:2], word[2:], words[1:]
	}
	if len(words) == 1 {
		return word, "", nil
	}
	return word, words[1], words[2:]
}

func (a *ansibleVars) argument(own *Settings, name, flag, value string) {
	switch flag {
	case "-J":
		a.option(own, name, "proxyjump", value)
	case "-p":
		a.option(own, name, "port", value)
	case "-l":
		a.option(own, name, "user", value)
	case "-i":
		a.option(own, name, "identityfile", value)
	case "-o":
		key, rest, ok := strings.Cut(value, "=")
		if !ok {
			key, rest, _ = strings.Cut(value, " ")
		}
		a.option(own, name, strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(rest))
	case "-4", "-6", "-A", "-a", "-C", "-q", "-T", "-t", "-tt", "-v", "-vv", "-vvv", "-x", "-n":
	default:
		a.note(name, "holds "+strconv.Quote(strings.TrimSpace(flag+" "+value))+", which is not heeded")
	}
}

func (a *ansibleVars) option(own *Settings, name, key, value string) {
	ok := true
	switch key {
	case "proxyjump":
		own.Jump, ok = jumps(value)
	case "proxycommand":
		var hop string
		if hop, ok = throughSSH(value); ok {
			own.Jump = []string{hop}
		}
	case "port":
		if n, err := strconv.ParseUint(value, 10, 16); err == nil && n > 0 {
			own.Port = first(own.Port, int(n))
		} else {
			ok = false
		}
	case "user":
		own.User = first(own.User, value)
	case "identityfile":
		own.IdentityFile = first(own.IdentityFile, value)
	case "connecttimeout":
		if n, err := strconv.ParseUint(value, 10, 16); err == nil {
			own.ConnectTimeout = time.Duration(n) * time.Second
		}
	case "stricthostkeychecking":
		if value == "no" || value == "off" {
			a.note(name, "switches the checking of host keys off, which is not heeded: they are always checked; provision trust records them")
		}
	case "userknownhostsfile":
		if value != "/dev/null" {
			own.KnownHostsFile = value
		}
	default:
		ok = slices.Contains(strings.Fields(tuning), key)
	}
	if !ok {
		a.note(name, "holds "+strconv.Quote(key+"="+value)+", which is not heeded; ~/.ssh/config, or jump in the ssh block, may serve")
	}
}

// tuning are options of ssh that change nothing of where a connection goes and who it is.
const tuning = `addkeystoagent batchmode ciphers compression controlmaster controlpath controlpersist forwardagent forwardx11
gssapiauthentication hostkeyalgorithms identitiesonly kbdinteractiveauthentication kexalgorithms loglevel macs
numberofpasswordprompts passwordauthentication preferredauthentications pubkeyacceptedalgorithms
pubkeyacceptedkeytypes pubkeyauthentication requesttty serveralivecountmax serveraliveinterval tcpkeepalive`

func first[T comparable](own, other T) T {
	var none T
	if own != none {
		return own
	}
	return other
}

// jumps reads the value of ProxyJump.
func jumps(value string) ([]string, bool) {
	if value == "none" {
		return []string{}, true
	}
	var list []string
	for _, hop := range strings.Split(value, ",") {
		hop = strings.TrimPrefix(strings.TrimSpace(hop), "ssh://")
		if hop == "" || hop[0] == '-' || strings.ContainsAny(hop, " \t\n") {
			return nil, false
		}
		list = append(list, hop)
	}
	return list, true
}

// throughSSH reads a ProxyCommand that is "ssh -W %h:%p [user@]bastion": the way of a jump before there was one.
func throughSSH(command string) (hop string, ok bool) {
	words, err := ansibleWords(command)
	if err != nil || len(words) < 2 || path.Base(words[0]) != "ssh" {
		return "", false
	}
	words = words[1:]
	forwards, user, port := false, "", ""
	for len(words) > 0 {
		var flag, value string
		flag, value, words = nextFlag(words)
		switch flag {
		case "-W":
			forwards = value == "%h:%p" || value == "[%h]:%p"
		case "-l":
			user = value
		case "-p":
			port = value
		case "-q", "-A", "-a", "-C", "-T", "-x", "-4", "-6", "-o":
		default:
			if flag == "" || flag[0] == '-' || hop != "" {
				return "", false
			}
			hop = flag
		}
	}
	if user != "" && !strings.Contains(hop, "@") {
		hop = user + "@" + hop
	}
	if port != "" {
		hop += ":" + port
	}
	return hop, forwards && hop != "" && !strings.ContainsAny(hop, " \t\n")
}
