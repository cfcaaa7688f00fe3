package inventory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// maxPatterns bounds a file of patterns, in bytes.
const maxPatterns = 4 << 20

// Patterns replaces "@file" in patterns for Select by the lines of that file, one pattern each, and "!@file" by
// their exclusion. Empty lines and those that begin with # do not count. A list without any pattern is an error: it would
// choose all hosts, which nobody means who limits them.
func Patterns(lists []string) ([]string, error) {
	var all []string
	for _, list := range lists {
		items := splitPatterns(list)
		if len(items) == 0 {
			return nil, errors.New("the pattern is empty; name hosts or groups, or \"all\"")
		}
		for _, item := range items {
			file, excluded := strings.CutPrefix(item, "!@")
			named := excluded
			if !excluded {
				file, named = strings.CutPrefix(item, "@")
			}
			if !named {
				all = append(all, item)
				continue
			}
			lines, err := patternLines(file)
			if err != nil {
				return nil, err
			}
			for _, line := range lines {
				if excluded {
					line = "!" + strings.TrimPrefix(line, "!")
				}
				all = append(all, line)
			}
		}
	}
	return all, nil
}

func patternLines(file string) ([]string, error) {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("@%s: there is no such file; it would hold a host or group a line", file)
	case err != nil:
		return nil, fmt.Errorf("@%s: %w", file, err)
	case !info.Mode().IsRegular() || info.Size() > maxPatterns:
		return nil, fmt.Errorf("@%s: it must be a file of at most %d MiB with a host or group a line", file, maxPatterns>>20)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("@%s: %w", file, err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("@%s: it names no host", file)
	}
	return lines, nil
}
