// Package record keeps the runs of a playbook in a directory of their own each, and reads them again: to list them, to show
// one as it was, to resume it, and to merge those of several machines.
package record
