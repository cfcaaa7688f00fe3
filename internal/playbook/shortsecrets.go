package playbook

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/redact"
)

// ShortSecrets warns of sensitive values that are too short to be hidden in what hosts print: once for each variable, at its
// block, and once for all others together. Call it after Validate, which meets the values.
func (pb *Playbook) ShortSecrets() hcl.Diagnostics {
	if pb.root == nil {
		return nil
	}
	var found hcl.Diagnostics
	warn := func(at *hcl.Range, whose string) {
		found = append(found, &hcl.Diagnostic{
			Severity: hcl.DiagWarning, Summary: "Secret too short to be hidden everywhere", Subject: at,
			Detail: fmt.Sprintf("%s fewer than %d bytes. It is hidden where it is the whole of a value, but not within what a host prints.", whose, redact.Shortest),
		})
	}
	var told []string
	for _, v := range pb.root.varOrder {
		value := pb.vars[v.name]
		if !v.sensitive || value == cty.NilVal {
			continue
		}
		if short := slices.DeleteFunc(sensitiveStrings(value, false), func(s string) bool { return !redact.TooShort(s) }); len(short) > 0 {
			told = append(told, short...)
			warn(&v.rng, fmt.Sprintf("The value of var.%s, or a part of it, has", v.name))
		}
	}
	for _, s := range pb.Secrets() {
		if redact.TooShort(s) && !slices.Contains(told, s) {
			warn(nil, "A sensitive value that comes from no variable has")
			break
		}
	}
	return found
}
