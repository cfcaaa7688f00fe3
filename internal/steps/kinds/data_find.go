package kinds

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var findData = &steps.Kind{
	Name:  "find",
	Block: steps.DataBlock,
	Doc: `The paths below a directory that fit: by name, type, age and size.

The directory itself is not among them, and symbolic links are not followed. A directory that is not there holds nothing. More paths
than limit are an error, and so is a name that a playbook cannot hold: with a line break in it, or not in UTF-8.`,
	Example: `data "find" "lists" {
  path = "/etc"
  name = ["*.conf"]
}

step "file" "note" {
  path    = "/var/tmp/demo-data-find"
  content = "/etc/host.conf is there: ${contains(data.find.lists.paths, "/etc/host.conf")}\n"
}
`,
	Outputs: []steps.Output{
		{Name: "paths", Type: cty.List(cty.String), Doc: "The absolute paths, sorted."},
		{Name: "count", Type: cty.Number, Doc: "How many there are."},
	},
	New: func() (steps.Step, steps.Args) {
		f := &findLook{Type: "file", Depth: 1, Limit: 1000}
		return f, steps.Args{
			kit.PathArg("path", &f.Path, "Absolute path of the directory.").Must(),
			kit.StringsArg("name", &f.Names, "Patterns of names as those of sh, such as \"*.log\": one of them must fit.").With("every name"),
			kit.EnumArg("type", &f.Type, "What to find.", "file", "directory", "symlink", "any"),
			kit.IntArg("depth", &f.Depth, 1, 64, "How deep to look: 1 is what is in the directory itself.").With("1"),
			kit.ParsedArg("older_than", &f.Older, "Only what was changed last before so long, such as \"24h\"; in whole minutes.", minutes),
			kit.ParsedArg("newer_than", &f.Newer, "Only what was changed last within so long, such as \"1h\"; in whole minutes.", minutes),
			kit.OptIntArg("larger_than", &f.Larger, 0, 1<<40, "Only what has more bytes."),
			kit.OptIntArg("smaller_than", &f.Smaller, 1, 1<<40, "Only what has fewer bytes."),
			kit.IntArg("limit", &f.Limit, 1, 10000, "How many paths there may be.").With("1000"),
		}
	},
}

// minutes reads a time for which find(1) has no seconds.
func minutes(s string) (int, error) {
	if d, err := time.ParseDuration(s); err != nil || d < time.Minute {
		return 0, fmt.Errorf("%q is no duration of a minute or more: write it as \"5m\" or \"1h30m\"", s)
	}
	return steps.ParseSeconds(s)
}

type findLook struct {
	looking
	Path, Type      string
	Names           []string
	Depth, Limit    int
	Older, Newer    int
	Larger, Smaller *int
}

var (
	_ steps.Chooser   = (*findLook)(nil)
	_ steps.Asker     = (*findLook)(nil)
	_ steps.Outputter = (*findLook)(nil)
)

func (f *findLook) Validate() []steps.Problem {
	var problems []steps.Problem
	for _, name := range f.Names {
		if name == "" || strings.Contains(name, "/") {
			problems = append(problems, steps.Problem{Arg: "name", Summary: fmt.Sprintf("%q fits no name", name), Detail: "A pattern is about the last part of a path, without a slash; depth says how deep to look."})
		}
	}
	for _, a := range []struct {
		name    string
		seconds int
	}{{"older_than", f.Older}, {"newer_than", f.Newer}} {
		if a.seconds%60 != 0 {
			problems = append(problems, steps.Problem{Arg: a.name, Summary: "the time has seconds", Detail: "Write it in whole minutes, such as \"90m\"."})
		}
	}
	return problems
}

// Asks implements steps.Asker.
func (f *findLook) Asks(*steps.Facts) []steps.Thing {
	return []steps.Thing{{Kind: steps.PathThing, Name: f.Path}}
}

func (f *findLook) Probe() string {
	words := []string{"-mindepth", "1", "-maxdepth", strconv.Itoa(f.Depth)}
	if kind := map[string]string{"file": "f", "directory": "d", "symlink": "l"}[f.Type]; kind != "" {
		words = append(words, "-type", kind)
	}
	for i, name := range f.Names {
		words = append(words, []string{"(", "-o"}[min(i, 1)], "-name", name)
	}
	if len(f.Names) > 0 {
		words = append(words, ")")
	}
	if f.Older > 0 {
		words = append(words, "-mmin", "+"+strconv.Itoa(f.Older/60))
	}
	if f.Newer > 0 {
		words = append(words, "-mmin", "-"+strconv.Itoa(f.Newer/60))
	}
	if f.Larger != nil {
		words = append(words, "-size", fmt.Sprintf("+%dc", *f.Larger))
	}
	if f.Smaller != nil {
		words = append(words, "-size", fmt.Sprintf("-%dc", *f.Smaller))
	}
	// The slash leads into a directory behind a link. A line break in a name becomes the byte 1, which no value of a playbook holds.
	return fmt.Sprintf(`p=%s
path_type "$p" || exit 1
[ "$TYPE" != absent ] || { say directory absent; exit 0; }
[ -d "$p" ] || fail "$p is not a directory"
found=$({ find "${p%%/}/" %s -print0 && printf '/\0'; } | tr '\n\000' '\001\n' | head -n %d)
if [ "${found##*"$NL"}" != / ]; then
	n=$(printf '%%s\n' "$found" | wc -l)
	[ "$n" -gt %d ] || exit 1
	say many paths
	exit 0
fi
found=${found%%/}
[ -z "$found" ] || printf '%%s' "$found" | sort | sed 's/^/path /'
`, shell.Quote(f.Path), shell.Words(words...), f.Limit+1, f.Limit)
}

func (f *findLook) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if _, many := obs.Get("many"); many {
		return steps.Change{}, fmt.Errorf("there are more than %d paths in %s that fit: let fewer fit, or raise limit", f.Limit, f.Path)
	}
	for _, p := range obs.All("path") {
		if strings.ContainsRune(p, 1) {
			return steps.Change{}, fmt.Errorf("the name %q has a line break, which a value cannot hold: rename it, or let it not fit", strings.ReplaceAll(p, "\x01", "\n"))
		}
		if _, err := textValue(fmt.Sprintf("the name %q", p), p); err != nil {
			return steps.Change{}, fmt.Errorf("%w: rename it, or let it not fit", err)
		}
	}
	return steps.Change{Action: steps.NoOp}, nil
}

// Outputs implements steps.Outputter.
func (f *findLook) Outputs(_ *steps.Facts, obs steps.Observation, _ steps.Result) map[string]cty.Value {
	paths := obs.All("path")
	slices.Sort(paths)
	return map[string]cty.Value{"paths": lineList(paths), "count": cty.NumberIntVal(int64(len(paths)))}
}
