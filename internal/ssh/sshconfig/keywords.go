package sshconfig

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A kind says how the arguments of a keyword are read.
type kind int

const (
	isHost kind = iota
	isMatch
	isInclude
	isIgnored // ssh knows the keyword and does nothing with it any more
	isRest    // a command: the rest of the line as it stands
	isJump    // ProxyJump, of which a comment is no part
	isOne     // one word
	isOption  // one of some words
	isPort
	isNumber
	isTime
	isFiles // any number of words; the first line wins as a whole
	isMore  // one word; each line adds one
	isAny   // not looked at
)

// keywords are those of ssh_config(5) up to OpenSSH 10.6, those that it still accepts, and those of Debian's, Fedora's and
// Apple's builds.
var keywords = allKeywords()

func allKeywords() map[string]kind {
	all := map[string]kind{
		"host": isHost, "match": isMatch, "include": isInclude,
		"proxyjump": isJump, "port": isPort, "connecttimeout": isTime, "serveraliveinterval": isTime,
		"protocolkeepalives": isTime, "setuptimeout": isTime,
		"serveralivecountmax": isNumber, "canonicalizemaxdots": isNumber, "connectionattempts": isNumber, "numberofpasswordprompts": isNumber,
		"requiredrsasize": isNumber,
	}
	for k, names := range map[kind]string{
		isRest: "proxycommand localcommand remotecommand knownhostscommand",
		isOne: "hostname user hostkeyalias bindaddress bindinterface hostkeyalgorithms revokedhostkeys identityagent ignoreunknown tag " +
			"preferredauthentications ciphers macs kexalgorithms casignaturealgorithms pubkeyacceptedalgorithms pubkeyacceptedkeytypes " +
			"hostbasedacceptedalgorithms hostbasedkeytypes controlpath pkcs11provider smartcarddevice securitykeyprovider versionaddendum",
		isOption: "addressfamily stricthostkeychecking pubkeyauthentication identitiesonly canonicalizehostname canonicalizefallbacklocal " +
			"passwordauthentication kbdinteractiveauthentication challengeresponseauthentication batchmode verifyhostkeydns " +
			"nohostauthenticationforlocalhost proxyusefdpass hashknownhosts checkhostip sessiontype dsaauthentication skeyauthentication tisauthentication",
		isFiles: "userknownhostsfile globalknownhostsfile canonicaldomains canonicalizepermittedcnames",
		isMore:  "identityfile identityfile2 certificatefile",
		isIgnored: "afstokenpassing kerberosauthentication kerberostgtpassing rhostsauthentication rhostsrsaauthentication rsaauthentication " +
			"compressionlevel cipher protocol fallbacktorsh usersh useroaming useprivilegedport " +
			"globalknownhostsfile2 userknownhostsfile2 useblacklistedkeys",
		isAny: "addkeystoagent channeltimeout clearallforwardings compression controlmaster controlpersist dynamicforward enableescapecommandline " +
			"enablesshkeysign escapechar exitonforwardfailure fingerprinthash forkafterauthentication forwardagent forwardx11 forwardx11timeout " +
			"forwardx11trusted gatewayports gssapiauthentication gssapiclientidentity gssapidelegatecredentials gssapikexalgorithms " +
			"gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity gssapitrustdns hostbasedauthentication ipqos kbdinteractivedevices " +
			"localforward loglevel logverbose obscurekeystroketiming permitlocalcommand permitremoteopen keepalive refuseconnection " +
			"rekeylimit remoteforward requesttty sendenv setenv stdinnull streamlocalbindmask " +
			"streamlocalbindunlink syslogfacility tcpkeepalive tunnel tunneldevice updatehostkeys visualhostkey warnweakcrypto xauthlocation",
	} {
		for name := range strings.FieldsSeq(names) {
			all[name] = k
		}
	}
	if runtime.GOOS == "darwin" {
		all["usekeychain"] = isIgnored // Apple's ssh alone knows it
	}
	return all
}

var environmentName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// canonical is the name of a keyword today.
func canonical(keyword string) string {
	switch keyword {
	case "identityfile2":
		return "identityfile"
	case "pubkeyacceptedkeytypes":
		return "pubkeyacceptedalgorithms"
	case "hostbasedkeytypes":
		return "hostbasedacceptedalgorithms"
	case "challengeresponseauthentication", "skeyauthentication", "tisauthentication":
		return "kbdinteractiveauthentication"
	case "dsaauthentication":
		return "pubkeyauthentication"
	case "smartcarddevice":
		return "pkcs11provider"
	case "keepalive":
		return "tcpkeepalive"
	case "protocolkeepalives": // Debian's
		return "serveraliveinterval"
	case "setuptimeout": // Debian's, and up to OpenSSH 9 another name of ServerAliveInterval
		return "connecttimeout"
	}
	return keyword
}

// options are the words that a keyword of kind isOption takes.
func options(keyword string) []string {
	yesNo := []string{"yes", "true", "no", "false"}
	switch keyword {
	case "addressfamily":
		return []string{"any", "inet", "inet6"}
	case "stricthostkeychecking":
		return append(yesNo, "ask", "off", "accept-new")
	case "sessiontype":
		return []string{"none", "subsystem", "default"}
	case "verifyhostkeydns":
		return append(yesNo, "ask")
	case "canonicalizehostname":
		return append(yesNo, "always")
	case "pubkeyauthentication":
		return append(yesNo, "unbound", "host-bound")
	}
	return yesNo
}

// check reports what ssh refuses in the words of a line, and brings them to one form.
func check(v *Value, k kind) error {
	v.Keyword = canonical(v.Keyword)
	if k == isAny {
		return nil
	}
	if len(v.Words) == 0 || v.Words[0] == "" {
		return errors.New("the argument is missing")
	}
	if k == isFiles {
		return checkFiles(v.Words)
	}
	if len(v.Words) > 1 {
		return fmt.Errorf("there is more after %q; quote a value that has blanks", v.Words[0])
	}
	word := v.Words[0]
	if name, yes := strings.CutPrefix(word, "$"); yes && v.Keyword == "identityagent" && !strings.HasPrefix(name, "{") && !environmentName.MatchString(name) {
		return fmt.Errorf("%q is not the name of an environment variable", word)
	}
	switch k {
	case isOption:
		v.Words[0] = strings.ToLower(word)
		if all := options(v.Keyword); !slices.Contains(all, v.Words[0]) {
			return fmt.Errorf("%q is not one of %s", word, strings.Join(all, ", "))
		}
	case isPort:
		port, err := net.LookupPort("tcp", word)
		if err != nil || port < 1 || port > 65535 {
			return fmt.Errorf("%q is not a port from 1 to 65535", word)
		}
		v.Words[0] = strconv.Itoa(port)
	case isNumber:
		if _, err := strconv.Atoi(word); err != nil {
			return fmt.Errorf("%q is not a number", word)
		}
	case isTime:
		if _, err := ParseTime(word); err != nil && word != "none" {
			return err
		}
	}
	return nil
}

func checkFiles(words []string) error {
	for _, w := range words {
		switch {
		case w == "":
			return errors.New("an argument is empty")
		case strings.EqualFold(w, "none") && len(words) > 1:
			return errors.New("none must stand alone")
		}
	}
	return nil
}
