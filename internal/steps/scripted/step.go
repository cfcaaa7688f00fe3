package scripted

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
)

type step struct {
	kind   *Definition
	values map[string]cty.Value // of all arguments; null for those without a value
	state  string               // "" if the kind knows no absence
}

var (
	_ steps.Bringer = (*step)(nil)
	_ steps.Asker   = (*step)(nil)
	_ steps.Settler = (*step)(nil)

	_ steps.Outputter = (*step)(nil)
)

func (s *step) Validate() []steps.Problem {
	if s.state == "absent" {
		return nil
	}
	for _, a := range s.kind.Args {
		if a.PresentOnly && a.Default == cty.NilVal && s.values[a.Name].IsNull() {
			return []steps.Problem{{Summary: "Missing argument", Detail: fmt.Sprintf("A step of the kind %s requires %s, unless state is absent.", s.kind.Name, a.Name)}}
		}
	}
	want, err := s.want()
	if err != nil {
		return []steps.Problem{{Summary: "The kind " + s.kind.Name + " cannot tell what it wants", Detail: err.Error()}}
	}
	for _, w := range want {
		if w.Value.Sensitive() && slices.Contains(s.kind.Outputs, w.Key) {
			return []steps.Problem{{Summary: "A secret among the outputs", Detail: fmt.Sprintf("The kind %s has %s among its outputs, which are shown. Take it out of outputs, or do not make it of a sensitive value.", s.kind.Name, w.Key)}}
		}
	}
	return nil
}

// outputs are the keys whose values are told beside those that are wanted. Of what is to be absent none is: what is a secret among its
// keys nobody knows.
func (s *step) outputs(want []wanted) []string {
	if s.state == "absent" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.kind.Outputs), func(name string) bool {
		return slices.ContainsFunc(want, func(w wanted) bool { return w.Key == name })
	})
}

// Outputs implements steps.Outputter.
func (s *step) Outputs(_ *steps.Facts, obs steps.Observation, _ steps.Result) map[string]cty.Value {
	is, given := said(obs), map[string]cty.Value{}
	for _, name := range s.kind.Outputs {
		if value, there := is[name]; there {
			given[name] = cty.StringVal(value)
		}
	}
	return given
}

// want is what the probe has to print; nothing where the thing is not to be there.
func (s *step) want() ([]wanted, error) {
	if s.state == "absent" || s.kind.Want == nil {
		return nil, nil
	}
	v, err := s.kind.Want(s.values)
	if err != nil {
		return nil, err
	}
	return readWant(v)
}

// Brings implements steps.Bringer: nobody knows what else the scripts do.
func (s *step) Brings(change steps.Change) steps.Supply {
	supply := steps.Anything()
	switch own := []steps.Thing{{Kind: steps.OwnThing, Name: s.identity()}}; {
	case s.state != "absent":
		supply.Things = own
	case change.Action == steps.Delete:
		supply.Lost = own
	}
	return supply
}

// Asks implements steps.Asker.
func (s *step) Asks(*steps.Facts) []steps.Thing { return []steps.Thing{{Kind: steps.OpaqueThing}} }

// variables are the arguments for a script, those that are null apart. Only operations may have the secret ones.
func (s *step) variables(secrets bool) []steps.Variable {
	var list []steps.Variable
	for _, a := range s.kind.Args {
		v := s.values[a.Name]
		text, err := "", error(nil)
		if !v.IsNull() {
			text, err = variable(v)
		}
		switch {
		case v.IsNull(), err != nil: // of what was decoded there is no error
		case !a.Sensitive:
			list = append(list, steps.Variable{Name: "arg_" + a.Name, Value: steps.Plain(text)})
		case secrets:
			list = append(list, steps.Variable{Name: "arg_" + a.Name, Value: steps.Secret(text)})
		}
	}
	return list
}

// environment is that of a login, but for the language of messages, which scripts read. Variables of the step win.
func environment(given []steps.Variable) string {
	words := []string{"login_environment", "LC_ALL"}
	for _, v := range given {
		words = append(words, v.Name)
	}
	return shell.Words(words...) + "\nexport F_OS_ID F_OS_NAME F_OS_VERSION F_OS_LIKE F_PACKAGE_MANAGER F_INIT F_UID\n"
}

// program starts a shell for a script: set -e would be off in one whose status somebody looks at, and what is defined around it is no
// part of what the script may use.
func program(script, streams string) string {
	return strings.TrimRight("exec /bin/sh -e -c "+shell.Quote(script)+" "+streams, " ") + "\n"
}

// Probe runs the script of the kind, holds it to the dialect, and prints the state: whether the thing is there, and the wanted
// keys with their values, in the order of the keys. 119 is the engine's status for a user that is not there. What is wanted as a secret is said as a salted sum.
func (s *step) Probe() string {
	want, err := s.want()
	if err != nil {
		return "fail " + shell.Quote(err.Error()) + "\n"
	}
	var b strings.Builder
	b.WriteString("kind_said=$({ (\n")
	given := s.variables(false)
	b.WriteString(environment(given))
	for _, v := range given {
		fmt.Fprintf(&b, "export %s=%s\n", v.Name, shell.Quote(v.Value.Reveal()))
	}
	b.WriteString(program(s.kind.Probe, "</dev/null"))
	name := "the probe of the kind " + s.kind.Name + " printed "
	limit := "fail " + shell.Quote(fmt.Sprintf("%smore than %d KiB", name, MaxOutput>>10))
	// What is long goes to programs as a here-document, since printf is a program in some shells, and an argument has a limit. The length comes first: to look for what is not there in a long text takes a shell a time that grows with the square.
	fmt.Fprintf(&b, `)
printf '/%%s' "$?"; } | head -c %d | tr '\000' '\001')
[ "${#kind_said}" -lt %[1]d ] || %[2]s
kind_status=${kind_said##*/}
kind_said=${kind_said%%/*}
case $kind_status in 0) ;; 119) exit 1 ;; *) exit "$kind_status" ;; esac
[ "${#kind_said}" -le %[3]d ] || %[2]s
case $kind_said in *"$(printf '\001')"*) fail %[4]s ;; esac
case $kind_said in *"$NL") kind_said=${kind_said%%"$NL"} ;; esac
case $kind_said in *"$NL") kind_said=$(
	cat <<EOF
$kind_said
EOF
) ;; esac
`, MaxOutput+16, limit, MaxOutput, shell.Quote(name+"a byte 0 or 1, which no value can hold"))
	b.WriteString(`kind_bad() { fail "line $1 that the probe printed is no line KEY VALUE, with one blank between them"; }
case $NL$kind_said in *"$NL$NL"*)
	kind_n=$(
		awk '/^$/ { print NR; exit }' <<EOF
$kind_said
EOF
	)
	kind_bad "$kind_n"
	;;
esac
set -f
IFS=$NL
# shellcheck disable=SC2086
set -- $kind_said
unset IFS
set +f
kind_seen=' ' kind_n=0
for kind_line do
	kind_n=$((kind_n + 1)) kind_key=${kind_line%% *}
	case $kind_key in '' | *'	'*) kind_bad "$kind_n" ;; esac
	[ "${#kind_key}" -le 255 ] || kind_bad "$kind_n"
	[ "$kind_n" -le 200 ] || continue
	case $kind_seen in *" $kind_key "*) fail "the probe printed $kind_key twice" ;; esac
	kind_seen="$kind_seen$kind_key "
done
if [ "$kind_n" -gt 200 ]; then
	# One process finds what is there twice among many, where looking for each among all would take a time that grows with the square.
	kind_twice=$(
		awk '{ sub(/ .*/, ""); if ($0 in seen) { print; exit } seen[$0] = 1 }' <<EOF
$kind_said
EOF
	) || exit 1
	[ -z "$kind_twice" ] || fail "the probe printed $kind_twice twice"
fi
`)
	outputs := s.outputs(want)
	if len(want)+len(outputs) > 0 {
		b.WriteString("for kind_line do\n\tkind_key=${kind_line%% *} kind_value=\n\tcase $kind_line in *' '*) kind_value=${kind_line#* } ;; esac\n\tcase $kind_key in\n")
		for i, w := range want {
			fmt.Fprintf(&b, "\t%s) kind_%d=$kind_value ;;\n", shell.Quote(w.Key), i)
		}
		for i, name := range outputs {
			fmt.Fprintf(&b, "\t%s) kind_out_%d=$kind_value ;;\n", shell.Quote(name), i)
		}
		b.WriteString("\tesac\ndone\n")
	}
	b.WriteString("[ -n \"$kind_said\" ] || { say thing absent; exit 0; }\nsay thing present\n")
	for i, w := range want {
		fmt.Fprintf(&b, "[ -n \"${kind_%d+set}\" ] || fail %s\"$kind_seen\"\n", i, shell.Quote("the probe printed no "+w.Key+", which the kind wants; it printed:"))
		if w.Value.Sensitive() {
			fmt.Fprintf(&b, "kind_sum=$(printf '%%s%%s' \"$SALT\" \"$kind_%d\" | sha256sum) || exit 1\nsay value %s\"${kind_sum%%%% *}\"\n", i, shell.Quote(w.Key+" "))
		} else {
			fmt.Fprintf(&b, "say value %s\"$kind_%d\"\n", shell.Quote(w.Key+" "), i)
		}
	}
	for i, name := range outputs {
		fmt.Fprintf(&b, "[ -z \"${kind_out_%[1]d+set}\" ] || say value %[2]s\"$kind_out_%[1]d\"\n", i, shell.Quote(name+" "))
	}
	return b.String()
}

const (
	absent  = "thing absent"
	present = "thing present"
)

// there is the state in which the thing is there with the wanted values.
func (s *step) there(f *steps.Facts, want []wanted) steps.Observation {
	lines := []string{present}
	for _, w := range want {
		lines = append(lines, "value "+w.Key+" "+w.shown(f))
	}
	return steps.Observe(lines...)
}

// shown is the value as the probe says it.
func (w *wanted) shown(f *steps.Facts) string {
	if w.Value.Sensitive() {
		return w.Value.Sum(f)
	}
	return w.Value.Reveal()
}

// Settled implements steps.Settler.
func (s *step) Settled(f *steps.Facts) []steps.Observation {
	want, err := s.want()
	switch {
	case err != nil:
		return nil
	case s.state == "absent":
		return []steps.Observation{steps.Observe(absent)}
	}
	return []steps.Observation{s.there(f, want)}
}

func (s *step) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	want, err := s.want()
	if err != nil {
		return steps.Change{}, err
	}
	thing, _ := obs.Get("thing")
	if thing != "absent" && thing != "present" {
		return steps.Change{}, errors.New("the probe said neither that it is there nor that it is not")
	}
	change := steps.Change{Action: steps.NoOp, Predict: []steps.Observation{steps.Observe(absent), s.there(f, want)}} // steps before it may leave either
	switch {
	case s.state == "absent" && thing == "absent":
	case s.state == "absent":
		change.Action = steps.Delete
		change.Diff = []steps.Attr{{Name: "state", Before: "present", After: "absent"}}
		change.Dangers = []string{"removes " + s.title()}
		change.Ops = s.run(s.kind.Absent)
	case thing == "absent":
		change.Action = steps.Create
		change.Diff = []steps.Attr{}
		for _, w := range want {
			change.Diff = append(change.Diff, w.attr("", false))
		}
		if len(want) == 0 {
			change.Diff = append(change.Diff, steps.Attr{Name: "state", BeforeMissing: true, After: "present"})
		}
		change.Ops = s.run(s.kind.Apply)
	default:
		if change.Diff, err = differences(f, obs, want); err != nil {
			return steps.Change{}, err
		}
		if len(change.Diff) > 0 {
			change.Action = steps.Update
			change.Ops = s.run(s.kind.Apply)
		}
	}
	return change, nil
}

// said is what a state holds, by key.
func said(obs steps.Observation) map[string]string {
	is := map[string]string{}
	for _, line := range obs.All("value") {
		key, value, _ := strings.Cut(line, " ")
		is[key] = value
	}
	return is
}

func differences(f *steps.Facts, obs steps.Observation, want []wanted) ([]steps.Attr, error) {
	is := said(obs)
	var diff []steps.Attr
	for _, w := range want {
		now, there := is[w.Key]
		if !there {
			return nil, fmt.Errorf("the probe printed no %s, which the kind wants", w.Key)
		}
		if now != w.shown(f) {
			diff = append(diff, w.attr(now, true))
		}
	}
	return diff, nil
}

// attr is a line of a diff.
func (w *wanted) attr(before string, there bool) steps.Attr {
	if w.Value.Sensitive() {
		return steps.Attr{Name: w.Key, Sensitive: true, BeforeMissing: !there}
	}
	return steps.Attr{Name: w.Key, Before: before, BeforeMissing: !there, After: w.Value.Reveal()}
}

func (s *step) run(script string) []steps.Op {
	env := s.variables(true)
	return []steps.Op{steps.Run{Script: environment(env) + program(script, ""), Shown: strings.TrimSpace(script), Env: env}}
}

// identity is the title with a sum of all arguments that tell which thing it is, those that are not shown among them.
func (s *step) identity() string {
	sum := sha256.New()
	for _, a := range s.kind.Args {
		if v := s.values[a.Name]; !a.PresentOnly && !v.IsNull() {
			text, err := variable(v)
			fmt.Fprintf(sum, "%q %q %v\n", a.Name, text, err)
		}
	}
	return fmt.Sprintf("%s #%x", s.title(), sum.Sum(nil)[:8])
}

// title names the thing by the arguments that tell which one it is.
func (s *step) title() string {
	var words []string
	for _, a := range s.kind.Args {
		v := s.values[a.Name]
		if a.PresentOnly || a.Sensitive || v.IsNull() || v.CanIterateElements() {
			continue
		}
		if text, err := variable(v); err == nil && !strings.Contains(text, "\n") {
			words = append(words, a.Name+" "+text)
		}
	}
	if len(words) == 0 {
		return s.kind.Name
	}
	return s.kind.Name + " (" + strings.Join(words, ", ") + ")"
}
