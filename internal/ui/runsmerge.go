package ui

import (
	"fmt"
	"strings"

	"provision/internal/record"
)

// MergeNotes returns what a user should know of a merge.
func MergeNotes(m *record.Merge) []string {
	var notes []string
	if twice := m.Twice(); len(twice) > 0 {
		notes = append(notes, count(len(twice), "host")+" in more than one run ("+Style{}.hostList(twice, 6)+"): the run that began last has the word")
	}
	for i := range m.Runs {
		if m.Runs[i].Status == record.Died {
			notes = append(notes, "the run in "+Line(m.Runs[i].Dir)+" did not end: its hosts without an end count as interrupted")
		}
	}
	if missing, of := m.MissingShards(); len(missing) > 0 {
		notes = append(notes, fmt.Sprintf("of %d shards these are missing, or had no hosts: %s", of, strings.Join(missing, ", ")))
	}
	return notes
}
