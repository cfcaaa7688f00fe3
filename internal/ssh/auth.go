package ssh

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// login chooses what to try next while the library authenticates one connection.
type login struct {
	ctx    context.Context
	target Target
	watch  *watchdog
	dialer *Dialer

	waiting []*identity // not offered yet, in order
	turn    []*identity // those of them that are offered now
	offered []*identity
	kept    []keptKey // by ssh_config
	methods []string  // what the host accepts, as last heard
	partial []string  // what it has accepted, and wants more
	notes   []string
	loaded  bool
	rounds  int    // how often the interactive method was tried
	byHand  bool   // a person answered a question of the last round
	given   int    // how often a password was
	refusal error  // why a question was not answered
	over    bool   // it ends the login
	said    string // banners and instructions
	agent   net.Conn

	typed  map[string]int  // by method: how often a person was asked for a password
	gaveUp map[string]bool // by method: the person wants to answer no more

	unreadable bool      // a key file is there and is not used
	leftOut    bool      // ssh_config keeps a key from being offered
	unsigned   bool      // the host accepted a key that could not sign
	keptBack   bool      // such a key is kept
	lacking    bool      // a certificate that was refused has a flaw
	signed     bool      // the host accepted a key, and had its signature
	last       *identity // that has signed
}

const (
	methodKey      = "publickey"
	methodPassword = "password"
	methodAsk      = "keyboard-interactive"
)

// next is the library's AuthCallback: called after the opening "none" request and after each method that did not suffice.
func (l *login) next(c *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	if len(c.PartialSuccessMethods) > len(l.partial) { // what follows may be asked for once more
		l.given, l.rounds, l.typed = 0, 0, nil
	}
	if l.over {
		return nil, l.refusal
	}
	l.methods, l.partial = c.AllowedMethods, c.PartialSuccessMethods
	order := []string{methodKey, methodAsk, methodPassword} // as ssh_config(5), PreferredAuthentications
	if l.target.PreferredAuthentications != "" {
		order = strings.Split(l.target.PreferredAuthentications, ",")
		if end := slices.Index(order, ""); end >= 0 {
			order = order[:end] // as in ssh (match.c, match_list)
		}
	}
	for _, last := range []bool{false, true} {
		for _, name := range order {
			if !slices.Contains(l.methods, name) || slices.Contains(l.target.WithoutMethods, name) {
				continue
			}
			if method := l.method(name, last); method != nil {
				return method, nil
			}
		}
	}
	return nil, nil
}

// method is what a method still has to try; nil: nothing. Keys that are one too many before a password come last.
func (l *login) method(name string, last bool) ssh.AuthMethod {
	switch name {
	case methodKey:
		if !l.loaded {
			l.loaded = true
			l.load()
		}
		l.turn = l.waiting
		if left := maxKeysBeforePassword - len(l.offered); !last && l.hasPassword() && len(l.turn) > left {
			l.turn = l.turn[:max(0, left)]
		}
		if len(l.turn) > 0 {
			return ssh.PublicKeysCallback(l.signers)
		}
	case methodPassword:
		if l.hasPassword() {
			return ssh.PasswordCallback(l.givePassword)
		}
		if l.asksPerson(methodPassword) {
			return ssh.PasswordCallback(func() (string, error) {
				return l.askPassword(methodPassword, Prompt{Kind: PromptPassword, Host: l.target.Name, User: l.target.User, Text: "password:"})
			})
		}
	case methodAsk:
		// Where a key may still be what is missing, nobody is asked questions that only a password would answer.
		// A person may be asked again after a wrong answer, as often as by ssh.
		again := l.rounds == 0 || l.byHand && l.rounds < l.target.PasswordPrompts && l.asksPerson(methodAsk)
		if again && (l.hasPassword() || l.asksPerson(methodAsk) || len(l.partial) > 0 || !slices.Contains(l.methods, methodKey)) {
			l.rounds++
			l.byHand = false
			return ssh.KeyboardInteractive(l.answer)
		}
	}
	return nil
}

// hasPassword tells whether there is a password that was not refused. A wrong one is not tried again by the other method: both
// mostly end at the same account, and failures are counted (pam_faillock).
func (l *login) hasPassword() bool { return l.target.Password != nil && l.given == 0 }

// asksPerson tells whether a person may be asked for a password by a method.
func (l *login) asksPerson(method string) bool {
	return l.target.Password == nil && l.target.Answer != nil && l.typed[method] < l.target.PasswordPrompts && !l.gaveUp[method]
}

func (l *login) askPassword(method string, p Prompt) (string, error) {
	if l.typed == nil {
		l.typed = map[string]int{}
	}
	l.typed[method]++
	p.Attempt = l.given + 1
	text, err := l.ask(method, p)
	if err == nil {
		l.given++
	}
	return text, err
}

// ask asks a person, who may give the method up.
func (l *login) ask(method string, p Prompt) (string, error) {
	defer l.watch.pause()()
	text, err := l.target.Answer(l.ctx, p)
	switch {
	case err == nil && errors.Is(l.refusal, ErrNoAnswer):
		l.refusal = nil // of another method
	case errors.Is(err, ErrNoAnswer):
		if l.gaveUp == nil {
			l.gaveUp = map[string]bool{}
		}
		l.gaveUp[method] = true
		l.refusal = err
	}
	return text, err
}

// ErrNoAnswer is within the error of an [Answer] where the person wants to give none: the method is given up, or the key file.
var ErrNoAnswer = errors.New("no answer was given")

func (l *login) givePassword() (string, error) {
	l.given++
	defer l.watch.pause()()
	return l.target.Password(l.ctx)
}

// signers hands the identities whose turn it is to the library; each leaves the queue when it is offered, so that a failure in
// the middle (an agent that declines to sign) goes on with the rest.
func (l *login) signers() ([]ssh.Signer, error) {
	all := make([]ssh.Signer, len(l.turn))
	for i, id := range l.turn {
		all[i] = id
	}
	return all, nil
}

func (l *login) markOffered(id *identity) {
	if i := slices.Index(l.waiting, id); i >= 0 {
		l.waiting = slices.Delete(slices.Clone(l.waiting), i, i+1)
		l.offered = append(l.offered, id)
		l.watch.enter(PhaseAuthenticate)
	}
}

// hear keeps what the host says while it is logged in to: a banner has the reason why nobody is let in (pam_nologin(8)).
func (l *login) hear(text string) error {
	const longest = 500
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if text != "" && !strings.Contains(l.said, text) && len(l.said) < longest {
		l.said = strings.TrimSpace(l.said + " " + text)
		if len(l.said) > longest {
			l.said = strings.ToValidUTF8(l.said[:longest], "") + "…"
		}
	}
	return nil
}

func (l *login) close() {
	if l.agent != nil {
		l.agent.Close()
	}
}
