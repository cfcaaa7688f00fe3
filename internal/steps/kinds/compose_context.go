package kinds

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"go.yaml.in/yaml/v4"

	"provision/internal/steps"
)

// A composeContext is a directory that an image is built from, and its Dockerfile, relative to the directory of the project.
type composeContext struct{ Directory, Dockerfile string }

// A composeIgnore tells which files do not travel: in a directory that images are built from, what each of these builds leaves out, by
// files of its own; elsewhere, what the .dockerignore of the project names.
type composeIgnore struct {
	always, top *patternmatcher.PatternMatcher
	contexts    []composeIgnored
	text        string
}

type composeIgnored struct {
	directory string
	matcher   *patternmatcher.PatternMatcher
}

// neverSent is what a run leaves beside a playbook that is in the project directory itself, and a name that is taken.
var neverSent = []string{".provision", noteName}

func (p *composeProject) ignore(d *steps.Disk, source string, patterns []string) (*composeIgnore, error) {
	g := &composeIgnore{text: fmt.Sprintf("%q", patterns)}
	var err error
	if g.always, err = patternmatcher.New(neverSent); err != nil {
		return nil, err
	}
	if g.top, err = patternmatcher.New(patterns); err != nil {
		return nil, fmt.Errorf(".dockerignore: %w", err)
	}
	for _, c := range p.Contexts {
		// One beside the Dockerfile, of its name, comes before that of the directory.
		var lines []string
		for _, name := range []string{c.Dockerfile + ".dockerignore", path.Join(c.Directory, ".dockerignore")} {
			text, err := d.Text(filepath.Join(source, filepath.FromSlash(name)))
			if err != nil {
				continue // there is none
			}
			if lines, err = ignorefile.ReadAll(strings.NewReader(text)); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			break
		}
		matcher, err := patternmatcher.New(lines)
		if err != nil {
			return nil, fmt.Errorf("what is left out of %s: %w", c.Directory, err)
		}
		g.contexts = append(g.contexts, composeIgnored{c.Directory, matcher})
		g.text += fmt.Sprintf(" %q %q", c.Directory, lines)
	}
	return g, nil
}

func (g *composeIgnore) MatchesOrParentMatches(file string) (bool, error) {
	if ignored, err := g.always.MatchesOrParentMatches(file); ignored || err != nil {
		return ignored, err
	}
	built := false
	for _, c := range g.contexts {
		below := file
		if c.directory != "." {
			if file == c.directory {
				return false, nil
			}
			rest, yes := strings.CutPrefix(file, c.directory+"/")
			if !yes {
				continue
			}
			below = rest
		}
		built = true
		if ignored, err := c.matcher.MatchesOrParentMatches(below); !ignored || err != nil {
			return false, err
		}
	}
	if built {
		return true, nil
	}
	return g.top.MatchesOrParentMatches(file)
}

func (g *composeIgnore) Exclusions() bool {
	return g.top.Exclusions() || slices.ContainsFunc(g.contexts, func(c composeIgnored) bool { return c.directory != "." || c.matcher.Exclusions() })
}

func (g *composeIgnore) String() string { return g.text }

// references lists the files that compose files include or extend, and those that these do, and the files with the variables of
// included ones.
func (e *composeEnvironment) references(dir string, files []string) (list, variables []string) {
	var follow func(base, name string)
	add := func(base, name string) {
		name, err := template.Substitute(name, e.values.Resolve)
		if name = path.Join(base, name); err != nil || !filepath.IsLocal(name) || slices.Contains(list, name) {
			return
		}
		list = append(list, name)
		follow(path.Dir(name), name)
	}
	follow = func(base, name string) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return
		}
		var document struct {
			Include  []any
			Services map[string]struct{ Extends any }
		}
		if yaml.Unmarshal(text, &document) != nil {
			return // compose's own loader has said why
		}
		for _, include := range document.Include {
			settings, _ := include.(map[string]any)
			if settings == nil {
				settings = map[string]any{"path": include}
			}
			for _, f := range oneOrMore(settings["path"]) {
				add(base, f)
				variables = append(variables, path.Join(base, path.Dir(f), ".env"))
			}
			for _, f := range oneOrMore(settings["env_file"]) {
				variables = append(variables, path.Join(base, f))
			}
		}
		for _, service := range document.Services {
			if settings, _ := service.Extends.(map[string]any); settings != nil {
				for _, f := range oneOrMore(settings["file"]) {
					add(base, f)
				}
			}
		}
	}
	for _, f := range files {
		follow(path.Dir(files[0]), f)
	}
	slices.Sort(list)
	return list, variables
}

// oneOrMore are those of a value that is one or a list.
func oneOrMore(value any) []string {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var list []string
		for _, one := range v {
			list = append(list, oneOrMore(one)...)
		}
		return list
	}
	return nil
}
