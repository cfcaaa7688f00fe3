package ssh

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// failure says what was tried, once authentication has failed with err, and what to do.
func (l *login) failure(err error) (*AuthError, string) {
	e := &AuthError{User: l.target.User, Methods: l.methods, Partial: l.partial, Said: l.said, Notes: slices.Clone(l.notes), Err: err}
	for _, id := range l.offered {
		e.Offered = append(e.Offered, id.describe())
		e.Notes = append(e.Notes, id.doubts()...)
	}
	text := err.Error()
	switch {
	// SSH_MSG_USERAUTH_PASSWD_CHANGEREQ (RFC 4252, 8). OpenSSH lets in instead, and its session says it.
	case l.given > 0 && strings.Contains(text, "unexpected message type 60"):
		l.refusal = errPasswordExpired
		e.Err = l.refusal
	case l.refusal != nil:
		e.Err = l.refusal
	// The library says the second of a method that was refused before it had asked anything, as keyboard-interactive without PAM is.
	case strings.Contains(text, "unable to authenticate"), strings.Contains(text, "unexpected message type 51"), errors.Is(err, errNoSignature):
		e.Err = nil // the notes say it
	}
	return e, l.hint(err)
}

func (l *login) hint(err error) string {
	key := slices.Contains(l.methods, methodKey)
	password := slices.Contains(l.methods, methodPassword) || slices.Contains(l.methods, methodAsk)
	switch {
	case l.refusal != nil:
		return ""
	case strings.Contains(err.Error(), "Too many authentication failures"):
		return l.tooMany(password)
	case cut(err) && l.said != "":
		return "the host hung up with these words: see to what they name"
	case cut(err):
		return "the host hung up during the login: its own log has the reason"
	case len(l.partial) > 0 && l.given > 0:
		return "is the password right?"
	case password && (len(l.partial) > 0 || !key) && l.excluded(methodPassword) && l.excluded(methodAsk):
		return "ssh_config keeps a password from being given: see to PasswordAuthentication, KbdInteractiveAuthentication and PreferredAuthentications"
	case len(l.partial) > 0 && password && l.target.Password == nil:
		return "the host wants a password besides: " + l.wayToPassword("give one with password")
	case len(l.partial) > 0:
		return "the host wants all of these methods, one after the other (AuthenticationMethods)"
	case l.given > 0 && (len(l.offered) == 0 || !key):
		return "is the password right?"
	case len(l.methods) > 0 && !key && l.target.Password == nil:
		return "the host takes no keys: " + l.wayToPassword("give a password")
	case len(l.methods) > 0 && !key:
		return "the host takes neither keys nor this password's method"
	case l.unsigned && !l.signed && l.keptBack:
		return "change what ssh_config says there (PubkeyAcceptedAlgorithms, IdentitiesOnly), or name that key itself with IdentityFile"
	case l.unsigned && !l.signed:
		return "the host accepts that key: see to its private half on this machine"
	case l.signed:
		return "the host accepts the key and not the login: its own log has the reason, such as an account that is locked or has expired"
	case slices.Contains(l.target.WithoutMethods, methodKey):
		return "PubkeyAuthentication of ssh_config keeps keys from being offered"
	case l.target.PreferredAuthentications != "" && !slices.Contains(strings.Split(l.target.PreferredAuthentications, ","), methodKey):
		return "PreferredAuthentications of ssh_config leaves keys out"
	case len(l.offered) == 0 && l.leftOut:
		return "change what ssh_config says there, or name another key with " + l.keySetting()
	case len(l.offered) == 0 && l.unreadable:
		return "mend that key file, or name another with " + l.keySetting()
	case len(l.offered) == 0:
		return "make a key with ssh-keygen and put it on the host with ssh-copy-id, or name one with " + l.keySetting()
	case l.lacking:
		return fmt.Sprintf("have the certificate made anew, for user %s, or put the key itself into the host's authorized_keys", l.target.User)
	}
	return "is the user right, and is one of these keys in its authorized_keys?"
}

// tooMany says what to do about a host that has counted too many failures. ssh ends there as well, with the same words of the host.
func (l *login) tooMany(password bool) string {
	switch {
	case l.given > 0:
		return "is the password right?"
	case password && (l.target.Password != nil || l.target.Answer != nil):
		return "too many keys were offered before the password (MaxAuthTries): let PreferredAuthentications of ssh_config begin with keyboard-interactive,password, or name the one right key with " + l.keySetting() + " and set IdentitiesOnly"
	case l.target.IdentitiesOnly:
		return "the host takes no more keys than these (MaxAuthTries): name the right one alone with " + l.keySetting()
	}
	return "too many keys were offered before the right one (MaxAuthTries): name that with " + l.keySetting() + ", and let IdentitiesOnly be yes in ssh_config"
}

// keySetting is where the key for the host is named: a jump host that is no host of the playbook has none of its settings.
func (l *login) keySetting() string {
	if l.target.Outside {
		return "IdentityFile for " + l.target.Name + " in ssh_config"
	}
	return "identity_file"
}

// wayToPassword is how a password is given: in the words of a host of the playbook, unless this is none.
func (l *login) wayToPassword(own string) string {
	if l.target.Outside {
		return "make " + l.target.Name + " a host of the playbook with a password, and name that in jump"
	}
	return own
}

// excluded reports whether the host takes a method that ssh_config keeps from being tried, or does not take it.
func (l *login) excluded(method string) bool {
	preferred := l.target.PreferredAuthentications
	return !slices.Contains(l.methods, method) || slices.Contains(l.target.WithoutMethods, method) ||
		preferred != "" && !slices.Contains(strings.Split(preferred, ","), method)
}

// definite reports whether err is a refusal that another attempt meets again: of a host key, or of everything there is to log
// in with. A connection that was cut is none, nor is an answer that did not come.
func definite(err error) bool {
	var e *Error
	if !errors.As(err, &e) || cut(err) || errors.Is(err, ErrTimeout) {
		return false
	}
	return e.Phase == PhaseHostKey || e.Phase == PhaseAuthenticate
}

// turnedOut reports whether the host hung up during the login.
func turnedOut(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Phase == PhaseAuthenticate && cut(err)
}
