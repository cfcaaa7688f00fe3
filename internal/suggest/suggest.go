// Package suggest finds the name that was probably meant.
package suggest

// Nearest returns the candidate that differs least from a misspelt name, or "" if none is near
// enough to be what was meant. Of equally near ones it is the first.
func Nearest(name string, candidates []string) string {
	best, least := "", 2+(len(name)-1)/4
	for _, c := range candidates {
		if d := distance(name, c); d < least && d < len(c) {
			best, least = c, d
		}
	}
	return best
}

// DidYouMean returns ` Did you mean "NAME"?` for the nearest candidate, or "".
func DidYouMean(name string, candidates []string) string {
	if near := Nearest(name, candidates); near != "" {
		return ` Did you mean "` + near + `"?`
	}
	return ""
}

// distance is the number of bytes to insert, delete or replace, or of neighbours to swap, to make one
// name of the other (optimal string alignment). Very long names are never near.
func distance(a, b string) int {
	const longest = 200
	if len(a) > longest || len(b) > longest {
		return longest
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
