package ssh

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// A PromptKind is what a question of the host asks for.
type PromptKind int

// The kinds of prompts.
const (
	PromptOther       PromptKind = iota
	PromptPassword               // the password of the account
	PromptCode                   // a code that is good once
	PromptNewPassword            // the account's password has expired, and the host wants another
	PromptConfirm                // the new password again
)

// A Prompt is a question that the host asks while it is logged in to.
type Prompt struct {
	Host, User  string
	Kind        PromptKind
	Text        string // as the host words it
	Instruction string // what the host says beside it
	Echo        bool   // the answer is no secret
	Attempt     int    // at a password: 1 at first, and more where the last answer was wrong
}

// promptKind tells the kinds apart by the words of PAM modules, the strictest first: what may be about a new password or a
// code is never answered with the password.
func promptKind(text string) PromptKind {
	text = strings.ToLower(text)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("retype", "re-type", "re-enter", "reenter", "again", "repeat", "confirm", "erneut", "wiederhol", "retapez", "confirme", "重新", "再次"):
		return PromptConfirm
	case has("new", "neues", "nouveau", "nueva", "nuova", "nova ", "(current)", "current ", "old ", "change", "expired", "新的", "当前", "aktuelles", "actuel"):
		return PromptNewPassword
	case has("code", "otp", "one-time", "one time", "token", "verif", "factor", "2fa", "mfa", "challenge", "passcode", "pin", "yubikey", "authenticator"):
		return PromptCode
	case has("password", "passwort", "kennwort", "mot de passe", "contraseña", "senha", "wachtwoord", "hasło", "пароль", "密码", "密碼", "パスワード", "암호"):
		return PromptPassword
	}
	return PromptOther
}

// answer answers the questions of one round, each from what it asks for, once, or refuses it with the host's own words.
func (l *login) answer(name, instruction string, questions []string, echos []bool) ([]string, error) {
	_ = l.hear(name)
	_ = l.hear(instruction)
	answers := make([]string, len(questions))
	for i, text := range questions {
		p := Prompt{
			Host: l.target.Name, User: l.target.User, Kind: promptKind(text), Text: strings.TrimSpace(text),
			Instruction: strings.Join(strings.Fields(instruction), " "), Echo: echos[i],
		}
		var err error
		if answers[i], err = l.answerOne(p); err != nil {
			l.refusal = err
			return nil, err
		}
	}
	return answers, nil
}

func (l *login) answerOne(p Prompt) (string, error) {
	switch {
	case p.Kind == PromptNewPassword, p.Kind == PromptConfirm:
		l.over = true // the next attempt would end here, too
		return "", p.expired()
	case p.Kind == PromptPassword && l.hasPassword():
		return l.givePassword()
	case p.Kind == PromptPassword && l.asksPerson(methodAsk):
		l.byHand = true
		return l.askPassword(methodAsk, p)
	case p.Kind == PromptPassword && l.given > 0 && l.target.Password != nil:
		return "", fmt.Errorf("the host asks %q once more: the password is wrong", p.Text)
	case p.Kind == PromptPassword && l.typed[methodAsk] > 0:
		return "", fmt.Errorf("the host asks %q once more: no password was right", p.Text)
	case p.Kind == PromptPassword:
		return "", fmt.Errorf("the host asks %q: give a password", p.Text)
	case l.target.Answer == nil:
		return "", fmt.Errorf("the host asks %q, and nobody is there to answer", p.Text)
	}
	l.byHand = true
	return l.ask(methodAsk, p)
}

// expired is why a question for a new password is not answered.
func (p Prompt) expired() error {
	return fmt.Errorf("the host asks %q: %w", p.Text, errPasswordExpired)
}

// errPasswordExpired is within the error of each way in which a host asks for a new password.
var errPasswordExpired = errors.New("the password of the account has expired, or must be changed; log in with ssh once and change it")

// An Answer asks a person what the host asks.
type Answer func(context.Context, Prompt) (string, error)
