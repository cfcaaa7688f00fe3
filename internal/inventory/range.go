package inventory

import (
	"fmt"
	"strconv"
	"strings"
)

// maxRange bounds what one range in brackets expands to, so that a slip of the finger does not
// fill the memory.
const maxRange = 10000

// Expand replaces the ranges of a name: "web[01:03]" and "web[01-03]" are web01, web02 and web03,
// "web[1:10:3]" is every third of them, "db[a:c]" dba, dbb and dbc. The leading zeros of the first number
// set the width. Several ranges multiply. Other brackets, such as [ab], stay.
func Expand(name string) ([]string, error) {
	open := strings.IndexByte(name, '[')
	if open < 0 {
		return []string{name}, nil
	}
	end := strings.IndexByte(name[open:], ']')
	if end < 0 {
		return nil, fmt.Errorf("%q: a bracket is not closed", name)
	}
	end += open
	heads, err := expandRange(name[open+1:end], name)
	if err != nil {
		return nil, err
	}
	if heads == nil {
		heads = []string{name[open : end+1]}
	}
	tails, err := Expand(name[end+1:])
	if err != nil {
		return nil, err
	}
	if len(heads)*len(tails) > maxRange {
		return nil, fmt.Errorf("%q stands for more than %d names; split it", name, maxRange)
	}
	all := make([]string, 0, len(heads)*len(tails))
	for _, h := range heads {
		for _, t := range tails {
			all = append(all, name[:open]+h+t)
		}
	}
	return all, nil
}

// expandRange returns the items of "first:last", "first:last:stride" or, of numbers, "first-last"; nil if it is no such
// range.
func expandRange(text, whole string) ([]string, error) {
	first, last, ok := strings.Cut(text, ":")
	if !ok {
		first, last, ok = strings.Cut(text, "-")
		if !ok || !isNumber(first) {
			return nil, nil // [a-c] is a glob
		}
	}
	last, every, strides := strings.Cut(last, ":")
	if isLetter(first) && isLetter(last) {
		return letters(first[0], last[0], every, strides, text, whole)
	}
	if !isNumber(first) || !isNumber(last) {
		return nil, nil
	}
	low, errLow := strconv.ParseUint(first, 10, 31)
	high, errHigh := strconv.ParseUint(last, 10, 31)
	stride, err := strideOf(every, strides, text, whole)
	switch {
	case err != nil:
		return nil, err
	case errLow != nil || errHigh != nil || high >= low && high-low >= maxRange*stride:
		return nil, fmt.Errorf("%q stands for more than %d names; split it", whole, maxRange)
	case high < low:
		return nil, backwards(text, whole)
	}
	width := 0
	if strings.HasPrefix(first, "0") {
		width = len(first)
	}
	var numbers []string
	for n := low; n <= high; n += stride {
		numbers = append(numbers, fmt.Sprintf("%0*d", width, n))
	}
	return numbers, nil
}

func letters(low, high byte, every string, strides bool, text, whole string) ([]string, error) {
	stride, err := strideOf(every, strides, text, whole)
	if err != nil {
		return nil, err
	}
	if high < low || low <= 'Z' && high >= 'a' {
		return nil, backwards(text, whole)
	}
	var list []string
	for c := uint64(low); c <= uint64(high); c += stride {
		list = append(list, string(rune(c)))
	}
	return list, nil
}

func strideOf(every string, given bool, text, whole string) (uint64, error) {
	if !given {
		return 1, nil
	}
	stride, err := strconv.ParseUint(every, 10, 16)
	if err != nil || stride == 0 {
		return 0, fmt.Errorf("%q: the range [%s] ends with the stride %q; write a whole number from 1, as in [1:10:2]", whole, text, every)
	}
	return stride, nil
}

func backwards(text, whole string) error {
	return fmt.Errorf("%q: the range [%s] runs backwards; write the smaller number first", whole, text)
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func isLetter(s string) bool {
	return len(s) == 1 && (s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z')
}
