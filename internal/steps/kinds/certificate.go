package kinds

import (
	_ "embed"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed certificate.sh
var certificateSource string

var certificateKind = &steps.Kind{
	Name: "certificate",
	Doc: `A private key, and a certificate signed by itself or a request for one.

The key is made on the host and never leaves it. One that is there is used as it is: key_type counts when it is made. It is
never replaced, and neither is a certificate that somebody else has signed: that is an error. The key belongs to root with the mode 0600 unless
the step says otherwise; the certificate may be read by everybody.

A certificate is made anew with the same key when its names, its subject or its key are others than they should be, and when it
expires within renew_days. Programs that use it have to be told: give their service an on_change. How long it is valid counts when it is made.

With request = true the file is a request (PKCS #10), for a certificate authority to sign. With state absent both files go.
It takes openssl, from 1.0.2 on.`,
	Example: `step "package" "openssl" {
  names = ["openssl"]
}

step "certificate" "demo" {
  path        = "/etc/ssl/demo.pem"
  key         = "/etc/ssl/demo.key"
  common_name = "demo.example.org"
  names       = ["demo.example.org", "*.demo.example.org", "192.0.2.10"]
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("path", "key")},
	New: func() (steps.Step, steps.Args) {
		s := &certificate{State: "present", KeyType: "ec", Days: 365, RenewDays: 30, Ownership: kit.Ownership{Owner: "root", Mode: "600"}}
		return s, steps.Args{
			kit.PathArg("path", &s.Path, "Absolute path of the certificate or request, in PEM.").Must(),
			kit.PathArg("key", &s.Key, "Absolute path of the private key, in PEM.").Must(),
			kit.ParsedArg("common_name", &s.CommonName, "The CN of the subject, such as the host's name. Required unless state is absent.", certificateWord),
			kit.ParsedArg("organization", &s.Organization, "The O of the subject.", certificateWord),
			kit.ListArg("names", &s.Names, "The names and IP addresses that it is for; clients look at these alone.", certificateName),
			kit.BoolArg("request", &s.Request, "Make a request for a certificate, in place of a certificate."),
			kit.EnumArg("key_type", &s.KeyType, "The key that is made: ec is P-256.", "ec", "rsa2048", "rsa4096"),
			kit.IntArg("days", &s.Days, 1, 7300, "For how many days the certificate is valid."),
			kit.IntArg("renew_days", &s.RenewDays, 0, 7299, "Make it anew when so many days are left."),
			kit.OwnerArg("owner", &s.Owner, "Whom the key belongs to.").With("root"),
			kit.OwnerArg("group", &s.Group, "The group of the key. Left out, it is not looked at."),
			kit.ModeArg("mode", &s.Mode, "Mode of the key.").With("0600"),
			kit.EnumArg("state", &s.State, "Whether the files are there.", "present", "absent"),
		}
	},
}

type certificate struct {
	Path, Key                string
	CommonName, Organization string
	Names                    []string // as openssl shows them: "DNS:a", "IP Address:192.0.2.1"
	Request                  bool
	KeyType, State           string
	Days, RenewDays          int
	kit.Ownership            // of the key
}

var (
	_ steps.Bringer  = (*certificate)(nil)
	_ steps.Requirer = (*certificate)(nil)
)

func certificateWord(s string) (string, error) {
	if kit.NoControl(s) != nil || strings.ContainsAny(s, `,+"'\<>;=#/$`) || s != strings.TrimSpace(s) {
		return "", fmt.Errorf("%q begins or ends with a blank, or holds one of , + \" ' \\ < > ; = # / $, which openssl reads in its own way; leave it out", s)
	}
	return s, nil
}

var certificateDNS = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

func certificateName(s string) (string, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return "IP Address:" + a.String(), nil
	}
	if !certificateDNS.MatchString(s) || len(s) > 253 {
		return "", fmt.Errorf("%q is no DNS name and no IP address; write an international name as xn--…", s)
	}
	return "DNS:" + strings.ToLower(s), nil
}

func (s *certificate) absent() bool { return s.State == "absent" }

func (s *certificate) Validate() []steps.Problem {
	var problems []steps.Problem
	add := func(arg, summary, detail string) {
		problems = append(problems, steps.Problem{Arg: arg, Summary: summary, Detail: detail})
	}
	if s.Path == s.Key {
		add("key", "the key and the certificate are one file", "Give the key a path of its own: it may be read by its owner alone.")
	}
	if s.absent() {
		return problems
	}
	if s.CommonName == "" {
		add("common_name", "a certificate needs a common name", "Give one, such as the name of the host.")
	}
	if s.RenewDays >= s.Days {
		add("renew_days", "it would be made anew in each run", "Give fewer days than in days.")
	}
	if mode, err := strconv.ParseUint(s.Mode, 8, 32); err == nil && mode&0o137 != 0 {
		add("mode", "a private key would be readable by others", "Give 0600, or 0640 and a group.")
	}
	return problems
}

// Brings implements steps.Bringer.
func (s *certificate) Brings(change steps.Change) steps.Supply {
	if s.absent() {
		supply := kit.RemovalSupply(change, s.Path)
		if len(supply.Gone) > 0 {
			supply.Gone = append(supply.Gone, s.Key)
		}
		return supply
	}
	return steps.Supply{Things: []steps.Thing{{Kind: steps.FileThing, Name: s.Path}, {Kind: steps.FileThing, Name: s.Key}}}
}

// Requires implements steps.Requirer.
func (s *certificate) Requires() []steps.Thing {
	if s.absent() {
		return nil
	}
	things := append([]steps.Thing{{Kind: steps.CommandThing, Name: "openssl"}}, kit.ParentOf(s.Path)...)
	if path.Dir(s.Key) != path.Dir(s.Path) {
		things = append(things, kit.ParentOf(s.Key)...)
	}
	return append(things, s.Accounts()...)
}

func (s *certificate) form() string {
	if s.Request {
		return "req"
	}
	return "x509"
}

func (s *certificate) Probe() string {
	if s.absent() {
		return shell.Strip(certificateSource) + fmt.Sprintf("cert_place key %s\ncert_place certificate %s\n", shell.Quote(s.Key), shell.Quote(s.Path))
	}
	return shell.Strip(certificateSource) + fmt.Sprintf(`cert_place key %[1]s
p=%[1]s
if [ "$TYPE" = file ]; then
	%[2]selse
	need_parent "$p"
	%[3]sfi
cert_look %[4]s %[5]s "$p" %[6]d
`, shell.Quote(s.Key), s.ProbeAttributes(), s.ProbeNames(false), s.form(), shell.Quote(s.Path), s.RenewDays*86400)
}

// subject is as openssl shows it by RFC 2253.
func (s *certificate) subject() string {
	if s.Organization == "" {
		return "CN=" + s.CommonName
	}
	return "CN=" + s.CommonName + ",O=" + s.Organization
}

// certificateNames reads what openssl shows of the names; nil for "".
func certificateNames(shown string) []string {
	var names []string
	for name := range strings.SplitSeq(shown, ", ") {
		if ip, found := strings.CutPrefix(name, "IP Address:"); found {
			if a, err := netip.ParseAddr(strings.ToLower(ip)); err == nil {
				name = "IP Address:" + a.String()
			}
		} else if strings.HasPrefix(name, "DNS:") {
			name = strings.ToLower(name)
			name = "DNS:" + strings.TrimPrefix(name, "dns:")
		}
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s *certificate) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if s.absent() {
		return s.planAbsent(obs), nil
	}
	if issuer, foreign := obs.Get("issuer"); foreign {
		return steps.Change{}, fmt.Errorf("%s is signed by %s, and not by itself; it is not replaced: move it away, or name another path", s.Path, issuer)
	}
	change := steps.Change{Action: steps.Update}
	change.AddNeeds(obs)
	made := "" // key_type of a key to be made
	var commands []string
	if key, _ := obs.Get("key"); key == "absent" {
		made = s.KeyType
		change.Diff = append(change.Diff, steps.Attr{Name: "key", BeforeMissing: true, After: s.KeyType})
		change.Compare("owner", "", s.Owner)
		change.Compare("group", "", s.Group)
		change.Compare("mode", "", kit.ShownMode(s.Mode))
	} else {
		commands = s.Differences(&change, obs, shell.Quote(s.Key))
	}
	anew := s.differs(&change, obs)
	if len(change.Diff) == 0 {
		if len(change.Needs) > 0 {
			return change, nil
		}
		return steps.Change{Action: steps.NoOp}, nil
	}
	script := ""
	if made != "" {
		script = fmt.Sprintf("cert_key %s %s %s %s\n", shell.Quote(s.Key), made, s.Mode, shell.Quote(s.Operand()))
	} else if len(commands) > 0 {
		script = strings.Join(commands, " && ") + " || exit 1\n"
	}
	if anew {
		script += fmt.Sprintf("cert_make %s %s %s %d %s %s %s\n", s.form(), shell.Quote(s.Path), shell.Quote(s.Key), s.Days,
			shell.Quote(s.CommonName), shell.Quote(s.Organization), shell.Quote(s.extension()))
	}
	change.Ops = []steps.Op{steps.Run{Script: shell.Strip(certificateSource) + script, Shown: "openssl"}}
	return change, nil
}

// differs adds to the diff what is wrong with the certificate, and tells whether it is to be made anew.
func (s *certificate) differs(change *steps.Change, obs steps.Observation) bool {
	before := len(change.Diff)
	wanted := slices.Clone(s.Names)
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	validity := fmt.Sprintf("for %d days", s.Days)
	if at, _ := obs.Get("certificate"); at != "file" {
		if len(change.Diff) == 1 || at == "absent" {
			change.Action = steps.Create
		}
		change.Diff = append(change.Diff, steps.Attr{Name: "subject", BeforeMissing: true, After: s.subject()})
		if len(wanted) > 0 {
			change.Diff = append(change.Diff, steps.Attr{Name: "names", BeforeMissing: true, After: strings.Join(wanted, ", ")})
		}
		if !s.Request {
			change.Diff = append(change.Diff, steps.Attr{Name: "valid", BeforeMissing: true, After: validity})
		}
		return true
	}
	subject, _ := obs.Get("subject")
	change.Compare("subject", subject, s.subject())
	shown, _ := obs.Get("names")
	if had := certificateNames(shown); !slices.Equal(had, wanted) {
		change.Diff = append(change.Diff, steps.Attr{
			Name: "names", Before: strings.Join(had, ", "), BeforeMissing: len(had) == 0, After: strings.Join(wanted, ", "), AfterMissing: len(wanted) == 0,
		})
	}
	if !obs.Yes("match") {
		change.Diff = append(change.Diff, steps.Attr{Name: "certificate", Before: "of another key", After: "of this key"})
	}
	if obs.Yes("expires") {
		change.Diff = append(change.Diff, steps.Attr{Name: "valid", Before: fmt.Sprintf("for less than %d days", s.RenewDays), After: validity})
	}
	return len(change.Diff) > before
}

// extension is the line of the names for the configuration of openssl; "" without any.
func (s *certificate) extension() string {
	var parts []string
	for _, name := range s.Names {
		parts = append(parts, strings.Replace(name, "IP Address:", "IP:", 1))
	}
	return strings.Join(parts, ",")
}

func (s *certificate) planAbsent(obs steps.Observation) steps.Change {
	change := steps.Change{Action: steps.Delete}
	for _, f := range []struct{ key, path string }{{"certificate", s.Path}, {"key", s.Key}} {
		if at, _ := obs.Get(f.key); at != "file" {
			continue
		}
		change.Diff = append(change.Diff, steps.Attr{Name: f.key, Before: f.path, AfterMissing: true})
		change.Ops = append(change.Ops, steps.Run{Script: "rm -f -- " + shell.Quote(f.path)})
		if f.key == "key" {
			change.Dangers = []string{"removes the private key " + f.path}
		}
	}
	if len(change.Diff) == 0 {
		return steps.Change{Action: steps.NoOp}
	}
	return change
}
