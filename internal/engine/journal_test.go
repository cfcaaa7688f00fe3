package engine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const sampleJournal = "run 20261122-1 4e5f-boot ann@laptop since 10:31\n" +
	"begin 3 step.file.conf[\"a b\"]\n" +
	"end 3 changed 0 100.25-101.75 0 0 18\ntype file\nmode 644\n" +
	"begin 4 step.command.x\nend 4 failed 7 101.75-101.80 12 5 0\n\ndone failed\n"

// A journal arrives cut anywhere; the records must be the same.
func TestJournalCutAnywhere(t *testing.T) {
	want := []record{
		{kind: "run", text: "20261122-1 4e5f-boot ann@laptop since 10:31"},
		{kind: "begin", number: 3},
		{kind: "end", number: 3, verdict: "changed", took: 1500 * time.Millisecond, state: "type file\nmode 644"},
		{kind: "begin", number: 4},
		{kind: "end", number: 4, verdict: "failed", status: 7, out: [2]int64{12, 5}, took: 49999999},
		{kind: "done", verdict: "failed"},
	}
	for cut := range len(sampleJournal) {
		var j journalReader
		var got []record
		for _, part := range []string{sampleJournal[:cut], sampleJournal[cut:]} {
			records, err := j.feed([]byte(part))
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			got = append(got, records...)
		}
		for i := range got {
			got[i].took = got[i].took.Round(time.Millisecond)
		}
		for i := range want {
			want[i].took = want[i].took.Round(time.Millisecond)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(record{})); diff != "" {
			t.Fatalf("cut at %d:\n%s", cut, diff)
		}
	}
}

func TestDamagedJournalIsAnError(t *testing.T) {
	for _, text := range []string{"nonsense\n", "begin x y\n", "end 1 changed 0 1-2 0 0 -5\n", "end 1 changed 0 1-2 0 0 99999999999\n", "end 1\n", "end 1 changed 0 1-2 0 -1 0\n"} {
		var j journalReader
		if _, err := j.feed([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(sampleJournal))
	f.Add([]byte("end 1 changed 0 - 0 0 0\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var j journalReader
		_, _ = j.feed(data)
	})
}
