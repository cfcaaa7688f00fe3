package ui

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"provision/internal/event"
	"provision/internal/steps"
)

func TestJUnit(t *testing.T) {
	golden(t, "junit.xml", report(t, ReportJUnit, serverFleet(4)...))
	golden(t, "junit_plan.xml", report(t, ReportJUnit, fleetPlanned(1)...))
}

// junitSchema is what Jenkins' junit-10.xsd allows: the elements with their parents, and their attributes, of which those
// with a "!" must be there.
func junitSchema() map[string]struct{ parents, attributes []string } {
	return map[string]struct{ parents, attributes []string }{
		"testsuites": {[]string{""}, []string{"name", "time", "tests", "failures", "errors"}},
		"testsuite": {[]string{"testsuites", "testsuite"}, []string{
			"name!", "tests!", "failures!", "errors!", "group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url",
		}},
		"properties": {[]string{"testsuite"}, nil},
		"property":   {[]string{"properties"}, []string{"name!", "value!"}},
		"testcase":   {[]string{"testsuite"}, []string{"name!", "time", "classname", "group"}},
		"skipped":    {[]string{"testcase"}, []string{"type", "message"}},
		"error":      {[]string{"testcase"}, []string{"type", "message"}},
		"failure":    {[]string{"testcase"}, []string{"type", "message"}},
		"system-out": {[]string{"testcase", "testsuite"}, nil},
		"system-err": {[]string{"testcase", "testsuite"}, nil},
	}
}

// checkJUnit holds a report against the schema and the counts against what is there. It returns how many elements of each
// name there are.
func checkJUnit(t *testing.T, text string) map[string]int {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Error("not UTF-8")
	}
	schema := junitSchema()
	in := xml.NewDecoder(strings.NewReader(text))
	path := []string{""}
	counts, suite, told := map[string]int{}, map[string]int{}, map[string]int{}
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("no XML: %v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			name := e.Name.Local
			rule, known := schema[name]
			if !known || !slices.Contains(rule.parents, path[len(path)-1]) {
				t.Fatalf("<%s> in <%s>", name, path[len(path)-1])
			}
			given := map[string]string{}
			for _, a := range e.Attr {
				given[a.Name.Local] = a.Value
				if !slices.Contains(rule.attributes, a.Name.Local) && !slices.Contains(rule.attributes, a.Name.Local+"!") {
					t.Errorf("<%s> has an attribute %s", name, a.Name.Local)
				}
			}
			for _, a := range rule.attributes {
				if must, ok := strings.CutSuffix(a, "!"); ok {
					if _, there := given[must]; !there {
						t.Errorf("<%s> has no %s", name, must)
					}
				}
			}
			if name == "testsuite" {
				suite, told = map[string]int{}, map[string]int{}
				for _, a := range []string{"tests", "failures", "errors", "skipped"} {
					n, err := strconv.Atoi(given[a])
					if err != nil {
						t.Errorf("%s=%q", a, given[a])
					}
					told[a] = n
				}
			}
			path = append(path, name)
			counts[name]++
			suite[name]++
		case xml.EndElement:
			path = path[:len(path)-1]
			if e.Name.Local != "testsuite" {
				continue
			}
			for element, attribute := range map[string]string{"testcase": "tests", "failure": "failures", "error": "errors", "skipped": "skipped"} {
				if suite[element] != told[attribute] {
					t.Errorf("%s=%d for %d elements", attribute, told[attribute], suite[element])
				}
			}
		}
	}
	return counts
}

func TestJUnitKeepsToTheSchema(t *testing.T) {
	for name, events := range map[string][]event.Event{
		"apply": serverFleet(41), "plan": fleetPlanned(3), "cut off": serverFleet(3)[:60], "empty": nil,
	} {
		t.Run(name, func(t *testing.T) { checkJUnit(t, report(t, ReportJUnit, events...)) })
	}
}

// Whatever a host prints, the report stays XML 1.0 that says what was printed.
func TestJUnitOfHostileText(t *testing.T) {
	for _, evil := range []string{
		"\x00\x01\x08\x0b\x1b[2J", "\xff\xfe\x80", "]]>", "<![CDATA[ x ]]>", "</failure></testcase>", "\ufffe\uffff\u202e", "&#0;&amp;\"'", "<!-- -- -->", "a\r\nb\tc",
	} {
		checkJUnit(t, report(t, ReportJUnit, sampleStream(evil)...))
	}
	if text := report(t, ReportJUnit, sampleStream("\x1b]]>")...); !strings.Contains(text, `o \x1b]]&gt;`) {
		t.Errorf("the output cannot be read:\n%s", text)
	}
}

func FuzzJUnit(f *testing.F) {
	f.Add("]]>\x00\xff")
	f.Fuzz(func(t *testing.T, text string) { checkJUnit(t, report(t, ReportJUnit, sampleStream(text)...)) })
}

// What did not go well is counted as what it is.
func TestJUnitVerdicts(t *testing.T) {
	start := sampleEvent("", event.RunStart{Command: event.CommandApply, Hosts: 1})
	plan := sampleEvent("web1", event.PlanStep{Addr: "step.file.a", Kind: "file", Action: steps.Create, Source: at(1, "")})
	step := func(status event.StepStatus) event.Event {
		return sampleEvent("web1", event.StepEnd{Addr: "step.file.a", Kind: "file", Status: status, Source: at(1, "")})
	}
	end := func(status event.HostStatus) event.Event {
		return sampleEvent("web1", event.HostEnd{Status: status, Message: "because", BySteps: status == event.HostFailed})
	}
	for name, c := range map[string]struct {
		events                    []event.Event
		failures, errors, skipped int
	}{
		"changed":       {[]event.Event{plan, step(event.StepChanged), end(event.HostOK)}, 0, 0, 0},
		"failed":        {[]event.Event{plan, step(event.StepFailed), end(event.HostFailed)}, 1, 0, 0},
		"not converged": {[]event.Event{plan, step(event.StepNotConverged), end(event.HostFailed)}, 1, 0, 0},
		"no plan":       {[]event.Event{end(event.HostFailed)}, 1, 0, 0},
		"unreachable":   {[]event.Event{end(event.HostUnreached)}, 0, 1, 0},
		"locked":        {[]event.Event{plan, end(event.HostIsLocked)}, 0, 1, 1},
		"not reached":   {[]event.Event{plan, end(event.HostNotReached)}, 0, 0, 2},
		"no play":       {[]event.Event{end(event.HostSkipped)}, 0, 0, 1},
		"stale":         {[]event.Event{plan, step(event.StepStale), end(event.HostStale)}, 0, 1, 1},
		"interrupted":   {[]event.Event{plan, step(event.StepInterrupted), end(event.HostInterrupted)}, 0, 1, 0},
		"no condition":  {[]event.Event{plan, step(event.StepSkipped), end(event.HostOK)}, 0, 0, 1},
		"cut off":       {[]event.Event{plan}, 0, 1, 1},
		"check":         {[]event.Event{sampleEvent("web1", event.CheckEnd{Name: "site"}), end(event.HostFailed)}, 1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			counts := checkJUnit(t, report(t, ReportJUnit, append([]event.Event{start}, c.events...)...))
			if counts["failure"] != c.failures || counts["error"] != c.errors || counts["skipped"] != c.skipped {
				t.Errorf("%v", counts)
			}
		})
	}
}

// test plans again after its apply: what has something to do then fails, although the apply went well.
func TestJUnitOfAStepThatIsNotIdempotent(t *testing.T) {
	plan := event.PlanStep{Addr: "step.command.always", Kind: "command", Action: steps.Execute, Source: at(1, "")}
	events := []event.Event{
		sampleEvent("", event.RunStart{Command: event.CommandTest, Hosts: 1}), sampleEvent("sandbox", plan),
		sampleEvent("sandbox", event.StepEnd{Addr: plan.Addr, Kind: plan.Kind, Status: event.StepChanged, Source: plan.Source}),
		sampleEvent("sandbox", event.HostEnd{Status: event.HostOK}), sampleEvent("", event.RunEnd{Status: "ok"}),
		sampleEvent("", event.RunStart{Command: event.CommandPlan, Hosts: 1}), sampleEvent("sandbox", plan),
		sampleEvent("sandbox", event.HostEnd{Status: event.HostOK}), sampleEvent("", event.RunEnd{Status: "ok"}),
	}
	if counts := checkJUnit(t, report(t, ReportJUnit, events...)); counts["failure"] != 1 || counts["testcase"] != 1 {
		t.Errorf("%v", counts)
	}
	if page := report(t, ReportHTML, events...); !strings.Contains(page, "Not idempotent") {
		t.Error("the page does not say so")
	}
}
