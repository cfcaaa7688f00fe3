package ui

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"provision/internal/event"
)

// The elements of a JUnit report, as far as the schema of Jenkins' xUnit plugin (junit-10.xsd) knows them: what it does
// not know, some servers refuse.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Time     string       `xml:"time,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Hostname   string          `xml:"hostname,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		Classname string        `xml:"classname,attr"`
		Time      string        `xml:"time,attr"`
		Skipped   *junitProblem `xml:"skipped"`
		Error     *junitProblem `xml:"error"`
		Failure   *junitProblem `xml:"failure"`
		Output    *junitText    `xml:"system-out"`
	}
	junitProblem struct {
		Type    string `xml:"type,attr,omitempty"`
		Message string `xml:"message,attr"`
		Text    string `xml:",innerxml"`
	}
	junitText struct {
		Text string `xml:",innerxml"`
	}
)

// junit writes the run with a suite for each host and a case for each step and check. Every text is cleaned first, so
// that what XML cannot hold stays visible.
func (r *reported) junit(w io.Writer) error {
	all := junitSuites{
		Name: strings.TrimSpace("provision " + r.start.Command + " " + Line(r.start.Playbook)), Time: seconds(r.took()),
	}
	for _, name := range r.names() {
		suite := r.junitHost(r.hosts[name])
		all.Tests += suite.Tests
		all.Failures += suite.Failures
		all.Errors += suite.Errors
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	out := xml.NewEncoder(w)
	out.Indent("", "  ")
	if err := out.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r *reported) junitHost(h *reportedHost) junitSuite {
	name := Line(h.name)
	s := junitSuite{Name: name, Hostname: name, Time: seconds(0), Timestamp: h.began.UTC().Format("2006-01-02T15:04:05")}
	if h.end != nil {
		s.Time = seconds(time.Duration(h.end.Duration))
	}
	property := func(name, value string) {
		if value != "" {
			s.Properties = append(s.Properties, junitProperty{name, Line(value)})
		}
	}
	property("run", r.run)
	property("status", h.verdict(r.start.Command).words())
	property("address", h.connected.Address)
	property("os", h.connected.OS)

	told := false // whether a step says why the host did not end well
	for _, step := range h.ordered() {
		c := r.junitStep(h, step)
		told = told || c.Failure != nil || c.Error != nil
		s.Cases = append(s.Cases, c)
	}
	if c := r.junitTrouble(h, told); c != nil {
		s.Cases = append([]junitCase{*c}, s.Cases...)
	}
	for _, c := range s.Cases {
		s.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	return s
}

// junitStep is one step. Its class is the host and the kind, which servers show as a package and a class, and by which
// they tell the same step of two hosts apart.
func (r *reported) junitStep(h *reportedHost, s *reportedStep) junitCase {
	c := junitCase{Name: Line(s.addr), Classname: Line(h.name) + "." + Line(s.kind), Time: seconds(s.took())}
	v := s.verdict(r.start.Command)
	problem := func() *junitProblem {
		f := s.failure()
		return &junitProblem{
			Type: strings.ReplaceAll(string(v), "_", " "), Message: Line(h.name) + ": " + inline(f.Message), Text: characters(s.junitText(f)),
		}
	}
	switch v {
	case verdictFailed, verdictLeft, verdict(event.StepNotConverged):
		c.Failure = problem()
	case verdictUnplanned, verdict(event.StepStale), verdict(event.StepInterrupted):
		c.Error = problem()
	case verdictNotRun:
		c.Skipped = &junitProblem{Message: "not reached"}
	case verdictSkipped:
		c.Skipped = &junitProblem{Message: "its condition is false"}
		if s.end != nil && s.end.Reason != "" {
			c.Skipped.Message = Line(s.end.Reason)
		}
	case verdictPending, verdictLater:
		c.Output = &junitText{characters(plainLines(Style{Unicode: true}.stepLines(s.plan, false, map[string]bool{})))}
	}
	return c
}

// junitText is the long form of a failure.
func (s *reportedStep) junitText(f event.Failure) string {
	var b strings.Builder
	field := func(name, text string) {
		if text = strings.TrimRight(text, "\n"); text != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, text)
		}
	}
	field("at", strings.TrimSpace(place(s.source)+"  "+strings.TrimSpace(Line(s.source.Text))))
	field("command", Clean(f.Command))
	if f.Exit != 0 {
		field("exit", strconv.Itoa(f.Exit))
	}
	left := s.left
	if s.end != nil && len(s.end.Diff) > 0 {
		left = &event.PlanStep{Addr: s.addr, Action: s.end.Action, Source: s.source, Diff: s.end.Diff}
	}
	if left != nil {
		b.WriteString("still differs:\n" + plainLines(Style{Unicode: true}.stepLines(left, false, map[string]bool{})))
	}
	if out := strings.TrimRight(Clean(f.Output), "\n"); out != "" {
		b.WriteString("output:\n" + out + "\n")
	}
	field("next", inline(f.Hint))
	return b.String()
}

// junitTrouble is a case for what happened to a host outside of its steps, nil if nothing did.
func (r *reported) junitTrouble(h *reportedHost, told bool) *junitCase {
	c := &junitCase{Name: "host", Classname: Line(h.name) + ".host", Time: seconds(0)}
	if h.end == nil {
		c.Error = &junitProblem{Type: "interrupted", Message: Line(h.name) + ": the run was cut off before its end"}
		return c
	}
	message := h.end.Message
	if message == "" {
		message = verdict(h.end.Status).words()
	}
	problem := &junitProblem{Type: verdict(h.end.Status).words(), Message: Line(h.name) + ": " + Line(message)}
	switch h.end.Status {
	case event.HostOK:
		return nil
	case event.HostUnreached:
		c.Name, c.Error = "connection", problem
		if u := h.unreachable; u != nil {
			problem.Text = characters(Line(u.Phase) + ": " + Line(u.Message) + "\n" + Line(u.Hint))
		}
	case event.HostNotReached, event.HostSkipped:
		c.Skipped = &junitProblem{Message: Line(message)}
	case event.HostFailed:
		if told && h.end.BySteps {
			return nil
		}
		c.Failure = problem
	case event.HostInterrupted:
		if h.interrupted() {
			return nil
		}
		c.Error = problem
	default:
		c.Error = problem
	}
	return c
}

// plainLines writes lines of a plan without colours.
func plainLines(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		text := strings.Repeat("    ", l.depth)
		if l.sign != "" {
			text += l.sign + " "
		}
		b.WriteString(strings.TrimRight(text+l.text+"  "+l.word, " ") + "\n")
	}
	return b.String()
}

// characters escapes a text for the inside of an element. A line break stays one, for those who read the file as it is.
func characters(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return strings.NewReplacer("&#xA;", "\n", "&#34;", `"`, "&#39;", "'").Replace(b.String())
}

func seconds(d time.Duration) string {
	return strconv.FormatFloat(max(d, 0).Seconds(), 'f', 3, 64)
}
