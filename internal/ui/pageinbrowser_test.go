package ui

import (
	"fmt"
	"strings"
	"testing"
)

// What a reader does with a fleet of 500, by the keyboard alone, and nothing of the page is refused by its own policy.
func TestPageOfAFleetInABrowser(t *testing.T) {
	b := newBrowser(t)
	b.open(report(t, ReportHTML, serverFleet(500)...), 1280, "light")
	is := func(what, expression, want string) {
		t.Helper()
		if got := b.eval(expression); got != want {
			t.Errorf("%s: %s is %q, want %q", what, expression, got, want)
		}
	}
	const shown = `[...document.querySelectorAll("#grid li")].filter(c => c.offsetHeight > 0).length`
	is("all hosts are there", shown, "500")
	is("and counted", `document.getElementById("found").textContent`, "500 hosts")

	// From the top: the skip link, the links of the page, and on to the filter.
	b.press("Tab")
	is("the first stop skips the header", `document.activeElement.textContent`, "Skip to the content")
	is("and shows itself", `document.activeElement.getBoundingClientRect().left >= 0`, "true")
	b.tabTo(`document.activeElement.dataset.v === "failed"`)
	is("the focus can be seen", `getComputedStyle(document.activeElement).outlineStyle`, "solid")
	b.press("Enter")
	is("only what failed", shown, "13")
	is("is counted for those who do not see it", `document.getElementById("found").textContent`, "13 of 500 hosts")
	is("the button tells its state", `document.activeElement.getAttribute("aria-pressed")`, "true")
	b.tabTo(`document.activeElement.id === "find"`)
	b.press("4", "0")
	is("text narrows it further", shown, "4") // web40, web240, web400, web440
	b.press("Enter")
	is("Enter sends no form", `location.protocol + document.getElementById("find").value`, "file:40")

	// Into a host and back.
	b.tabTo(`document.activeElement.matches("#grid a")`)
	b.press("Enter")
	b.await(`document.activeElement.id === "host-title"`)
	is("the host is shown", `document.getElementById("host-title").textContent`, "web40 ✗ failed")
	is("with its steps that did something", `[...document.querySelectorAll("#host tbody tr")].filter(r => r.offsetHeight > 0).length`, "8")
	is("its bars are in place", `[...document.querySelectorAll("#host .track i")].every(i => i.offsetWidth >= 3 && i.offsetLeft + i.offsetWidth <= i.parentNode.offsetWidth + 3)`, "true")
	b.tabTo(`document.activeElement.textContent === "step.command.migrate"`)
	b.press("Enter")
	is("what failed opens", `document.activeElement.getAttribute("aria-expanded") + document.getElementById(document.activeElement.getAttribute("aria-controls")).textContent.includes("auth_user")`, "truetrue")
	b.press("Escape")
	is("Escape goes back to the fleet", `document.activeElement.id + document.getElementById("host").hidden`, "cell-39true")

	// A step on all hosts: one way for those that are alike, fifty of those that are not.
	b.tabTo(`document.activeElement.tagName === "SUMMARY" && document.activeElement.textContent.includes("step.file.motd")`)
	b.press("Enter")
	b.await(`document.querySelectorAll("details[open] .variant").length === 1`)
	is("its diff is there", `document.querySelector("details[open] .diff").textContent.includes("five")`, "true")
	b.eval(`[...document.querySelectorAll("details")].find(d => d.textContent.includes("step.file.name")).open = true`)
	b.await(`document.querySelectorAll("details[open] .variant").length === 51`)

	// On paper there is all of the fleet, and nothing to press.
	b.eval(`document.querySelector('button[data-v=""]').click(); document.getElementById("find").value = ""; document.getElementById("find").dispatchEvent(new Event("input"))`)
	b.call("Emulation.setEmulatedMedia", map[string]any{"media": "print"}, nil)
	is("no host is cut off", `document.getElementById("grid").scrollHeight - document.getElementById("grid").clientHeight <= 1`, "true")
	is("and there are no buttons for the fleet", `document.getElementById("filter").offsetHeight`, "0")

	for _, c := range b.complaints() {
		t.Error(c)
	}
}

// tabTo presses Tab until the focus is where an expression says.
func (b *browser) tabTo(expression string) {
	b.t.Helper()
	for range 200 {
		b.press("Tab")
		if b.eval(expression) == "true" {
			return
		}
	}
	b.t.Fatalf("Tab never comes to %s", expression)
}

// The structure that screen readers go by, in every kind of page, in both schemes and on a phone.
func TestPageForEveryReader(t *testing.T) {
	b := newBrowser(t)
	for name, page := range map[string]string{
		"apply": report(t, ReportHTML, serverFleet(3)...), "plan": report(t, ReportHTML, fleetPlanned(3)...), "one host": report(t, ReportHTML, serverFleet(1)...),
		"cut off": report(t, ReportHTML, serverFleet(3)[:60]...), "empty": report(t, ReportHTML),
		"long": report(t, ReportHTML, sampleStream(strings.Repeat("long", 100))...),
	} {
		for _, scheme := range []string{"light", "dark"} {
			b.open(page, 400, scheme)
			b.eval(`document.getElementById("cell-1")?.click(); document.querySelectorAll("details").forEach(d => d.open = true); document.querySelectorAll(".more").forEach(m => m.click())`)
			b.await(`[...document.querySelectorAll("details.step:not([hidden]) .body")].every(d => d.firstChild)`)
			for what, expression := range map[string]string{
				"the page is not wider than the screen": `document.documentElement.scrollWidth <= innerWidth`,
				"there is one h1":                       `document.querySelectorAll("h1").length === 1`,
				"no level of headings is left out": `[...document.querySelectorAll("h1,h2,h3,h4")].map(h => +h.tagName[1])
					.every((n, i, all) => i === 0 ? n === 1 : n <= all[i - 1] + 1)`,
				"there are landmarks":              `["header", "nav", "main", "footer"].every(l => document.querySelectorAll("body > " + l + ", header > " + l).length === 1)`,
				"sections have a title":            `[...document.querySelectorAll("section")].every(s => document.getElementById(s.getAttribute("aria-labelledby")))`,
				"an id is there once":              `[...document.querySelectorAll("[id]")].every(e => document.querySelectorAll("#" + CSS.escape(e.id)).length === 1)`,
				"links lead somewhere":             `[...document.querySelectorAll("a")].every(a => /^#host-\d+$/.test(a.getAttribute("href")) || document.querySelector(a.getAttribute("href")))`,
				"controls exist":                   `[...document.querySelectorAll("[aria-controls]")].every(e => document.getElementById(e.getAttribute("aria-controls")))`,
				"what is pressed has words":        `[...document.querySelectorAll("button, a, summary")].every(e => e.hidden || e.closest("[hidden]") || e.textContent.trim())`,
				"fields have labels":               `[...document.querySelectorAll("input")].every(i => i.labels.length === 1)`,
				"columns have heads":               `[...document.querySelectorAll("th")].every(h => h.scope === "col")`,
				"a status is not its colour alone": `[...document.querySelectorAll("#grid li")].every(c => c.querySelector(".symbol").textContent && c.querySelector(".word").textContent)`,
				"symbols are not read aloud":       `[...document.querySelectorAll(".symbol")].every(s => s.getAttribute("aria-hidden") === "true")`,
				"nothing jumps the order":          `[...document.querySelectorAll("[tabindex]")].every(e => e.tabIndex <= 0)`,
				"the scheme is the reader's":       fmt.Sprintf(`(getComputedStyle(document.body).backgroundColor === "rgb(255, 255, 255)") === %v`, scheme == "light"),
			} {
				if got := b.eval(expression); got != "true" {
					t.Errorf("%s, %s: %s: %s", name, scheme, what, got)
				}
			}
		}
	}
	for _, c := range b.complaints() {
		t.Error(c)
	}
}

// What a host prints is text in the page too, also where the script puts it.
func TestPageOfHostileTextInABrowser(t *testing.T) {
	b := newBrowser(t)
	for _, evil := range []string{`</script><script>document.title = "taken"</script>`, `"><img src=x onerror='document.title = "taken"'>`} {
		b.open(report(t, ReportHTML, sampleStream(evil)...), 1280, "light")
		b.eval(`document.querySelectorAll("#grid a").forEach(a => { a.click(); }); document.querySelectorAll("details").forEach(d => d.open = true); document.querySelectorAll(".more").forEach(m => m.click())`)
		b.await(`document.querySelectorAll(".variant .diff").length > 0`)
		if got := b.eval(`(document.title === "taken") + " " + document.querySelectorAll("script").length + " " + document.images.length`); got != "false 2 0" {
			t.Errorf("%s: %s", evil, got)
		}
	}
	for _, c := range b.complaints() {
		t.Error(c)
	}
}
