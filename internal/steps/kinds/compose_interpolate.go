package kinds

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
)

// A standIn takes the places of variables whose values the host alone knows, so that what compose would refuse whatever they are is
// still found. No value of it leaves this machine.
type standIn struct {
	names  map[string]bool     // that were asked for
	chosen map[string]string   // where the first candidate does not fit
	second map[string]struct{} // of these another value of the same form is given
}

// standInForms are values for a port or a number, a duration, a flag, a name and a path, and others of the same form.
var standInForms = [][2]string{{"1", "2"}, {"1s", "2s"}, {"true", "false"}, {"standin", "standintoo"}, {"/standin", "/standintoo"}}

// bareVariable finds variables that stand for their value alone, or that must be set: without them there is nothing to take.
var bareVariable = regexp.MustCompile(`\$\$|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?:\}|:?\?))`)

// substitute is like compose's own, with stand-ins for variables that are not in the mapping.
func (s *standIn) substitute(text string, known template.Mapping) (string, error) {
	bare := map[string]bool{}
	for _, m := range bareVariable.FindAllStringSubmatch(text, -1) {
		bare[m[1]+m[2]] = true
	}
	return template.Substitute(text, func(name string) (string, bool) {
		if value, ok := known(name); ok || !bare[name] {
			return value, ok
		}
		s.names[name] = true
		return s.value(name), true
	})
}

func (s *standIn) value(name string) string {
	form := s.form(name)
	if _, other := s.second[name]; other {
		return form[1]
	}
	return form[0]
}

func (s *standIn) form(name string) [2]string {
	for _, f := range standInForms {
		if f[0] == s.chosen[name] {
			return f
		}
	}
	return standInForms[0]
}

// fit loads a project with stand-ins that it accepts, or returns an error that they do not explain. Where one does not fit, another
// form of it leads to no error or to another one; what has been seen is not followed again.
func (s *standIn) fit(load func() (*types.Project, error)) (*types.Project, error) {
	project, first := load()
	if first == nil {
		return project, nil
	}
	loads := 0
	seen := map[string]bool{}
	var try func(err error) *types.Project
	try = func(err error) *types.Project {
		seen[anyStandIn.Replace(err.Error())] = true
		for _, name := range slices.Sorted(maps.Keys(s.names)) {
			before := s.chosen[name]
			for _, form := range standInForms {
				if loads++; loads > standInLoads {
					return nil
				}
				s.chosen[name] = form[0]
				project, err := load()
				if err == nil {
					return project
				}
				if !seen[anyStandIn.Replace(err.Error())] {
					if project := try(err); project != nil {
						return project
					}
				}
			}
			s.chosen[name] = before
		}
		return nil
	}
	if project := try(first); project != nil {
		return project, nil
	}
	return nil, first
}

// standInLoads bounds the search. One load takes some milliseconds.
const standInLoads = 500

// anyStandIn makes errors alike that differ by a stand-in alone.
var anyStandIn = strings.NewReplacer("/standintoo", "·", "/standin", "·", "standintoo", "·", "standin", "·", "false", "·", "true", "·", "1s", "·", "2s", "·", "1", "·", "2", "·")
