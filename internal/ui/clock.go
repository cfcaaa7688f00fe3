package ui

import "time"

// A Clock tells the time and rings. Tests bring their own.
type Clock interface {
	Now() time.Time
	// Ticker returns a channel on which the time comes every d, and what ends that.
	Ticker(d time.Duration) (c <-chan time.Time, stop func())
}

// SystemClock returns the clock of the machine.
func SystemClock() Clock { return systemClock{} }

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Ticker(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTicker(d)
	return t.C, t.Stop
}
