//go:build unix

package ui

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

// quietAgain takes the echo from a terminal again, and asks again, whenever the program was stopped and goes on: the shell has given the
// terminal its own settings meanwhile. The settings are those that readPassword makes, which is to begin now. It does so until stop is called.
func quietAgain(fd int, ask func()) (stop func()) {
	continued, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(continued, syscall.SIGCONT)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var quiet *term.State
		taken := time.After(50 * time.Millisecond)
		for {
			select {
			case <-ended:
				return
			case <-taken:
				quiet, _ = term.GetState(fd)
			case <-continued:
				if quiet != nil {
					_ = term.Restore(fd, quiet)
					ask()
				}
			}
		}
	}()
	return func() {
		signal.Stop(continued)
		close(ended)
		<-done
	}
}
