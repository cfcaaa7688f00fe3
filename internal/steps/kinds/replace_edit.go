package kinds

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

// beyondASCII finds lines in which grep, for which a dot is a byte, may find something else than Go. Plan looks at them.
const beyondASCII = "[^ -~\t]"

// Probe says the lines that Plan goes by. Of a secret it says the sums of what matches.
func (r *replace) Probe() string {
	if r.secret() {
		return r.Edit.ProbeSecret(kit.ProbeLines + r.probeSums())
	}
	patterns := []string{r.Match.ere, beyondASCII}
	for _, p := range []*kit.Pattern{r.After, r.Before} {
		if p != nil {
			patterns = append(patterns, p.ERE)
		}
	}
	if r.Required {
		patterns = append(patterns, r.done())
	}
	var find strings.Builder
	for _, p := range patterns {
		find.WriteString(" -e " + shell.Quote(p))
	}
	sums := ""
	if r.literally() {
		// A journal, which is on the disk, holds no line of such a file.
		sums = "case $m in ?00 | ??00 | 0) if ! lines | grep -qe " + shell.Quote(beyondASCII) + "; then\n" + r.probeSums() + kit.ProbeEditSalted() + "exit 0\nfi ;; esac\n"
	}
	// The status of grep is the last line, so that no empty line is lost before it.
	return r.Edit.ProbeParts(kit.ProbePrivate + kit.ProbeLines + sums + "found=$(lines | { grep -E" + find.String() + `; echo $?; } | sed 's/^/line /')
case $found in *"line 0" | *"line 1") ;; *) exit 1 ;; esac
printf '%s' "${found%line ?}"
`)
}

// literally tells whether sums of the matches are enough to judge by: each becomes the same text.
func (r *replace) literally() bool {
	return !r.Required && (r.With == nil || r.secret() || !slices.ContainsFunc(reference.FindAllString(r.With.Reveal(), -1), func(ref string) bool { return ref != "$$" }))
}

// done is the expression for the text of with in a line.
func (r *replace) done() string {
	ere, err := kit.ERE(regexp.QuoteMeta(r.literal()))
	if err != nil {
		return "" // every line: Plan looks at them
	}
	return ere
}

// literal is the text of with where it has no groups.
func (r *replace) literal() string {
	if r.With == nil {
		return ""
	}
	if r.secret() {
		return r.With.Reveal()
	}
	return strings.ReplaceAll(r.With.Reveal(), "$$", "$")
}

// probeSums is sh that says where the limits and the matches are, by the numbers of their lines, and the sums of the matches.
func (r *replace) probeSums() string {
	var b strings.Builder
	b.WriteString(`numbers() {
	found=$(lines | grep "$2" -e "$3")
	[ $? -lt 2 ] || exit 1
	[ -z "$found" ] || printf '%s\n' "$found" | while IFS= read -r m; do
		case $1 in
		match)
			SUM=$({ printf '%s' "$SALT"; printf '%s' "${m#*:}"; } | sha256sum) || exit 1
			say match "${m%%:*} ${SUM%% *}"
			;;
		*) say "$1" "${m%%:*}" ;;
		esac
	done || exit 1
}
`)
	for _, limit := range []struct {
		name    string
		pattern *kit.Pattern
	}{{"after", r.After}, {"before", r.Before}} {
		if limit.pattern != nil {
			fmt.Fprintf(&b, "numbers %s -nE %s\n", limit.name, shell.Quote(limit.pattern.ERE))
		}
	}
	fmt.Fprintf(&b, "numbers match -noE %s\n", shell.Quote(r.Match.ere))
	return b.String()
}

func (r *replace) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	same := r.sameLines
	// A file has a line at least: without one, the state has sums.
	if r.secret() || r.literally() && obs.Yes("private") && len(obs.All("line")) == 0 {
		same = func(obs steps.Observation) bool { return r.sameSums(f, obs) }
	}
	return r.Edit.Plan(obs, same, func(change *steps.Change, before string) (steps.Text, error) {
		after, err := r.edit(change, before, r.secret() || obs.Yes("private"))
		if err != nil {
			return steps.Text{}, err
		}
		if r.secret() {
			kit.HideDiff(change)
			return steps.Secret(after), nil
		}
		return steps.Plain(after), nil
	})
}

// sameLines judges by the lines that the probe has said: all that matter.
func (r *replace) sameLines(obs steps.Observation) bool {
	var lines []kit.Line
	for _, l := range obs.All("line") {
		lines = append(lines, kit.Line{Text: l})
	}
	first, end := r.limits(lines)
	return !slices.ContainsFunc(lines[first:end], func(l kit.Line) bool { return r.replaced(l.Text) != l.Text }) &&
		(!r.Required || r.found(lines[first:end]))
}

// sameSums judges by the sums of the matches: each within the limits must be what it would become.
func (r *replace) sameSums(f *steps.Facts, obs steps.Observation) bool {
	wanted := steps.Secret(r.literal()).Sum(f)
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	first, end := 0, 1<<62
	if r.After != nil {
		first = end
		if after := obs.All("after"); len(after) > 0 {
			first = number(after[0])
		}
	}
	for _, b := range obs.All("before") {
		if n := number(b); n > first {
			end = n
			break
		}
	}
	return !slices.ContainsFunc(obs.All("match"), func(m string) bool {
		line, sum, _ := strings.Cut(m, " ")
		return number(line) > first && number(line) < end && sum != wanted
	})
}

// limits are the indices between which lines are looked at.
func (r *replace) limits(lines []kit.Line) (first, end int) {
	if r.After != nil {
		first = 1 + slices.IndexFunc(lines, func(l kit.Line) bool { return r.After.Finds(l.Text) })
		if first == 0 {
			return 0, 0
		}
	}
	end = len(lines)
	if r.Before != nil {
		if n := slices.IndexFunc(lines[first:], func(l kit.Line) bool { return r.Before.Finds(l.Text) }); n >= 0 {
			end = first + n
		}
	}
	return first, end
}

// replaced is what a line becomes.
func (r *replace) replaced(line string) string {
	if r.With == nil || r.Absent() {
		return r.Match.re.ReplaceAllLiteralString(line, "")
	}
	if r.secret() {
		return r.Match.re.ReplaceAllLiteralString(line, r.With.Reveal())
	}
	return r.Match.re.ReplaceAllString(line, r.With.Reveal())
}

// found tells whether there is a match, or the text that it becomes.
func (r *replace) found(lines []kit.Line) bool {
	return slices.ContainsFunc(lines, func(l kit.Line) bool {
		return r.Match.re.MatchString(l.Text) || strings.Contains(l.Text, r.literal())
	})
}

// edit returns the new content and notes the lines that change. Errors quote the file unless it is hidden.
func (r *replace) edit(change *steps.Change, before string, hidden bool) (string, error) {
	text := kit.ReadLines(before)
	first, end := r.limits(text.All)
	if r.Required && !r.found(text.All[first:end]) {
		return "", fmt.Errorf("%s has nothing that match finds, and not the text of with either; mend match, or leave required out", r.within())
	}
	count, where := 0, []string(nil)
	for i := first; i < end; i++ {
		line := &text.All[i]
		n := len(r.Match.re.FindAllStringIndex(line.Text, -1))
		if n > 0 {
			count += n
			where = append(where, strconv.Itoa(i+1))
		}
		if after := r.replaced(line.Text); after != line.Text {
			gone := after == "" && line.End == "" // of the last line nothing is left
			change.Diff = append(change.Diff, steps.Attr{Name: fmt.Sprintf("line %d", i+1), Before: line.Text, After: after, AfterMissing: gone})
			line.Text = after
		}
	}
	if r.Count != nil && count != *r.Count && len(change.Diff) > 0 {
		if len(where) > 10 {
			where = append(where[:10], "…")
		}
		return "", fmt.Errorf("match finds %d texts in %s, in lines %s, and count is %d; mend match or count", count, r.within(), strings.Join(where, ", "), *r.Count)
	}
	return text.String(), r.again(text.All, hidden)
}

// within names the file, and that a part of it is meant.
func (r *replace) within() string {
	if r.After != nil || r.Before != nil {
		return r.Path + " within after and before"
	}
	return r.Path
}

// again is the error for lines that the next run would change once more.
func (r *replace) again(lines []kit.Line, hidden bool) error {
	first, end := r.limits(lines)
	const fix = "; write match so that it does not find what it has replaced, with ^ and $ for example"
	longest := regexp.MustCompile(r.Match.re.String())
	longest.Longest() // as grep has it
	for i := first; i < end; i++ {
		line := lines[i].Text
		next := r.replaced(line)
		stable := next == line
		if r.secret() {
			stable = stable && !slices.ContainsFunc(longest.FindAllString(line, -1), func(m string) bool { return m != r.literal() })
		}
		switch {
		case stable:
		case hidden:
			return fmt.Errorf("line %d of %s would be replaced again by the next run%s", i+1, r.Path, fix)
		default:
			return fmt.Errorf("line %d of %s would become %q, and by the next run %q%s", i+1, r.Path, line, next, fix)
		}
	}
	return nil
}
