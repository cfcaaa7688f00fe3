package kit

import (
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"provision/internal/shell"
	"provision/internal/steps"
)

// The shell functions of the kinds that use the network: port_open looks at a TCP port, fetch
// brings a file, http_ask asks a web server. All of them use network.sh.
//
//go:embed network.sh
var networkSource string

//go:embed port_open.sh
var portOpenSource string

//go:embed fetch.sh
var fetchScriptSource string

//go:embed http_ask.sh
var httpAskSource string

// PortOpen returns port_open.
func PortOpen() string { return shell.Strip(networkSource + portOpenSource) }

// FetchScript returns fetch.
func FetchScript() string { return shell.Strip(networkSource + fetchScriptSource) }

// HTTPAsk returns http_ask.
func HTTPAsk() string { return shell.Strip(networkSource + httpAskSource) }

// Duration shows a number of seconds as people write a duration.
func Duration(n int) string {
	s := (time.Duration(n) * time.Second).String()
	s = strings.TrimSuffix(s, "m0s") + map[bool]string{true: "m"}[strings.HasSuffix(s, "m0s")]
	return strings.TrimSuffix(s, "h0m") + map[bool]string{true: "h"}[strings.HasSuffix(s, "h0m")]
}

// URLArg is a URL with one of a few schemes, and without a password, which every user of the host
// could read in the process list.
func URLArg(name string, to *string, doc string, schemes ...string) steps.Arg {
	return ParsedArg(name, to, doc, func(s string) (string, error) { return s, CheckURL(s, schemes) })
}

// CheckURL says what is wrong with a URL that should have one of the schemes.
func CheckURL(s string, schemes []string) error {
	if err := NoControl(s); err != nil {
		return err
	}
	u, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("%q is no URL", s)
	}
	if i := strings.IndexAny(s, " \"<>`"); i >= 0 {
		return fmt.Errorf("%q is no URL: %q stands in one as %%%02X", s, s[i:i+1], s[i])
	}
	known := false
	for _, scheme := range schemes {
		known = known || u.Scheme == scheme
	}
	switch {
	case !known:
		return fmt.Errorf("%q does not begin with one of %s://", s, strings.Join(schemes, "://, "))
	case u.Scheme != "file" && u.Host == "":
		return fmt.Errorf("%q names no host", s)
	case u.Scheme == "file" && !strings.HasPrefix(u.Path, "/"):
		return fmt.Errorf("%q: a file URL begins with file:///", s)
	}
	if u.User != nil {
		if _, has := u.User.Password(); has {
			return errors.New("the URL holds a password, which process lists and logs would show")
		}
	}
	return nil
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// HeadersArg is a map of HTTP headers whose values may be secrets, sorted by name.
func HeadersArg(name string, to *[]steps.Variable, doc string) steps.Arg {
	return SecretsArg(name, to, doc, func(key, value string) error {
		if !headerName.MatchString(key) {
			return fmt.Errorf("%q is no name of an HTTP header", key)
		}
		if NoControl(strings.ReplaceAll(value, "\t", "")) != nil {
			return fmt.Errorf("the value of the header %s holds a control character", key)
		}
		return nil
	})
}

// HeaderLines is the headers as lines "Name: value", secret if one of them is; nil without any.
func HeaderLines(headers []steps.Variable) *steps.Content {
	if len(headers) == 0 {
		return nil
	}
	var b strings.Builder
	secret := false
	for _, h := range headers {
		fmt.Fprintf(&b, "%s: %s\n", h.Name, h.Value.Reveal())
		secret = secret || h.Value.Sensitive()
	}
	if secret {
		return &steps.Content{Text: steps.Secret(b.String())}
	}
	return &steps.Content{Text: steps.Plain(b.String())}
}

var sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// IsSHA256 tells whether a text is a SHA-256 in hexadecimal, in lower case.
func IsSHA256(s string) bool { return sha256Pattern.MatchString(s) }

// SHA256Arg is a SHA-256 in hexadecimal, stored in lower case.
func SHA256Arg(name string, to *string, doc string) steps.Arg {
	return ParsedArg(name, to, doc, func(s string) (string, error) {
		sum := strings.ToLower(strings.TrimPrefix(s, "sha256:"))
		if !IsSHA256(sum) {
			return "", fmt.Errorf("%q is no SHA-256: 64 hexadecimal digits are, as sha256sum prints them", s)
		}
		return sum, nil
	})
}

// Unverified reports a download whose content nothing vouches for.
func Unverified(from, sum string, insecure bool) *steps.Problem {
	switch {
	case sum != "" || strings.HasPrefix(from, "file:"):
		return nil
	case strings.HasPrefix(from, "https:") || insecure:
		return &steps.Problem{Arg: "sha256", Warning: true, Summary: "nothing verifies this download", Detail: "Set sha256: then a changed or damaged file is noticed, and a new one replaces the old."}
	}
	return &steps.Problem{Arg: "sha256", Summary: "a download that is not over https needs sha256", Detail: "Anyone on the way can change the file. Set sha256, or insecure = true."}
}

// FetchInto is sh that brings a URL into a file, a word of sh; after fetch.sh.
func FetchInto(from, file string, limit int) string {
	if u, err := url.Parse(from); err == nil && u.Scheme == "file" {
		return "cp -- " + shell.Quote(u.Path) + " " + file + " || exit 1\n"
	}
	return fmt.Sprintf("fetch %s %s %d || fail %s\n", shell.Quote(from), file, limit, shell.Quote("could not download "+from))
}

// VerifySum is sh that fails unless a file, a word of sh, has a SHA-256; nothing for "".
func VerifySum(sum, file string) string {
	if sum == "" {
		return ""
	}
	return fmt.Sprintf("sum_of %s || exit 1; s=$SUM\n[ \"$s\" = %s ] || fail \"the SHA-256 of the download is $s, not %s: check the URL, then sha256\"\n", file, sum, sum)
}

// HeadersOnHost is sh that puts the fields of the request into a private file, from a source: a
// command that prints them.
func HeadersOnHost(command string) string {
	return "FETCH_HEADERS=$(umask 077 && mktemp) && trap 'rm -f -- \"$FETCH_HEADERS\"' EXIT && " + command + " >\"$FETCH_HEADERS\" || exit 1\n"
}
