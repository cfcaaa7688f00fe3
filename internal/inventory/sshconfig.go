package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ReadSSHConfig returns the hosts that the configuration of ssh names, in order: the words of
// Host lines that hold no pattern, Include files too. Their addresses stay empty, since
// whoever connects looks them up there.
func ReadSSHConfig(file string) (*Imported, error) {
	im := &Imported{}
	return im, im.readSSHConfig(file, filepath.Dir(file), 0)
}

func (im *Imported) readSSHConfig(file, base string, depth int) error {
	const deepest = 16 // as ssh itself (readconf.c, READCONF_MAX_DEPTH)
	if depth > deepest {
		return fmt.Errorf("%s: Include goes deeper than %d files", file, deepest)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(data), "\n") {
		words := strings.Fields(strings.Replace(line, "=", " ", 1))
		if len(words) < 2 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch strings.ToLower(words[0]) {
		case "host":
			for _, name := range words[1:] {
				if name = strings.Trim(name, `"`); ValidName(name) == nil {
					im.host(name)
				}
			}
		case "include":
			for _, pattern := range words[1:] {
				if err := im.include(strings.Trim(pattern, `"`), base, depth); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (im *Imported) include(pattern, base string, depth int) error {
	if rest, ok := strings.CutPrefix(pattern, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return err
		}
		pattern = filepath.Join(home, rest)
	} else if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(base, pattern)
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		return fmt.Errorf("the pattern %q is malformed", pattern)
	}
	for _, f := range files {
		if err := im.readSSHConfig(f, base, depth+1); err != nil {
			return err
		}
	}
	return nil
}
