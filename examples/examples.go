// Package examples holds the examples, which are built into provision: init copies them.
package examples

import "embed"

// FS holds a directory for each example.
//
//go:embed all:quickstart all:django-centos7 all:fleet all:takeover
var FS embed.FS
