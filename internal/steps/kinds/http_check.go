package kinds

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var httpCheckKind = &steps.Kind{
	Name: "http_check",
	Doc: `A web server that answers as it should, waited for if need be.

The request is made on the host itself, so 127.0.0.1 is the host. Planning asks once, for at most five
seconds. If the answer is as wanted there is nothing to do; otherwise the step asks again every
interval until it is, and after the time-out it fails with the last status and the first lines of the
body. Checking never counts as a change.

Redirects are followed, unless a status from 300 to 399 is wanted. curl, python or wget is used,
whichever the host has; with wget alone the method is GET, and with that of busybox there are no headers. Headers may be
sensitive: then planning does not ask, because a plan carries no secrets, and the step always runs.`,
	Example: `step "package" "python" {
  name = "python3"
}

step "command" "server" {
  script = <<-EOT
    mkdir -p /srv/hello
    echo hello >/srv/hello/index.html
    cd /srv/hello
    setsid python3 -m http.server 8765 --bind 127.0.0.1 >/dev/null 2>&1 </dev/null &
  EOT
  creates = "/srv/hello/index.html"
}

step "http_check" "hello" {
  url     = "http://127.0.0.1:8765/"
  body    = "hello"
  timeout = "30s"
}
`,
	Checks: []steps.Check{{Name: "http", Value: "URL", Arg: "url"}},
	New: func() (steps.Step, steps.Args) {
		h := &httpCheck{Method: "GET", Status: []int{200}, Timeout: 60, Interval: 2}
		return h, steps.Args{
			kit.URLArg("url", &h.URL, "What to ask, http or https.", "http", "https").Must(),
			kit.EnumArg("method", &h.Method, "The method of the request.", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"),
			statusArg("status", &h.Status, "The status that is wanted, or a list of those that will do.").With("200"),
			kit.StringArg("body", &h.Body, "Text that the body must contain, on one line."),
			kit.HeadersArg("headers", &h.Headers, "Fields of the request. They may be sensitive."),
			kit.SecondsArg("timeout", &h.Timeout, "How long to go on asking."),
			kit.SecondsArg("interval", &h.Interval, "How long to pause between two requests."),
			kit.BoolArg("insecure", &h.Insecure, "Accept a certificate that cannot be verified, such as a self-signed one."),
		}
	},
}

type httpCheck struct {
	URL, Method, Body string
	Status            []int
	Headers           []steps.Variable
	Timeout, Interval int
	Insecure          bool
}

var (
	_ steps.Bringer = (*httpCheck)(nil)
	_ steps.Patient = (*httpCheck)(nil)
)

// statusArg is an HTTP status, or a list of them.
func statusArg(name string, to *[]int, doc string) steps.Arg {
	return steps.Arg{Name: name, Doc: doc, Type: cty.DynamicPseudoType, Decode: func(v cty.Value) error {
		items := []cty.Value{v}
		if v.CanIterateElements() && !v.Type().IsMapType() && !v.Type().IsObjectType() {
			items = v.AsValueSlice()
		}
		var list []int
		for _, item := range items {
			number, err := convert.Convert(item, cty.Number)
			if err != nil || number.IsNull() {
				return errors.New("a status is a number such as 200; several are a list")
			}
			n, err := kit.WholeNumber(number, 100, 599)
			if err != nil {
				return err
			}
			list = append(list, n)
		}
		if len(list) == 0 {
			return errors.New("the list is empty")
		}
		*to = list
		return nil
	}}
}

func (h *httpCheck) Validate() []steps.Problem {
	if h.Method == "HEAD" && h.Body != "" {
		return []steps.Problem{{Arg: "body", Summary: "an answer to HEAD has no body", Detail: "Use the method GET, or leave body out."}}
	}
	return nil
}

func (h *httpCheck) secret() bool {
	return slices.ContainsFunc(h.Headers, func(h steps.Variable) bool { return h.Value.Sensitive() })
}

func (h *httpCheck) follow() int {
	if slices.ContainsFunc(h.Status, func(n int) bool { return n >= 300 && n < 400 }) {
		return 0
	}
	return 1
}

// ask is sh for a function that asks once, within $1 seconds, and sets http_status and http_body. It
// fails if the host has nothing to ask with.
func (h *httpCheck) ask() string {
	insecure := 0
	if h.Insecure {
		insecure = 1
	}
	match := ":"
	if h.Body != "" {
		match = "grep -qF -e " + shell.Quote(h.Body) + ` "$body_file" || http_body=lacking`
	}
	return kit.HTTPAsk() + fmt.Sprintf(`body_file=$(mktemp) && trap 'rm -f -- "$body_file" ${FETCH_HEADERS:+"$FETCH_HEADERS"}' EXIT || exit 1
ask() {
	http_ask %s %s "$1" "$body_file" %d %d || return 1
	http_body=found
	%s
}
`, h.Method, shell.Quote(h.URL), h.follow(), insecure, match)
}

func (h *httpCheck) Probe() string {
	if h.secret() {
		return ""
	}
	var b strings.Builder
	if lines := kit.HeaderLines(h.Headers); lines != nil {
		b.WriteString(kit.HeadersOnHost("{ " + shell.Printf([]byte(lines.Text.Reveal())) + "\n}"))
	}
	b.WriteString(h.ask())
	b.WriteString("ask 5 || { need command 'curl or python3 or wget'; exit 0; }\nsay status \"$http_status\"\n")
	if h.Body != "" {
		b.WriteString("say body \"$http_body\"\n")
	}
	return b.String()
}

// Brings implements steps.Bringer.
func (h *httpCheck) Brings(steps.Change) steps.Supply {
	return steps.Supply{May: []string{steps.RunningThing}}
}

func (h *httpCheck) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if needs := obs.Needs(); len(needs) > 0 {
		return steps.Change{Action: steps.Unknown, Needs: needs, Predict: h.predict()}, nil
	}
	status, asked := obs.Get("status")
	body, _ := obs.Get("body")
	right := slices.ContainsFunc(h.Status, func(n int) bool { return strconv.Itoa(n) == status })
	if asked && right && (h.Body == "" || body == "found") {
		return steps.Change{Action: steps.NoOp, Predict: h.predict()}, nil
	}
	change := steps.Change{
		Action:    steps.Execute,
		Ops:       []steps.Op{steps.Run{Script: h.script(), Stdin: kit.HeaderLines(h.Headers)}},
		ChangedIf: steps.Never,
		Predict:   h.predict(),
	}
	wanted := "waits until " + h.URL + " answers " + h.wanted()
	switch {
	case !asked:
		change.Reason = wanted
	case status == "000":
		change.Reason = wanted + "; now it does not answer"
	case right:
		change.Reason = wanted + "; now the body lacks the text"
	default:
		change.Reason = wanted + "; now " + status
	}
	return change, nil
}

// predict lists the answers to expect once earlier steps have run: the wanted ones, and those of a
// server that is just being started.
func (h *httpCheck) predict() []steps.Observation {
	if h.secret() {
		return nil
	}
	codes := []string{}
	for _, n := range h.Status {
		codes = append(codes, strconv.Itoa(n))
	}
	for _, other := range []string{"000", "404", "500", "502", "503"} {
		if !slices.Contains(codes, other) {
			codes = append(codes, other)
		}
	}
	var predicted []steps.Observation
	for _, code := range codes {
		if h.Body == "" {
			predicted = append(predicted, steps.Observe("status "+code))
			continue
		}
		predicted = append(predicted, steps.Observe("status "+code, "body lacking"))
		if code[0] == '2' {
			predicted = append(predicted, steps.Observe("status "+code, "body found"))
		}
	}
	return predicted
}

func (h *httpCheck) wanted() string {
	words := make([]string, len(h.Status))
	for i, n := range h.Status {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, " or ")
}

func (h *httpCheck) script() string {
	var b strings.Builder
	if len(h.Headers) > 0 {
		b.WriteString(kit.HeadersOnHost("cat"))
	}
	b.WriteString(h.ask())
	fmt.Fprintf(&b, `started=$(date +%%s)
while :; do
	ask 10 || exit 1
	case $http_status in
	%s) [ "$http_body" != found ] || exit 0 ;;
	esac
	now=$(date +%%s)
	[ $((now - started)) -lt %d ] || break
	sleep %d
done
{
	if [ "$http_status" = 000 ]; then
		printf 'no answer after %%s: %%s\n' %s "$http_error"
	else
		if [ -s "$body_file" ]; then
			printf 'the body begins:\n'
			head -c 2000 "$body_file" | head -n 20 | sed 's|^|  |'
			echo
		fi
		printf 'status %%s after %%s, wanted %%s%%s\n' "$http_status" %s %s %s
	fi
} >&2
exit 1
`, strings.ReplaceAll(h.wanted(), " or ", " | "), h.Timeout, h.Interval,
		kit.Duration(h.Timeout), kit.Duration(h.Timeout), shell.Quote(h.wanted()),
		shell.Quote(map[bool]string{true: " with the text " + strconv.Quote(h.Body)}[h.Body != ""]))
	return b.String()
}

// Patience implements steps.Patient.
func (h *httpCheck) Patience() int { return h.Timeout }
