package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"provision/internal/event"
)

func TestReportIsWrittenAsAWhole(t *testing.T) {
	dir := t.TempDir()
	page, xml := filepath.Join(dir, "page.html"), filepath.Join(dir, "junit.xml")
	if err := os.WriteFile(page, []byte("of the last run"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("page.html", filepath.Join(dir, "latest.html")); err != nil {
		t.Fatal(err)
	}
	r, err := NewReport(ReportFile{filepath.Join(dir, "latest.html"), ReportHTML}, ReportFile{xml, ReportJUnit})
	if err != nil {
		t.Fatal(err)
	}
	feed(r, serverFleet(3)...)
	if got := readFile(t, page); got != "of the last run" {
		t.Errorf("before the end there is %q", got)
	}
	if err := r.Write(); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, page); !strings.HasPrefix(got, "<!DOCTYPE html>") {
		t.Errorf("%.100q", got)
	}
	if got := readFile(t, xml); !strings.HasPrefix(got, "<?xml") {
		t.Errorf("%.100q", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("something is left over: %v, %v", entries, err)
	}
	if info, err := os.Lstat(filepath.Join(dir, "latest.html")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}
}

// Nobody should learn after an hour that the report has nowhere to go.
func TestReportRefusesAtOnce(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		paths []string
		want  string
	}{
		{[]string{filepath.Join(dir, "no", "such", "page.html")}, "make it first"},
		{[]string{dir}, "is a directory"},
		{[]string{os.DevNull}, "no regular file"},
		{[]string{""}, "name a file"},
		{[]string{filepath.Join(dir, "a"), filepath.Join(dir, "..", filepath.Base(dir), "a")}, "name another file"},
	} {
		var files []ReportFile
		for _, p := range c.paths {
			files = append(files, ReportFile{Path: p})
		}
		if _, err := NewReport(files...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.paths, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("something is left over: %v, %v", entries, err)
	}
}

// A run that was cut off has a report that says so, and one that ends with hosts untouched does not call them done.
func TestReportOfARunWithoutEnd(t *testing.T) {
	events := serverFleet(3)
	if page := report(t, ReportHTML, events[:50]...); !strings.Contains(page, "The run was cut off") {
		t.Error("the page does not say that the run has no end")
	}
	report(t, ReportHTML)
	report(t, ReportHTML, sampleEvent("web1", event.StepEnd{Addr: "step.file.a", Status: event.StepFailed}))
}
