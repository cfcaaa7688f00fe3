package kinds

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A cronField is one of the five fields of crontab(5).
type cronField struct {
	name      string
	low, high int
	words     []string // names for low, low+1, …
}

var cronFields = []cronField{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// cronNicknames are those that cron of Debian, cronie and busybox know alike.
var cronNicknames = []string{"@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}

// parseSchedule reads five fields or a nickname. What only one of the daemons understands is an error, since a bad line makes the
// others pass over the whole file without a word.
func parseSchedule(text string) (string, error) {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }) {
		return "", fmt.Errorf("a schedule is one line of ASCII; write five fields, such as \"30 2 * * *\"")
	}
	fields := strings.Fields(text)
	if strings.HasPrefix(text, "@") {
		if !slices.Contains(cronNicknames, text) {
			return "", fmt.Errorf("%q is none of %s", text, strings.Join(cronNicknames, ", "))
		}
		return text, nil
	}
	if len(fields) != len(cronFields) {
		return "", fmt.Errorf("%d fields in place of 5: minute, hour, day of the month, month, day of the week, such as \"30 2 * * *\"", len(fields))
	}
	var sets [5][]int
	for i, f := range cronFields {
		set, err := f.parse(fields[i])
		if err != nil {
			return "", fmt.Errorf("field %d, the %s, is %q: %w", i+1, f.name, fields[i], err)
		}
		sets[i] = set
	}
	if strings.HasPrefix(fields[4], "*") && !strings.HasPrefix(fields[2], "*") && !cronDateExists(sets[2], sets[3]) {
		return "", fmt.Errorf("there is no day %s in month %s, so that the job would never run", fields[2], fields[3])
	}
	return strings.Join(fields, " "), nil
}

// busyboxSchedule is a schedule for the crond of busybox, which may lack nicknames, and knows no Sunday 7; "" for @reboot.
func busyboxSchedule(schedule string) string {
	switch schedule {
	case "@reboot":
		return ""
	case "@yearly", "@annually":
		return "0 0 1 1 *"
	case "@monthly":
		return "0 0 1 * *"
	case "@weekly":
		return "0 0 * * 0"
	case "@daily", "@midnight":
		return "0 0 * * *"
	case "@hourly":
		return "0 * * * *"
	}
	fields := strings.Fields(schedule)
	if len(fields) != len(cronFields) || !strings.Contains(fields[4], "7") {
		return schedule
	}
	days, err := cronFields[4].parse(fields[4])
	if err != nil {
		return schedule
	}
	var numbers []string
	for _, day := range days {
		numbers = append(numbers, strconv.Itoa(day%7))
	}
	slices.Sort(numbers)
	fields[4] = strings.Join(slices.Compact(numbers), ",")
	return strings.Join(fields, " ")
}

// parse returns the numbers that a field stands for.
func (f cronField) parse(text string) ([]int, error) {
	var set []int
	for item := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(item, "/")
		from, to := f.low, f.high
		if span != "*" {
			first, last, isRange := strings.Cut(span, "-")
			var err error
			if from, err = f.number(first); err != nil {
				return nil, err
			}
			if to = from; isRange {
				if to, err = f.number(last); err != nil {
					return nil, err
				}
			} else if stepped {
				return nil, fmt.Errorf("a step needs a range or a star; write %d-%d/%s", from, f.high, step)
			}
			if to < from {
				return nil, fmt.Errorf("the range %s ends before it begins; write %s", span, f.turned(from, to))
			}
		}
		by := 1
		if stepped {
			n, err := strconv.Atoi(step)
			if err != nil || n < 1 || n > f.high || strings.HasPrefix(step, "+") {
				return nil, fmt.Errorf("the step %q is no number from 1 to %d", step, f.high)
			}
			by = n
		}
		for n := from; n <= to; n += by {
			set = append(set, n)
		}
	}
	return set, nil
}

// turned is a range over the end as two.
func (f cronField) turned(from, to int) string {
	if f.words != nil && f.low == 0 {
		if to == 0 {
			return fmt.Sprintf("%d-7", from)
		}
		return fmt.Sprintf("%d-6,0-%d", from, to)
	}
	return fmt.Sprintf("%d-%d,%d-%d", from, f.high, f.low, to)
}

func (f cronField) number(text string) (int, error) {
	if i := slices.Index(f.words, strings.ToLower(text)); i >= 0 {
		return f.low + i, nil
	}
	n, err := strconv.Atoi(text)
	switch {
	case text == "":
		return 0, fmt.Errorf("a number is missing")
	case err != nil || text[0] == '+' || text[0] == '-':
		names := ""
		if f.words != nil {
			names = fmt.Sprintf(" and no name (%s)", strings.Join(f.words, ", "))
		}
		return 0, fmt.Errorf("%q is no number%s", text, names)
	case n < f.low || n > f.high:
		return 0, fmt.Errorf("%d is not from %d to %d", n, f.low, f.high)
	}
	return n, nil
}

// cronDateExists tells whether one of the days is in one of the months, in some year.
func cronDateExists(days, months []int) bool {
	for _, month := range months {
		last := 31
		switch month {
		case 2:
			last = 29
		case 4, 6, 9, 11:
			last = 30
		}
		if slices.Min(days) <= last {
			return true
		}
	}
	return false
}
