package ssh

import (
	"fmt"
	"slices"
	"strings"

	"provision/internal/ssh/sshconfig"
)

// unheeded names what ssh_config sets for a host and this program does not do, with file and line. What has no influence on
// whether a host is reached, and as whom, is not named.
func unheeded(s *sshconfig.Settings) []string {
	var all []string
	say := sayer(s, &all)
	off := settingOff()
	say("bindinterface", "not heeded; use BindAddress", off...)
	say("proxyusefdpass", "not heeded: the command has to carry the connection itself", off...)
	say("pkcs11provider", "not loaded: add the token's keys to an agent (ssh-add -s)", off...)
	say("securitykeyprovider", "not loaded: security keys are used through an agent", append(off, "internal")...)
	say("verifyhostkeydns", "DNS is not asked for host keys: known_hosts decides", append(off, "ask")...)
	say("stricthostkeychecking", "an unknown host key is always refused: record it with `provision trust`", "yes", "true", "ask")
	say("checkhostip", "the host's key is looked up by its name alone", off...)
	say("nohostauthenticationforlocalhost", "the key of this machine is checked like any other: record it with `provision trust`", off...)
	say("hostbasedauthentication", "this machine's host key is not used to log in: use a key of the user, or transport = \"openssh\"", off...)
	say("remotecommand", "not run: sessions run what provision needs", off...)
	for keyword, known := range map[string][]string{
		"ciphers": allCiphers(), "macs": allMACs(), "kexalgorithms": allKeyExchanges(), "hostkeyalgorithms": allHostKeys(),
		"pubkeyacceptedalgorithms": allKeys(), "casignaturealgorithms": allAuthoritySignatures(),
	} {
		nobody := nobodysNames(keyword, s.Text(keyword), known)
		if len(nobody) > 0 {
			say(keyword, "no OpenSSH up to 10.6 knows "+strings.Join(nobody, ", ")+", and ssh refuses the file")
		}
		unknown := slices.DeleteFunc(unknownNames(s.Text(keyword), known), func(name string) bool { return name == "" || slices.Contains(nobody, name) })
		if len(unknown) > 0 {
			say(keyword, "provision does not know "+strings.Join(unknown, ", "))
		}
	}
	slices.Sort(all)
	return all
}

// notDone names what ssh_config sets for a host that a session of ssh would have, and that of no transport has: steps may miss it.
func notDone(s *sshconfig.Settings) []string {
	var all []string
	say := sayer(s, &all)
	off := settingOff()
	say("forwardagent", "not done: steps on the host do not reach this machine's agent", off...)
	say("remoteforward", "not done: nothing of this machine can be reached from the host")
	say("tunnel", "not done: there is no tunnel to the host", off...)
	say("sessiontype", "not heeded: sessions run what provision needs", "default")
	if yes(s.Text("permitlocalcommand")) {
		say("localcommand", "not run", off...)
	}
	slices.Sort(all)
	return all
}

// settingOff are the words that switch something off.
func settingOff() []string { return []string{"no", "false", "none", ""} }

// sayer makes a function that notes why a keyword is not heeded, unless its value is one that is harmless.
func sayer(s *sshconfig.Settings, all *[]string) func(keyword, why string, harmless ...string) {
	return func(keyword, why string, harmless ...string) {
		v, set := s.First(keyword)
		if set && v.File != "" && !slices.Contains(harmless, strings.ToLower(v.Text())) {
			*all = append(*all, fmt.Sprintf("%s: %s %s: %s", v.Source, v.Keyword, strings.Join(v.Words, " "), why))
		}
	}
}
