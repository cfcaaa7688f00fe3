package bench

import "strings"

func splitLines(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") }

// fieldsAfterHost returns a line of known_hosts without its first field.
func fieldsAfterHost(line string) string {
	_, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	return rest
}
