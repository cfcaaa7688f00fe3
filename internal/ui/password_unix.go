//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package ui

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// readPassword reads a line from a terminal that does not show it. Ctrl-D on an empty line is io.EOF, as is a terminal that is gone;
// the function of x/term reads on, without end.
func readPassword(fd int) (password string, err error) {
	before, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return "", err
	}
	quiet := *before
	quiet.Lflag &^= unix.ECHO
	quiet.Lflag |= unix.ICANON | unix.ISIG
	quiet.Iflag |= unix.ICRNL
	if err := unix.IoctlSetTermios(fd, setTermios, &quiet); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unix.IoctlSetTermios(fd, setTermios, before)) }()
	var line []byte
	var b [1]byte
	for len(line) < maxLine {
		n, err := unix.Read(fd, b[:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return "", err
		case n == 0 && len(line) == 0:
			return "", io.EOF
		case n == 0, b[0] == '\n':
			return string(line), nil
		case b[0] != '\r':
			line = append(line, b[0])
		}
	}
	return string(line), nil
}
