package ui

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"provision/internal/record"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestHostLog(t *testing.T) {
	l := record.NewLog(t.TempDir(), record.Options{Lines: HostLines})
	feed(l, applyOf(2)...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	golden(t, "log_web02.txt", readFile(t, filepath.Join(l.Dir(), "web02.log")))
}

func TestJSONGolden(t *testing.T) {
	var buf bytes.Buffer
	j := NewJSON(&buf)
	feed(j, sampleStream("x")...)
	if err := j.Err(); err != nil {
		t.Fatal(err)
	}
	golden(t, "events.jsonl", buf.String())
}
