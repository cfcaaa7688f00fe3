package sshconfig

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseTime reads the times of ssh_config(5): seconds, or numbers with units as in "1h30m".
func ParseTime(s string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a time such as 10 or 1m30s", s)
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 168 * time.Hour}
	var total time.Duration
	if s == "" {
		return 0, wrong
	}
	for rest := strings.ToLower(s); rest != ""; {
		i := 0
		for i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
			i++
		}
		n, err := strconv.ParseInt(rest[:i], 10, 32)
		if err != nil {
			return 0, wrong
		}
		unit := time.Second
		if rest = rest[i:]; rest != "" {
			var ok bool
			if unit, ok = units[rest[0]]; !ok {
				return 0, wrong
			}
			rest = rest[1:]
		}
		total += time.Duration(n) * unit
		if total < 0 || total > 1<<31*time.Second {
			return 0, wrong
		}
	}
	return total, nil
}
