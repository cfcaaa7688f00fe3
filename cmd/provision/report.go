package main

import (
	"github.com/spf13/pflag"

	"provision/internal/ui"
)

// reports are the files that a run leaves for people and for CI servers.
type reports struct {
	html, junit string
	sink        *ui.Report // nil: none was asked for
}

// flags adds the flags of everything that can leave reports.
func (r *reports) flags(flags *pflag.FlagSet) {
	flags.StringVar(&r.html, "report", "", "leave a report of the run in `FILE`: one page of HTML for people")
	flags.StringVar(&r.junit, "junit", "", "leave a report of the run in `FILE`: XML of JUnit for CI servers")
}

// open makes sure that the files can be written, before anything runs.
func (r *reports) open() error {
	var files []ui.ReportFile
	if r.html != "" {
		files = append(files, ui.ReportFile{Path: r.html, Format: ui.ReportHTML})
	}
	if r.junit != "" {
		files = append(files, ui.ReportFile{Path: r.junit, Format: ui.ReportJUnit})
	}
	if len(files) == 0 {
		return nil
	}
	var err error
	r.sink, err = ui.NewReport(files...)
	return err
}

// write writes them, with what is known by now.
func (r *reports) write() error {
	if r.sink == nil {
		return nil
	}
	return r.sink.Write()
}
