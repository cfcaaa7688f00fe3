//go:build !linux

package sshtest

import "net"

// acknowledge has no counterpart outside Linux.
func acknowledge(net.Conn) {}
