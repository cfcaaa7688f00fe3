package engine

import "strings"

func needPassword(method string) *BecomeError {
	return &BecomeError{
		Method: method, NeedPassword: true,
		Cause: "a password is required",
		Hint:  "pass --ask-become-pass, set become_password, or allow the user NOPASSWD in sudoers",
	}
}

// becomeError reads what sudo, su or doas said when they refused. It returns nil if they said nothing
// that is known.
func becomeError(method, said string) error {
	has := func(part string) bool { return strings.Contains(strings.ToLower(said), part) }
	e := &BecomeError{Method: method, Cause: lastLines(strings.TrimSpace(said), 2), Hint: "try it by hand over ssh"}
	switch {
	case has("must have a tty"):
		e.Cause = "sudo is configured with requiretty"
		e.Hint = "remove requiretty for this user: a line \"Defaults:USER !requiretty\" in /etc/sudoers.d"
	case has("incorrect password"), has("sorry, try again"), has("authentication failure"):
		e.Cause = "the password was not accepted"
		e.Hint = "check become_password, or the answer to --ask-become-pass"
	case has("password is required"), has("authentication required"), has("a terminal is required"):
		return needPassword(method)
	case has("not in the sudoers"), has("not allowed to"), has("may not run"), has("operation not permitted"):
		e.Hint = "allow the user to run /bin/sh as root, or log in as another user"
	case has("not found"), has("no such file"), has("unknown command"):
		e.Cause = "there is no " + method + " on the host"
		e.Hint = "log in as root, or set become_method to one of sudo, su and doas that the host has"
	case has("expired"), has("new authtok"):
		e.Cause = "the password of the account has expired"
		e.Hint = "log in once by hand and change it"
	case said == "":
		return nil
	}
	return e
}
