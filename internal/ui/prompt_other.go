//go:build !unix

package ui

// quietAgain is for systems that stop programs and go on with them.
func quietAgain(int, func()) (stop func()) { return func() {} }
