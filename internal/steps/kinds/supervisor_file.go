package kinds

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

func supervisorOptionsArg(name string, to *map[string]string, doc string) steps.Arg {
	return kit.MapArg(name, to, doc, func(key, value string) error {
		if !supervisorOption.MatchString(key) {
			return fmt.Errorf("%q is no option of a program", key)
		}
		if !slices.Contains(supervisorOptions, key) {
			return fmt.Errorf("supervisord knows no option %q and would pass it over; it knows %s", key, strings.Join(supervisorOptions, ", "))
		}
		return kit.NoControl(value)
	})
}

// quoteForSupervisor quotes a value of environment. supervisord knows quotes and no escapes in them, and takes quotes off the
// ends of a value (dict_of_key_value_pairs in its datatypes.py).
func quoteForSupervisor(value string) (string, bool) {
	if kit.NoControl(value) != nil || supervisorComment.MatchString(" "+value) || value != strings.Trim(value, `"'`) {
		return "", false
	}
	value = strings.ReplaceAll(value, "%", "%%")
	switch {
	case !strings.Contains(value, `"`):
		return `"` + value + `"`, true
	case !strings.Contains(value, "'"):
		return "'" + value + "'", true
	}
	return "", false
}

// lines are those of the program's section, but for environment and options.
func (s *supervisorProgram) lines() []string {
	var list []string
	add := func(key, value string) {
		if value != "" {
			list = append(list, key+" = "+value)
		}
	}
	add("command", strings.ReplaceAll(s.Command, "%", "%%"))
	add("directory", strings.ReplaceAll(s.Directory, "%", "%%"))
	add("user", s.User)
	if s.Autostart != nil {
		add("autostart", fmt.Sprint(*s.Autostart))
	}
	add("autorestart", s.Autorestart)
	if s.Startsecs != nil {
		add("startsecs", fmt.Sprint(*s.Startsecs))
	}
	add("stdout_logfile", s.Stdout)
	add("stderr_logfile", s.Stderr)
	return list
}

// text is the file of the program.
func (s *supervisorProgram) text() steps.Text {
	lines := append([]string{"[program:" + s.Name + "]"}, s.lines()...)
	secret := false
	var pairs []string
	for _, v := range s.Environment {
		quoted, _ := quoteForSupervisor(v.Value.Reveal())
		pairs = append(pairs, v.Name+"="+quoted)
		secret = secret || v.Value.Sensitive()
	}
	if len(pairs) > 0 {
		lines = append(lines, "environment = "+strings.Join(pairs, ","))
	}
	var options []string
	for key, value := range s.Options {
		options = append(options, key+" = "+value)
	}
	sort.Strings(options)
	content := strings.Join(append(lines, options...), "\n") + "\n"
	if secret {
		return steps.Secret(content)
	}
	return steps.Plain(content)
}
