package record

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/maruel/natural"

	"provision/internal/event"
)

// A shard is the record of a run of some hosts, each of which ends as said, a second apart.
func shard(t *testing.T, id, of string, hour int, change func(*event.RunStart), ends map[string]event.HostStatus, cut bool) Run {
	t.Helper()
	l := NewLog(t.TempDir(), Options{Lines: lines})
	when := epoch.Add(time.Duration(hour) * time.Hour)
	tell := func(e event.Event) {
		e.Run, e.Time = id, when
		when = when.Add(time.Second)
		l.Event(e)
	}
	var names []string
	for name := range ends {
		names = append(names, name)
	}
	slices.SortStableFunc(names, natural.Compare)
	start := event.RunStart{
		Schema: 1, Command: event.CommandApply, Playbook: "site.hcl", Hosts: len(names), Owner: "job@pod-" + of[:1],
		Selection: &event.Selection{Shard: of, Names: names, Tags: []string{"deploy"}, Digest: "d1"},
	}
	if change != nil {
		change(&start)
	}
	tell(sampleEvent("", &start))
	for _, name := range names {
		tell(printed(name, "output of "+name+" in "+id+"\n"))
		if ends[name] != "" {
			tell(sampleEvent(name, &event.HostEnd{Status: ends[name]}))
		}
	}
	if !cut {
		tell(sampleEvent("", &event.RunEnd{Status: "whatever"}))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	run, err := Read(l.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// The shards of a fleet become one record: each host once, events by time with the ids of their runs, one start and one
// end with the worst that happened.
func TestMerge(t *testing.T) {
	one := shard(t, "run-1", "1/4", 0, nil, map[string]event.HostStatus{"web1": event.HostOK, "web3": event.HostFailed}, false)
	two := shard(t, "run-2", "2/4", 0, nil, map[string]event.HostStatus{"web2": event.HostUnreached, "web4": ""}, true)
	retried := shard(t, "run-3", "1/4", 1, nil, map[string]event.HostStatus{"web3": event.HostOK}, false)
	m := &Merge{Runs: []Run{retried, one, two}, ID: "merged", Owner: "ann@laptop since now"}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	told := &heard{}
	log := NewLog(t.TempDir(), Options{Lines: lines})
	status, err := m.Write(event.Tee(told, log))
	if err != nil {
		t.Fatal(err)
	}
	if status != 130 {
		t.Errorf("exit status %d, want 130: a run did not end", status)
	}
	first, last := told.events[0], told.events[len(told.events)-1]
	if first.RunStart == nil || first.Run != "merged" || first.RunStart.Hosts != 4 || !first.Time.Equal(epoch) {
		t.Errorf("it begins with %+v", first)
	}
	if s := first.RunStart; strings.Join(s.Merges, " ") != "run-3 run-1 run-2" || strings.Join(s.Selection.Names, " ") != "web1 web2 web3 web4" || s.Selection.Shard != "" {
		t.Errorf("it begins with %+v, %+v", s, s.Selection)
	}
	if last.RunEnd == nil || last.RunEnd.Exit != 130 || last.RunEnd.Status != "interrupted" {
		t.Errorf("it ends with %+v", last.RunEnd)
	}
	ends, runs := map[string]event.HostStatus{}, map[string]bool{}
	for i, e := range told.events {
		if i > 0 && e.Time.Before(told.events[i-1].Time) {
			t.Errorf("event %d is earlier than the one before it", i)
		}
		if (e.RunStart != nil) != (i == 0) || (e.RunEnd != nil) != (i == len(told.events)-1) {
			t.Errorf("event %d of %d is %s", i, len(told.events), e.Type)
		}
		runs[e.Run] = true
		if e.HostEnd == nil {
			continue
		}
		if ends[e.Host] != "" {
			t.Errorf("%s ends twice", e.Host)
		}
		ends[e.Host] = e.HostEnd.Status
	}
	if ends["web1"] != event.HostOK || ends["web2"] != event.HostUnreached || ends["web3"] != event.HostOK || ends["web4"] != event.HostInterrupted {
		t.Errorf("the hosts end as %v", ends)
	}
	if len(runs) != 4 {
		t.Errorf("ids of runs: %v", runs)
	}
	if missing, of := m.MissingShards(); !slices.Equal(m.Twice(), []string{"web3"}) || !slices.Equal(missing, []string{"3", "4"}) || of != 4 {
		t.Errorf("in two runs: %v; missing: %v of %d", m.Twice(), missing, of)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if text := readFile(t, filepath.Join(log.Dir(), "web3.log")); !strings.Contains(text, "output of web3 in run-3") || strings.Contains(text, "run-1") {
		t.Errorf("the log of web3:\n%s", text)
	}
	kept, err := Read(log.Dir())
	if err != nil || kept.Exit != 130 || len(kept.Hosts) != 4 || len(kept.Merges) != 3 {
		t.Errorf("kept as %+v, %v", kept, err)
	}
}

// What does not belong together is not mixed by mistake.
func TestMergeRefuses(t *testing.T) {
	ok := map[string]event.HostStatus{"web1": event.HostOK}
	one := shard(t, "run-1", "1/2", 0, nil, ok, false)
	for want, change := range map[string]func(*event.RunStart){
		"different playbooks":            func(s *event.RunStart) { s.Selection.Digest = "d2" },
		"a run of apply and":             func(s *event.RunStart) { s.Command = event.CommandRun },
		"were given different --tags":    func(s *event.RunStart) { s.Selection.Tags = nil },
		"different versions of one (sit": func(s *event.RunStart) { s.Selection.Digest, s.Playbook = "", "other.hcl" },
	} {
		m := &Merge{Runs: []Run{one, shard(t, "run-2", "2/2", 0, change, ok, false)}}
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--force") {
			t.Errorf("error %v, want %q", err, want)
		}
		m.Force = true
		if err := m.Check(); err != nil {
			t.Errorf("with --force: %v", err)
		}
	}
	if err := (&Merge{Runs: []Run{one, one}, Force: true}).Check(); err == nil || !strings.Contains(err.Error(), "named twice") {
		t.Errorf("the same run twice: %v", err)
	}

	f, err := os.OpenFile(filepath.Join(one.Dir, eventsFile), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("garbage\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Merge{Runs: []Run{one}}).Write(&heard{}); err == nil || !strings.Contains(err.Error(), "is not an event") {
		t.Errorf("garbage: %v", err)
	}
	if status, err := (&Merge{Runs: []Run{one}, Force: true}).Write(&heard{}); err != nil || status != 0 {
		t.Errorf("garbage, with --force: %d, %v", status, err)
	}
}
