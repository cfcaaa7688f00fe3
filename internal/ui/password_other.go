//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package ui

import "golang.org/x/term"

func readPassword(fd int) (string, error) {
	b, err := term.ReadPassword(fd)
	return string(b), err
}
