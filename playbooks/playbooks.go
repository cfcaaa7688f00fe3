// Package playbooks holds the modules that are shipped with provision and built into it: a module block names one as
// source = "provision/NAME".
package playbooks

import "embed"

// FS holds a directory for each module.
//
//go:embed all:*
var FS embed.FS
