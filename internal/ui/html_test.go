package ui

import (
	"encoding/json"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"provision/internal/event"
	"provision/internal/steps"
)

// parts takes a page apart: what every reader sees without a script, and what the script reads.
func parts(t *testing.T, page string) (markup string, data map[string]any) {
	t.Helper()
	markup, rest, found := strings.Cut(page, `<script type="application/json" id="data">`)
	text, _, ended := strings.Cut(rest, "</script>")
	if !found || !ended {
		t.Fatal("the page has no data")
	}
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		t.Fatalf("the data is no JSON: %v", err)
	}
	return markup, data
}

// Who opens the page without JavaScript, or prints it, still learns what went wrong and how every host ended.
func TestPageTellsTheMostWithoutItsScript(t *testing.T) {
	markup, _ := parts(t, report(t, ReportHTML, serverFleet(60)...))
	text := html.UnescapeString(markup)
	for _, want := range []string{
		"3 of 60 hosts not done", "17 May 2024, 09:30:00 UTC", "ann@laptop", "provision apply server.hcl", "provision resume 20240517-093000-ab12",
		"step.command.migrate", "on 2 hosts: web02, web40", "server.hcl:80", `step "command" "migrate" {`, "cd /srv/app\npython manage.py migrate",
		"status 1", "no such table: auth_user", "mend it, then: provision resume", "connection refused", "start sshd there", "CentOS 7 has had no",
		"<b>57</b> changed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if n := strings.Count(markup, `href="#host-`); n < 60 {
		t.Errorf("%d hosts are listed", n)
	}
	if strings.Index(text, "What went wrong") > strings.Index(text, ">Hosts</h2>") {
		t.Error("failures do not come first")
	}
}

func TestPageOfAPlan(t *testing.T) {
	markup, data := parts(t, report(t, ReportHTML, fleetPlanned(3)...))
	text := html.UnescapeString(markup)
	for _, want := range []string{"2 of 3 hosts to change, 1 without a plan", "Take care", "step.service.nginx: restarts", "web01, web02"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	// The plan that the hosts share is there once.
	if n := len(data["plans"].([]any)); n != 6 {
		t.Errorf("%d plans for 4 that are shared and one of each host", n)
	}
	if page := report(t, ReportHTML, sampleEvent("", event.RunStart{Command: event.CommandPlan, Hosts: 1}),
		sampleEvent("web1", event.HostEnd{Status: event.HostOK}), sampleEvent("", event.RunEnd{Status: "ok"})); !strings.Contains(page, "No changes") {
		t.Error("an empty plan is not called one")
	}
}

// Of provision run what the hosts answered is the point; of an apply only what went wrong.
func TestPageOfAnswers(t *testing.T) {
	for command, want := range map[string]bool{event.CommandRun: true, event.CommandApply: false} {
		page := report(
			t, ReportHTML, sampleEvent("", event.RunStart{Command: command, Hosts: 1}), sampleEvent("web1", event.StepStart{Addr: "command", Kind: "command"}),
			printed("web1", "command", event.StreamStdout, "up 3 days\n"), sampleEvent("web1", event.StepEnd{Addr: "command", Kind: "command", Status: event.StepChanged}),
			sampleEvent("web1", event.HostEnd{Status: event.HostOK}), sampleEvent("", event.RunEnd{Status: "ok"}),
		)
		if strings.Contains(page, "up 3 days") != want {
			t.Errorf("%s: it shows the output: %v", command, !want)
		}
	}
}

// A rollout that stopped says at which batch, and why.
func TestPageOfBatches(t *testing.T) {
	ended := func(b event.BatchEnd) event.Event {
		return event.Event{Type: event.TypeBatchEnd, Time: epoch, BatchEnd: &b}
	}
	markup, _ := parts(t, report(
		t, ReportHTML, sampleEvent("", event.RunStart{Command: event.CommandApply, Hosts: 1}),
		ended(event.BatchEnd{Number: 1, Of: 3, Status: event.BatchOK}),
		ended(event.BatchEnd{Number: 2, Of: 3, Status: event.BatchStopped, Failed: 4, Message: "more than 10% have failed"}),
	))
	for _, want := range []string{"</span> batch 1 of 3</li>", "</span> batch 2 of 3, 4 failed and 0 unreachable so far: more than 10% have failed</li>"} {
		if !strings.Contains(markup, want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

// Hosts that cannot be reached stand together, although each says so with its own address.
func TestPageGroupsWhatIsAlike(t *testing.T) {
	events := []event.Event{sampleEvent("", event.RunStart{Command: event.CommandApply, Hosts: 100})}
	for i := range 100 {
		host, why := fmt.Sprintf("web%d", i), fmt.Sprintf("203.0.113.%d:22: connection refused", i)
		events = append(
			events, sampleEvent(host, event.HostUnreachable{Phase: "connect", Message: why, Hint: "start sshd there"}),
			sampleEvent(host, event.HostEnd{Status: event.HostUnreached, Message: why}),
		)
	}
	markup, _ := parts(t, report(t, ReportHTML, append(events, sampleEvent("", event.RunEnd{Status: "unreachable", Exit: 3}))...))
	if n := strings.Count(markup, "<article"); n != 1 {
		t.Errorf("%d articles", n)
	}
	if !strings.Contains(markup, "100 hosts: web0 … web99") || !strings.Contains(markup, "203.0.113.7:22") || !strings.Contains(markup, "of 70 more hosts") {
		t.Error("it does not name the hosts and their reasons")
	}
}

// A page stays small, whatever the hosts print and however they differ.
func TestPageIsBounded(t *testing.T) {
	if page := report(t, ReportHTML, serverFleet(500)...); len(page) > 1<<20 {
		t.Errorf("500 hosts with 30 steps each take %s", size(len(page)))
	}
	noise := strings.Repeat("noise \x00<&>\n", 8000)
	events := []event.Event{sampleEvent("", event.RunStart{Command: event.CommandApply, Hosts: 200})}
	for i := range 200 {
		host := fmt.Sprintf("web%d", i)
		for step := range 30 {
			addr := fmt.Sprintf("step.file.f%d", step)
			events = append(events, sampleEvent(host, event.PlanStep{
				Addr: addr, Action: steps.Update, Source: at(step, ""),
				Diff: []steps.Attr{{Name: "content", Before: host, After: host + strings.Repeat("x\n", 300)}},
			}))
			if step == 29 {
				events = append(
					events, sampleEvent(host, event.StepStart{Addr: addr, Source: at(step, "")}), printed(host, addr, "stdout", noise),
					sampleEvent(host, event.StepEnd{
						Addr: addr, Status: event.StepFailed, Source: at(step, ""),
						Error: &event.Failure{Message: host + " failed", Output: host + noise, Command: strings.Repeat("c", 100_000)},
					}),
				)
			}
		}
		events = append(events, sampleEvent(host, event.HostEnd{Status: event.HostFailed, BySteps: true}))
	}
	page := report(t, ReportHTML, events...)
	if len(page) > 8<<20 {
		t.Errorf("it takes %s", size(len(page)))
	}
	if !strings.Contains(page, "were left out") || !strings.Contains(page, "140 more are told") {
		t.Error("it does not say what is left out")
	}
}

// The policy allows the page's own style and script by their sums and nothing else, and nothing is fetched.
func TestPageLoadsNothing(t *testing.T) {
	page := report(t, ReportHTML, sampleStream("x")...)
	policy := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if policy == nil {
		t.Fatal("there is no policy")
	}
	inside := func(before, after string) string {
		_, rest, _ := strings.Cut(page, before)
		text, _, _ := strings.Cut(rest, after)
		return text
	}
	want := "default-src 'none'; style-src " + pinned(inside("<style>", "</style>")) +
		"; script-src " + pinned(inside("<script>", "</script>")) + "; base-uri 'none'; form-action 'none'"
	if got := html.UnescapeString(policy[1]); got != want {
		t.Errorf("the policy is %s, want %s", got, want)
	}
	for _, no := range []string{"http://", "https://", "url(", "@import", " src=", "<link", "<iframe", "style=", "innerHTML", " on"} {
		source := pageMarkup + pageStyle + pageScript
		if no == " on" {
			source, no = pageMarkup, " onclick="
		}
		if strings.Contains(source, no) {
			t.Errorf("the page has %q", no)
		}
	}
}

// No text of a host becomes markup or ends the data.
func TestPageOfHostileText(t *testing.T) {
	for _, evil := range []string{
		`</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "<!--<script>", "{{.Policy}}", "\x00\x1b[2J\u202e\u2028\xff", `</style></title>`, "&lt;b&gt;", "`${alert(1)}`",
	} {
		page := report(t, ReportHTML, sampleStream(evil)...)
		markup, _ := parts(t, page)
		if n := strings.Count(page, "<script"); n != 2 {
			t.Errorf("%q: %d scripts", evil, n)
		}
		if strings.Contains(markup, "<img") || strings.Contains(markup, "<!--<") || strings.Contains(page, "\x00") || strings.Contains(page, "\x1b") || strings.Contains(page, "\u202e") {
			t.Errorf("%q is in the page as it came", evil)
		}
	}
}

// Every text can be read in both schemes: WCAG asks for a contrast of 4.5, and of 3 for bars.
func TestPageContrast(t *testing.T) {
	light, rest, _ := strings.Cut(pageStyle, "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "* {")
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]string{}
		for _, m := range regexp.MustCompile(`--([a-z]+): (#[0-9a-f]{6})`).FindAllStringSubmatch(text, -1) {
			colours[m[1]] = m[2]
		}
		if len(colours) != 11 {
			t.Fatalf("%s: %v", scheme, colours)
		}
		for _, front := range []string{"text", "faint", "good", "bad", "warn", "info"} {
			for _, back := range []string{"bg", "panel"} {
				if c := contrast(colours[front], colours[back]); c < 4.5 {
					t.Errorf("%s: %s on %s has a contrast of %.1f", scheme, front, back, c)
				}
			}
		}
		for _, pair := range [][2]string{{"text", "add"}, {"text", "del"}, {"good", "add"}, {"bad", "del"}, {"bg", "text"}} {
			if c := contrast(colours[pair[0]], colours[pair[1]]); c < 4.5 {
				t.Errorf("%s: %s on %s has a contrast of %.1f", scheme, pair[0], pair[1], c)
			}
		}
	}
}

// contrast is the contrast ratio of two colours by WCAG 2.
func contrast(a, b string) float64 {
	luminance := func(colour string) float64 {
		sum := 0.0
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
			if err != nil {
				panic(err)
			}
			c := float64(n) / 255
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestReportDemo shows a person what reports look like: REPORT_DEMO names a directory for pages and their pictures.
func TestReportDemo(t *testing.T) {
	dir := os.Getenv("REPORT_DEMO")
	if dir == "" {
		t.Skip("set REPORT_DEMO to see them")
	}
	b := newBrowser(t)
	for name, page := range map[string]string{
		"apply3": report(t, ReportHTML, serverFleet(3)...), "apply500": report(t, ReportHTML, serverFleet(500)...),
		"plan3": report(t, ReportHTML, fleetPlanned(3)...), "apply1": report(t, ReportHTML, serverFleet(1)...),
	} {
		if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{1280, 400} {
				b.open(page, width, scheme)
				b.eval(`location.hash = "#host-1"; document.querySelectorAll("#host .more")[1]?.click(); document.querySelectorAll("#steps details")[2].open = true`)
				b.screenshot(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, scheme, width)))
			}
		}
	}
	for _, c := range b.complaints() {
		t.Error(c)
	}
}
