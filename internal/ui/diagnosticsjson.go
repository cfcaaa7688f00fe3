package ui

import (
	"encoding/json"
	"io"

	"github.com/hashicorp/hcl/v2"
)

// DiagnosticsSchema is the version of what DiagnosticsJSON writes. It grows when a field changes its meaning or goes away.
const DiagnosticsSchema = 1

// A diagnostic is one mistake or warning of a playbook, as JSON.
type diagnostic struct {
	Type     string    `json:"type"`     // diagnostic
	Severity string    `json:"severity"` // error or warning
	Summary  string    `json:"summary"`
	Detail   string    `json:"detail,omitempty"`
	File     string    `json:"file,omitempty"`
	Start    *position `json:"start,omitempty"`
	End      *position `json:"end,omitempty"`
}

// A position is where something begins or ends: line and column from 1, in characters, and the byte from 0.
type position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	Byte   int `json:"byte"`
}

// A validation is the last line: what the diagnostics before it come to.
type validation struct {
	Type     string `json:"type"` // validation
	Schema   int    `json:"schema"`
	Valid    bool   `json:"valid"`
	Errors   int    `json:"errors"`
	Warnings int    `json:"warnings"`
}

// DiagnosticsJSON writes what is wrong with a playbook as JSON, one object a line, in the order of the places and each once, and
// a last object that counts them. Values of variables are never in it.
func DiagnosticsJSON(w io.Writer, diags hcl.Diagnostics) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	end := validation{Type: "validation", Schema: DiagnosticsSchema}
	for _, d := range sorted(diags) {
		out := diagnostic{Type: "diagnostic", Severity: "error", Summary: Line(d.Summary), Detail: Clean(d.Detail)}
		if d.Severity == hcl.DiagError {
			end.Errors++
		} else {
			out.Severity = "warning"
			end.Warnings++
		}
		if r := d.Subject; r != nil {
			out.File = r.Filename
			out.Start = &position{r.Start.Line, r.Start.Column, r.Start.Byte}
			out.End = &position{r.End.Line, r.End.Column, r.End.Byte}
		}
		if err := encoder.Encode(out); err != nil {
			return err
		}
	}
	end.Valid = end.Errors == 0
	return encoder.Encode(end)
}
