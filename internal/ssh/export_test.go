package ssh

import "time"

// SetPenaltyPauses makes a dialer come back sooner to a server that has banned it.
func SetPenaltyPauses(d *Dialer, pauses ...time.Duration) { d.pauses = pauses }
