package ui

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"provision/internal/record"
)

// Whatever lies in a record, showing, listing and merging it ends, without a panic and without controls on the screen.
func FuzzRecord(f *testing.F) {
	var whole bytes.Buffer
	for _, e := range append(failedRun(), sampleStream("x\x1b[2J\u202e")...) {
		whole.Write(e.Line())
		f.Add(e.Line(), []byte("{}"))
		f.Add([]byte(`{"type":"`+string(e.Type)+`","host":"web1"}`+"\n"), []byte(`{"status":"ok"}`))
	}
	f.Add(whole.Bytes(), []byte(nil))
	f.Add(whole.Bytes(), []byte(`{"status":"ok","start":"2024-05-17T09:30:00Z","hosts":{"":{}},"totals":null,"selection":{"names":["",""]}}`))
	f.Add([]byte(`{"run_start":{"hosts":-1,"selection":{"shard":"0/-1"}}}`+"\n"+`{"time":"0000-01-01T00:00:00Z","run_end":{"duration_ms":-9223372036854775808}}`+"\n"), []byte(nil))
	f.Fuzz(func(t *testing.T, events, summary []byte) {
		dir := filepath.Join(t.TempDir(), "run")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{"events.jsonl": events, "summary.json": summary} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		run, err := record.Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		run.Dir = dir
		var out bytes.Buffer
		_ = ShowRun(&out, run, unicodeStyle, ShowOptions{})
		_ = ShowRun(&out, run, unicodeStyle, ShowOptions{Verbose: true})
		_ = ShowRun(&out, run, unicodeStyle, ShowOptions{Host: "web1"})
		if err := RunsTable(&out, []record.Run{run}, Style{Width: 80}); err != nil {
			t.Fatal(err)
		}
		m := &record.Merge{Runs: []record.Run{run}, ID: "merged", Force: true}
		for _, note := range append(MergeNotes(m), "") {
			out.WriteString(note + "\n")
		}
		if _, err := m.Write(NewSummary(&out, unicodeStyle)); err != nil {
			t.Fatal(err)
		}
		if text := out.String(); Clean(text) != text {
			t.Errorf("controls: %q", text)
		}
	})
}
