package ssh

import (
	"errors"
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
	case strings.Contains(err.Error(), "Too many authentication failures") && l.given > 0:
		return "is the password right?"
	case strings.Contains(err.Error(), "Too many authentication failures") && l.target.IdentitiesOnly:
		return "the host takes no more keys than these (MaxAuthTries): name the right one alone with identity_file, or by IdentityFile in ssh_config"
	case strings.Contains(err.Error(), "Too many authentication failures"):
		return "name the right key with identity_file and let IdentitiesOnly be yes"
	case cut(err) && l.said != "":
		return "the host hung up with these words: see to what they name"
	case cut(err):
		return "the host hung up during the login: its own log has the reason"
	case len(l.partial) > 0 && l.given > 0:
		return "is the password right?"
	case password && (len(l.partial) > 0 || !key) && l.excluded(methodPassword) && l.excluded(methodAsk):
		return "ssh_config keeps a password from being given: see to PasswordAuthentication, KbdInteractiveAuthentication and PreferredAuthentications"
	case len(l.partial) > 0 && password && l.target.Password == nil:
		return "the host wants a password besides: give one with password"
	case len(l.partial) > 0:
		return "the host wants all of these methods, one after the other (AuthenticationMethods)"
	case l.given > 0 && (len(l.offered) == 0 || !key):
		return "is the password right?"
	case len(l.methods) > 0 && !key && l.target.Password == nil:
		return "the host takes no keys: give a password"
	case len(l.methods) > 0 && !key:
		return "the host takes neither keys nor this password's method"
	case l.unsigned && !l.signed:
		return "the host accepts that key: see to its private half on this machine"
	case l.signed:
		return "the host accepts the key and not the login: its own log has the reason, such as an account that is locked or has expired"
	case slices.Contains(l.target.WithoutMethods, methodKey):
		return "PubkeyAuthentication of ssh_config keeps keys from being offered"
	case l.target.PreferredAuthentications != "" && !slices.Contains(strings.Split(l.target.PreferredAuthentications, ","), methodKey):
		return "PreferredAuthentications of ssh_config leaves keys out"
	case len(l.offered) == 0 && l.leftOut:
		return "change what ssh_config says there, or name another key with identity_file"
	case len(l.offered) == 0 && l.unreadable:
		return "mend that key file, or name another with identity_file"
	case len(l.offered) == 0:
		return "make a key with ssh-keygen and put it on the host with ssh-copy-id, or name one with identity_file"
	}
	return "is the user right, and is one of these keys in its authorized_keys?"
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
