package engine

import (
	"regexp"
	"strings"
)

func needPassword(method string) *BecomeError {
	return &BecomeError{
		Method: method, NeedPassword: true,
		Cause: "a password is required",
		Hint:  "pass --ask-become-pass, set become_password, or allow the user NOPASSWD in sudoers",
	}
}

func notAccepted(method string) *BecomeError {
	return &BecomeError{
		Method: method, NotAccepted: true,
		Cause: "the password was not accepted",
		Hint:  "check become_password, or the answer to --ask-become-pass",
	}
}

// unknownWords is the hint where it is not known what was meant.
const unknownWords = "try it by hand over ssh; if it asks for a password, pass --ask-become-pass or set become_password"

// noCommand matches what shells say where there is no command of the name: "sh: 1: exec: sudo: not found", "sudo: Command not found.",
// "fish: Unknown command: sudo". What sudo itself says of files and commands that are missing has their names in that place.
var noCommand = regexp.MustCompile(`(?im)(^|[\s:'"])(sudo|su|doas)['"]?: *(command )?not found\b|(unknown command|command not found):? *['"]?(sudo|su|doas)\b|"(sudo|su|doas)": executable file not found`)

// becomeError reads what sudo, su or doas said when they refused. The words of one implementation or language only add a
// cause and a hint: what is not known is told as it was said. It returns nil if nothing was said.
func becomeError(method, said string) error {
	has := func(part string) bool { return strings.Contains(strings.ToLower(said), part) }
	e := &BecomeError{Method: method, Cause: lastWords(said, 4), Hint: unknownWords}
	switch {
	case strings.TrimSpace(said) == "":
		return nil
	case has("must have a tty"):
		e.Cause = "sudo is configured with requiretty"
		e.Hint = "remove requiretty for this user: a line \"Defaults:USER !requiretty\" in /etc/sudoers.d"
	case has("account is locked"), has("account has been locked"), has("account locked"):
		e.NotAccepted = true
		e.Hint = "wait until the lock ends, or end it on the host: faillock --user USER --reset"
	case has("incorrect password"), has("sorry, try again"), has("authentication failure"), has("authentication failed, try again"), has("incorrect authentication"):
		return notAccepted(method)
	case method == "doas" && (has("authentication required") || has("authorization required") || has("a tty is required")):
		e.Cause = "doas asks for a password, and takes it from a terminal only"
		e.Hint = "let it ask none, with a line \"permit nopass USER\" in /etc/doas.conf, or set become_method to sudo or su"
	case has("password is required"), has("authentication required"), has("authentication is required"), has("a terminal is required"):
		return needPassword(method)
	case noCommand.MatchString(said):
		e.Cause = "there is no " + method + " on the host"
		e.Hint = "log in as root, or set become_method to one of sudo, su and doas that the host has"
	case has("not in the sudoers"), has("not allowed to"), has("may not run"), has("operation not permitted"), has("i'm afraid i can't do that"):
		e.Hint = "allow the user to run /bin/sh as that user, or log in as another user"
	case has("sudoers: "), has("/etc/sudoers"), has("sudoers-rs"):
		e.Hint = "repair sudo's configuration on the host: visudo -c tells what is wrong with it"
	case has("account is currently not available"), has("account is not available"):
		e.Hint = "give the account a shell, or log in as another user"
	case has("expired"), has("new authtok"):
		e.Cause = "the password of the account has expired, or must be changed"
		e.Hint = "log in with ssh once and change it"
	}
	return e
}
