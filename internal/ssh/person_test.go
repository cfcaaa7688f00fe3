package ssh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// What a person is asked, and in which order the methods are tried, is that of ssh: each method has NumberOfPasswordPrompts attempts of
// its own. Where the person gives no answer, or the host asks for a new password, it ends sooner.
func TestAttemptsOfAPerson(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string // of the person, "-" for none
		rounds  []string // of each attempt by keyboard-interactive
		prompts int
		want    []string // what is asked, with the number of the attempt
		end     string   // in the error
	}{
		"the third is right":          {[]string{"a", "b", "right"}, []string{"Password: "}, 3, []string{"Password: 1", "Password: 2", "Password: 3"}, ""},
		"by the other method":         {[]string{"a", "b", "c", "d", "right"}, []string{"Password: "}, 3, []string{"Password: 1", "Password: 2", "Password: 3", "password: 4", "password: 5"}, ""},
		"never right":                 {[]string{"a", "b", "c", "d"}, []string{"Password: "}, 2, []string{"Password: 1", "Password: 2", "password: 3", "password: 4"}, "is the password right?"},
		"once each":                   {[]string{"a", "b", "right"}, []string{"Password: "}, 1, []string{"Password: 1", "password: 2"}, "is the password right?"},
		"a code, wrong twice":         {[]string{"1", "2", "right"}, []string{"Verification code: "}, 3, []string{"Verification code: 0", "Verification code: 0", "Verification code: 0"}, ""},
		"a code, and then a password": {[]string{"1", "2", "3", "right"}, []string{"Verification code: "}, 3, []string{"Verification code: 0", "Verification code: 0", "Verification code: 0", "password: 1"}, ""},
		"no answer":                   {[]string{"-", "-", "right"}, []string{"Password: "}, 3, []string{"Password: 1", "password: 1"}, "no answer was given"},
		"no answer to a code":         {[]string{"-", "-"}, []string{"Verification code: "}, 3, []string{"Verification code: 0", "password: 1"}, "no answer was given"},
		"expired":                     {[]string{"right", "right"}, []string{"Password: ", "Current password: ", "New password: "}, 3, []string{"Password: 1"}, `"Current password:": the password of the account has expired`},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			answers := slices.Clone(c.answers)
			person := func(_ context.Context, p Prompt) (string, error) {
				asked = append(asked, fmt.Sprintf("%s %d", p.Text, p.Attempt))
				if len(answers) == 0 {
					return "", errors.New("asked too often")
				}
				answer := answers[0]
				if answers = answers[1:]; answer == "-" {
					return "", fmt.Errorf("%s %w", p.Text, ErrNoAnswer)
				}
				return answer, nil
			}
			err := loginTo(t, &ssh.ServerConfig{
				MaxAuthTries: 20,
				KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
					for _, question := range c.rounds {
						got, err := ask("", "", []string{question}, []bool{false})
						if err != nil {
							return nil, err
						}
						if got[0] != "right" {
							return nil, errors.New("wrong")
						}
					}
					return nil, nil
				},
				PasswordCallback: func(_ ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
					if string(password) != "right" {
						return nil, errors.New("wrong")
					}
					return nil, nil
				},
			}, Target{Answer: person, PasswordPrompts: c.prompts, IdentityFiles: []string{}})
			if !slices.Equal(asked, c.want) || (err == nil) != (c.end == "") || err != nil && !strings.Contains(err.Error(), c.end) {
				t.Errorf("asked %q, want %q; error %v, want %q", asked, c.want, err, c.end)
			}
		})
	}
}

// Nobody is advised to do what is done already, or what would not help.
func TestAdviceAfterTooManyFailures(t *testing.T) {
	tooMany := errors.New("ssh: disconnect, reason 2: Too many authentication failures")
	for name, c := range map[string]struct {
		login     login
		want, not string
	}{
		"keys":           {login{target: Target{}}, "let IdentitiesOnly be yes", ""},
		"IdentitiesOnly": {login{target: Target{IdentitiesOnly: true}}, "name the right one alone", "let IdentitiesOnly"},
		"passwords":      {login{target: Target{}, given: 6}, "is the password right?", "identity_file"},
	} {
		if _, hint := c.login.failure(tooMany); !strings.Contains(hint, c.want) || c.not != "" && strings.Contains(hint, c.not) {
			t.Errorf("%s: %s", name, hint)
		}
	}
}
