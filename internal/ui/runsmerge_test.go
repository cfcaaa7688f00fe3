package ui

import (
	"strings"
	"testing"

	"provision/internal/event"
	"provision/internal/record"
)

func TestMergeNotes(t *testing.T) {
	hosts := func(names ...string) map[string]event.HostEnd {
		ends := map[string]event.HostEnd{}
		for _, name := range names {
			ends[name] = event.HostEnd{Status: event.HostOK}
		}
		return ends
	}
	got := strings.Join(MergeNotes(&record.Merge{Runs: []record.Run{
		{Dir: "a", Status: "ok", Start: epoch, Selection: &event.Selection{Shard: "1/4"}, Hosts: hosts("web1", "web2")},
		{Dir: "b\x1b[2J", Status: record.Died, Start: epoch.Add(1), Selection: &event.Selection{Shard: "2/4"}, Hosts: hosts("web2", "web3")},
	}}), "\n")
	want := "1 host in more than one run (web2): the run that began last has the word\n" +
		`the run in b\x1b[2J did not end: its hosts without an end count as interrupted` + "\n" +
		"of 4 shards these are missing, or had no hosts: 3, 4"
	if got != want {
		t.Errorf("notes:\n%s\nwant:\n%s", got, want)
	}
}
