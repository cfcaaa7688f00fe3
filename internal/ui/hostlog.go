package ui

import "provision/internal/event"

// HostLines returns what renders the events of one host as the lines of its log, which has no screen.
func HostLines() func(e event.Event) []string {
	v := &verdicts{style: Style{Unicode: true}, verbose: true, early: true, output: newLineSplitter()}
	return v.lines
}
