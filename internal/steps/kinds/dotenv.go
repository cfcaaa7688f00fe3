package kinds

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"

	"provision/internal/steps"
)

// A dotenvIssue is something in an environment file that docker compose refuses, or takes for
// something else than it looks like. It never holds a value.
type dotenvIssue struct {
	line    int // from 1
	warning bool
	text    string
}

// dotenvReader follows the grammar of compose-go's package dotenv.
type dotenvReader struct {
	rest   string
	line   int
	set    map[string]bool // names that the file has set so far
	issues []dotenvIssue
}

// checkDotenv reads an environment file as docker compose does and reports what is wrong. known are variables that compose knows beside those
// of the file.
func checkDotenv(text string, known ...string) []dotenvIssue {
	r := &dotenvReader{rest: strings.TrimPrefix(text, "\uFEFF"), line: 1, set: map[string]bool{}}
	for _, name := range known {
		r.set[name] = true
	}
	for r.statement() {
	}
	return r.issues
}

// dotenvNames are the variables that an environment file sets.
func dotenvNames(text string) []string {
	r := &dotenvReader{rest: strings.TrimPrefix(text, "\uFEFF"), line: 1, set: map[string]bool{}}
	for r.statement() {
	}
	return slices.Sorted(maps.Keys(r.set))
}

func (r *dotenvReader) report(line int, warning bool, format string, args ...any) {
	r.issues = append(r.issues, dotenvIssue{line: line, warning: warning, text: fmt.Sprintf(format, args...)})
}

// skip moves on by n bytes.
func (r *dotenvReader) skip(n int) {
	r.line += strings.Count(r.rest[:n], "\n")
	r.rest = r.rest[n:]
}

// endOfLine is the length of what is left of the line, without its line break.
func (r *dotenvReader) endOfLine() int {
	if i := strings.IndexByte(r.rest, '\n'); i >= 0 {
		return i
	}
	return len(r.rest)
}

var (
	dotenvName   = regexp.MustCompile(`^[\pL\pN_.\-\[\]]+$`)
	dotenvExport = regexp.MustCompile(`^export[ \t]+`)
)

// statement reads one statement, and tells whether there was one.
func (r *dotenvReader) statement() bool {
	r.skip(len(r.rest) - len(strings.TrimLeft(r.rest, " \t\r\n\v\f")))
	if r.rest == "" {
		return false
	}
	if r.rest[0] == '#' {
		r.skip(r.endOfLine())
		return true
	}
	r.skip(len(dotenvExport.FindString(r.rest)))
	end := strings.IndexAny(r.rest, "=:\n")
	if end < 0 || r.rest[end] == '\n' {
		if end < 0 {
			end = len(r.rest)
		}
		name := strings.TrimSpace(r.rest[:end])
		switch {
		case !dotenvName.MatchString(name):
			r.report(r.line, false, "this is no NAME=value")
		case end == len(r.rest):
			r.report(r.line, false, "there is no = after the name, and the file ends: compose reads nonsense; write NAME=value")
		default:
			r.report(r.line, true, "there is no = after the name: compose takes the value from its own environment, or leaves the variable out")
		}
		r.skip(end)
		return true
	}
	name := strings.TrimSpace(r.rest[:end])
	if !dotenvName.MatchString(name) {
		r.report(r.line, false, "this is no name of a variable before the \"%c\": letters, digits and _ . - are", r.rest[end])
		r.skip(r.endOfLine())
		return true
	}
	r.skip(end + 1)
	r.skip(len(r.rest) - len(strings.TrimLeft(r.rest, " \t\r\v\f")))
	r.value(name)
	r.set[name] = true
	return true
}

// value reads the value of a variable.
func (r *dotenvReader) value(name string) {
	if r.rest == "" || r.rest[0] != '"' && r.rest[0] != '\'' {
		end := r.endOfLine()
		value, _, _ := strings.Cut(r.rest[:end], " #")
		switch {
		case strings.HasPrefix(value, "#"):
			r.report(r.line, true, "the value of %s begins with a #, which begins no comment right behind the =: the container gets the # and what follows it; put a comment on a line of its own", name)
		case strings.Contains(value, "\t#"):
			r.report(r.line, true, "the value of %s goes on behind the tab: only a # behind a space begins a comment, so the container gets the tab, the # and what follows it", name)
		}
		r.expansions(name, r.line, strings.TrimSpace(value), false)
		r.skip(end)
		return
	}
	quote, line := r.rest[0], r.line
	for i := 1; i < len(r.rest); i++ {
		switch r.rest[i] {
		case '\\':
			i++
		case quote:
			if quote == '"' {
				r.expansions(name, line, r.rest[1:i], true)
			}
			r.skip(i + 1)
			if rest := strings.TrimSpace(r.rest[:r.endOfLine()]); rest != "" && rest[0] != '#' {
				r.report(r.line, false, "there is text after the closing quote of %s, which compose takes for another variable; put the whole value into the quotes", name)
				r.skip(r.endOfLine())
			}
			return
		}
	}
	r.report(line, false, "the quote that opens the value of %s is never closed", name)
	r.skip(len(r.rest))
}

var dotenvReference = regexp.MustCompile(`\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|(\{)(?:([A-Za-z_][A-Za-z0-9_]*)(:?[-+?])?)?)`)

// loginVariables are set wherever somebody logs in. compose has them in its own environment, which counts before the file.
var loginVariables = []string{"HOME", "LANG", "LOGNAME", "MAIL", "OLDPWD", "PATH", "PWD", "SHELL", "SHLVL", "TERM", "USER"}

// expansions looks at what compose puts in the place of "$".
func (r *dotenvReader) expansions(name string, line int, value string, quoted bool) {
	if quoted {
		value = strings.ReplaceAll(value, `\$`, "$$")
	}
	warned := false
	for _, m := range dotenvReference.FindAllStringSubmatchIndex(value, -1) {
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return value[m[2*i]:m[2*i+1]]
		}
		variable := group(2) + group(4)
		switch {
		case group(1) != "":
		case group(3) != "" && (variable == "" || !strings.Contains(value[m[1]:], "}") || group(5) == "" && value[m[1]] != '}'):
			r.report(line, false, "the value of %s has a \"${\" that compose cannot read; put the value into single quotes", name)
			return
		case slices.Contains(loginVariables, variable):
			r.report(line, true, "the value of %s has \"$%s\", which compose takes from the environment in which it runs itself on the host, also where this file sets it: not that of the container; write the value out", name, variable)
		case strings.HasSuffix(group(5), "?") && !r.set[variable]:
			r.report(line, true, "the value of %s demands a variable (\"?\") that this file does not set before: compose refuses the file unless the variable is in the environment in which it runs on the host", name)
		case group(5) == "" && !r.set[variable] && !warned:
			// The variable may be a part of a password: it is not named.
			warned = true
			r.report(line, true, "the value of %s has a \"$\" that compose takes for a variable, which this file does not set before: it vanishes; put the value into single quotes, or write \"$$\"", name)
		}
	}
}

// A value with such a name, or an address with a password in it, is a secret. To take every value for one would blot out "true" and
// "production" wherever a host says so.
var (
	secretVariable = regexp.MustCompile(`(?i)key|secret|token|pass|pwd|credential|auth|private|salt`)
	secretAddress  = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[^/@]*:([^/@]+)@`)
)

// secretValues are the values in an environment file that must not show by themselves either; none if it is no such file.
func secretValues(text string) []string {
	values, err := dotenv.Parse(strings.NewReader(text))
	if err != nil {
		return nil
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if secretVariable.MatchString(name) {
			list = append(list, values[name])
		} else if m := secretAddress.FindStringSubmatch(values[name]); m != nil {
			list = append(list, values[name], m[1])
		}
	}
	return list
}

var dotenvPlain = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]*$`)

// dotenvBackquote is the variable that stands for a backquote where neither kind of quotes can hold one.
const dotenvBackquote = "PROVISION_BACKQUOTE"

// dotenvFile writes variables so that compose, sh and systemd read the same values: bare where nothing in them is special,
// in single quotes, or in double quotes where a value has single ones or backslashes (systemd before 240 drops them in
// single quotes). In double quotes sh runs what stands between backquotes, and compose does not know them escaped: there
// a variable takes their place, which systemd does not expand.
func dotenvFile(variables []steps.Variable) string {
	var b strings.Builder
	helper := false
	for _, v := range variables {
		value := v.Value.Reveal()
		switch dotenvQuotes(value) {
		case "":
		case "'":
			value = "'" + value + "'"
		default:
			value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "${"+dotenvBackquote+"}").Replace(value) + `"`
			if strings.Contains(v.Value.Reveal(), "`") && !helper {
				helper = true
				b.WriteString(dotenvBackquote + "='`'\n")
			}
		}
		b.WriteString(v.Name + "=" + value + "\n")
	}
	return b.String()
}

// dotenvQuotes returns the quotes that a value is written in, or "".
func dotenvQuotes(value string) string {
	backquote := strings.Contains(value, "`")
	switch {
	case dotenvPlain.MatchString(value):
		return ""
	case strings.Contains(value, "'"), strings.HasSuffix(value, `\`), !backquote && strings.Contains(value, `\`):
		return `"`
	}
	return "'"
}

// dotenvProblems says which values cannot be written so that every reader of such a file gets them.
func dotenvProblems(variables []steps.Variable) []steps.Problem {
	var problems []steps.Problem
	for _, v := range variables {
		value := v.Value.Reveal()
		switch {
		case strings.Contains(value, "\r"):
			problems = append(problems, steps.Problem{
				Arg: "values", Summary: "the value of " + v.Name + " holds a carriage return",
				Detail: "No form of it is read alike by compose, sh and systemd. Remove it, for instance with replace(value, \"\\r\", \"\").",
			})
		case dotenvQuotes(value) == `"` && strings.Contains(value, "`"):
			problems = append(problems, steps.Problem{
				Arg: "values", Warning: true, Summary: "the value of " + v.Name + " cannot be read by systemd",
				Detail: "It holds a backquote beside a single quote or a final backslash. compose and sh read it by way of a variable " + dotenvBackquote + ", which EnvironmentFile= of systemd does not expand.",
			})
		}
	}
	return problems
}
