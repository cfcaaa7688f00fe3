package scripted

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"
	"pgregory.net/rapid"

	"provision/internal/shell"
	"provision/internal/steps"
)

var facts = &steps.Facts{Salt: "salt"}

// A host runs fragments as the engine does, on this machine, in a directory of its own.
type host struct {
	shell []string
	work  string
}

// eachShell runs a test with every shell that a fragment must work in, and with those that may be the /bin/sh of a host.
func eachShell(t *testing.T, test func(t *testing.T, h *host)) {
	for i, sh := range [][]string{{"dash"}, {"bash"}, {"bash", "--posix"}, {"busybox", "sh"}, {"ksh93"}, {"mksh"}, {"zsh"}, {"yash"}} {
		t.Run(strings.Join(sh, " "), func(t *testing.T) {
			if _, err := exec.LookPath(sh[0]); err != nil {
				if i < 4 && os.Getenv("PROVISION_CI") == "1" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			test(t, &host{shell: sh, work: t.TempDir()})
		})
	}
}

func (h *host) run(t interface{ Fatal(...any) }, script string, env []steps.Variable) steps.Observation {
	var b strings.Builder
	b.WriteString(shell.Prelude + "\n" + steps.FactsScript + "\nSALT=salt\n")
	for _, v := range env {
		fmt.Fprintf(&b, "export %s=%s\n", v.Name, shell.Quote(v.Value.Reveal()))
	}
	fmt.Fprintf(&b, "( eval %s )\n", shell.Quote(script))
	cmd := exec.Command(h.shell[0], append(h.shell[1:], "-s")...)
	if len(h.shell) == 1 {
		cmd.Args[0] = "sh" // some look at the name that they are called by
	}
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Dir = strings.NewReader(b.String()), &out, &errs, h.work
	err := cmd.Run()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatal(err)
	}
	return steps.Observation{Stdout: out.String(), Stderr: errs.String(), Exit: cmd.ProcessState.ExitCode()}
}

func (h *host) probe(t *testing.T, s steps.Step) steps.Observation {
	t.Helper()
	if err := shell.Check(s.Probe(), false); err != nil {
		t.Fatalf("%v in\n%s", err, s.Probe())
	}
	return h.run(t, s.Probe(), nil)
}

// apply plans the state, runs the operations, and returns the change.
func (h *host) apply(t *testing.T, s steps.Step) steps.Change {
	t.Helper()
	obs := h.probe(t, s)
	if obs.Exit != 0 {
		t.Fatal(obs.Stderr)
	}
	change, err := s.Plan(facts, obs)
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range change.Ops {
		run := op.(steps.Run)
		if got := h.run(t, run.Script, run.Env); got.Exit != 0 {
			t.Fatalf("%d %s", got.Exit, got.Stderr)
		}
	}
	return change
}

// make returns a step of a kind with some arguments.
func (d *Definition) make(t *testing.T, values map[string]cty.Value) (steps.Step, []steps.Problem) {
	t.Helper()
	k := d.Kind()
	s, args := k.New()
	for name, v := range values {
		if err := args.Get(name).Set(v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return s, append(k.Check(args), s.Validate()...)
}

func (d *Definition) step(t *testing.T, values map[string]cty.Value) steps.Step {
	t.Helper()
	s, problems := d.make(t, values)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

// account is a kind that keeps what it makes in files of the current directory.
func account(work string) *Definition {
	return &Definition{
		Name: "account", Doc: "An account.",
		Args: []Argument{
			{Name: "name", Type: cty.String},
			{Name: "shell", Type: cty.String, Default: cty.StringVal("/bin/sh"), PresentOnly: true},
			{Name: "groups", Type: cty.Set(cty.String), Default: cty.SetValEmpty(cty.String), PresentOnly: true},
			{Name: "password", Type: cty.String, Default: cty.NullVal(cty.String), Sensitive: true, PresentOnly: true},
		},
		Probe: "cd " + shell.Quote(work) + `
test -e "$arg_name" || exit 0
cat "$arg_name"
`,
		Apply: "cd " + shell.Quote(work) + `
{
	printf 'shell %s\n' "$arg_shell"
	printf 'groups %s\n' "$(printf '%s' "$arg_groups" | tr '\n' ,)"
	printf 'password %s\n' "${arg_password-}"
} >"$arg_name"
`,
		Absent: "cd " + shell.Quote(work) + ` && rm -- "$arg_name"`,
		Want: func(arg map[string]cty.Value) (cty.Value, error) {
			var names []string
			for it := arg["groups"].ElementIterator(); it.Next(); {
				_, name := it.Element()
				names = append(names, name.AsString())
			}
			return cty.ObjectVal(map[string]cty.Value{"shell": arg["shell"], "groups": cty.StringVal(strings.Join(names, ",")), "password": arg["password"]}), nil
		},
	}
}

func TestLife(t *testing.T) {
	eachShell(t, func(t *testing.T, h *host) {
		d := account(h.work)
		ann := map[string]cty.Value{"name": cty.StringVal("ann o'nym"), "groups": cty.SetVal([]cty.Value{cty.StringVal("wheel"), cty.StringVal("adm")})}
		change := h.apply(t, d.step(t, ann))
		want := []steps.Attr{
			{Name: "groups", BeforeMissing: true, After: "adm,wheel"},
			{Name: "shell", BeforeMissing: true, After: "/bin/sh"},
		}
		if change.Action != steps.Create || !cmp.Equal(change.Diff, want) {
			t.Errorf("%s %v", change.Action, change.Diff)
		}
		if change := h.apply(t, d.step(t, ann)); change.Action != steps.NoOp {
			t.Errorf("a second time: %s %v", change.Action, change.Diff)
		}

		ann["shell"] = cty.StringVal("/bin/a b\\c $x")
		change = h.apply(t, d.step(t, ann))
		if want := []steps.Attr{{Name: "shell", Before: "/bin/sh", After: "/bin/a b\\c $x"}}; change.Action != steps.Update || !cmp.Equal(change.Diff, want) {
			t.Errorf("%s %v", change.Action, change.Diff)
		}
		if change := h.apply(t, d.step(t, ann)); change.Action != steps.NoOp {
			t.Errorf("a second time: %s %v", change.Action, change.Diff)
		}

		gone := d.step(t, map[string]cty.Value{"name": ann["name"], "state": cty.StringVal("absent")})
		change = h.apply(t, gone)
		if change.Action != steps.Delete || !cmp.Equal(change.Dangers, []string{"removes account (name ann o'nym)"}) {
			t.Errorf("%s %v", change.Action, change.Dangers)
		}
		if change := h.apply(t, gone); change.Action != steps.NoOp {
			t.Errorf("a second time: %s", change.Action)
		}
	})
}

// What a probe prints is read in a time that grows with its length, and up to a limit.
func TestMuchOutputOfAProbe(t *testing.T) {
	const mib = "i=0; while [ $i -lt 16 ]; do head -c 65536 /dev/zero | tr '\\0' x; i=$((i+1)); done; "
	eachShell(t, func(t *testing.T, h *host) {
		for name, test := range map[string]struct{ probe, want string }{
			"many lines":   {"awk 'BEGIN { for (i = 0; i < 15000; i++) print \"key\" i, i }'; echo k v", ""},
			"twice":        {"awk 'BEGIN { for (i = 0; i < 15000; i++) print \"key\" i, i }'; echo key14999; echo k v", "the probe printed key14999 twice"},
			"a long value": {"echo k v; printf 'long '; head -c 250000 /dev/zero | tr '\\0' x", ""},
			"a long key":   {"head -c 250000 /dev/zero | tr '\\0' x; echo; echo k v", "line 1 that the probe printed is no line KEY VALUE"},
			"line breaks":  {"echo k v; head -c 250000 /dev/zero | tr '\\0' '\\n'", ""},
			"an empty one": {"echo k v; echo; echo l v", "line 2 that the probe printed is no line KEY VALUE"},
			"the most":     {"echo k v; printf 'long '; head -c $((256 * 1024 - 9)) /dev/zero | tr '\\0' x", ""},
			"one more":     {"echo k v; printf 'long '; head -c $((256 * 1024 - 8)) /dev/zero | tr '\\0' x", "the probe of the kind much printed more than 256 KiB"},
			"much":         {"echo k v; " + mib, "the probe of the kind much printed more than 256 KiB"},
			"without end":  {"echo k v; exec cat /dev/zero", "the probe of the kind much printed more than 256 KiB"},
			"NUL":          {"printf 'k v\\0w\\n'", "the probe of the kind much printed a byte 0 or 1, which no value can hold"},
		} {
			d := &Definition{Name: "much", Probe: test.probe, Apply: "true", Want: func(map[string]cty.Value) (cty.Value, error) {
				return cty.ObjectVal(map[string]cty.Value{"k": cty.StringVal("v")}), nil
			}}
			began := time.Now()
			obs := h.probe(t, d.step(t, nil))
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%s: it took %s", name, took)
			}
			if failed := obs.Exit != 0; failed != (test.want != "") || !strings.Contains(obs.Stderr, test.want) || !failed && obs.Stdout != "thing present\nvalue k v\n" {
				t.Errorf("%s: status %d, %q, %.200q", name, obs.Exit, obs.Stderr, obs.Stdout)
			}
		}
	})
}

// TestSecretsOfScripts pins that a secret is known to operations, in their environment, and to nobody else.
func TestSecretsOfScripts(t *testing.T) {
	const secret = "hunter2"
	eachShell(t, func(t *testing.T, h *host) {
		d := account(h.work)
		args := map[string]cty.Value{"name": cty.StringVal("bob"), "password": cty.StringVal(secret)}
		for _, want := range []steps.Action{steps.Create, steps.NoOp} {
			s := d.step(t, args)
			obs := h.probe(t, s)
			if !steps.Salted(s.Probe()) {
				t.Error("nobody sees that the state has to do with a secret")
			}
			change := h.apply(t, s)
			shown := fmt.Sprintf("%s %q %q %+v %v %v", s.Probe(), obs.Stdout, obs.Stderr, change, s.(steps.Settler).Settled(facts), change.Predict)
			if strings.Contains(shown, secret) {
				t.Errorf("the secret is seen in %s", shown)
			}
			for _, op := range change.Ops {
				if strings.Contains(op.(steps.Run).Script, secret) {
					t.Error("the secret is in the script")
				}
			}
			if change.Action != want {
				t.Errorf("%s, not %s", change.Action, want)
			}
		}
		args["password"] = cty.StringVal("another")
		change := h.apply(t, d.step(t, args))
		if want := []steps.Attr{{Name: "password", Sensitive: true}}; change.Action != steps.Update || !cmp.Equal(change.Diff, want) {
			t.Errorf("%s %v", change.Action, change.Diff)
		}
	})
}

// TestOutputs pins what later steps get, and that a secret is not among it.
func TestOutputs(t *testing.T) {
	eachShell(t, func(t *testing.T, h *host) {
		d := account(h.work)
		d.Outputs = []string{"shell", "password", "nothing"}
		args := map[string]cty.Value{"name": cty.StringVal("bob")}
		s := d.step(t, args)
		h.apply(t, s)
		got := s.(steps.Outputter).Outputs(facts, h.probe(t, s), steps.Result{})
		want := map[string]cty.Value{"shell": cty.StringVal("/bin/sh"), "password": cty.StringVal("")}
		if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
			t.Errorf("%#v", got)
		}
		if change := h.apply(t, s); change.Action != steps.NoOp {
			t.Errorf("a second time: %s", change.Action)
		}

		args["password"] = cty.StringVal("hunter2")
		if _, problems := d.make(t, args); len(problems) != 1 || problems[0].Summary != "A secret among the outputs" {
			t.Errorf("%v", problems)
		}
		d.Outputs = nil
		h.apply(t, d.step(t, args))
		d.Outputs = []string{"password"}
		gone := d.step(t, map[string]cty.Value{"name": cty.StringVal("bob"), "state": cty.StringVal("absent")})
		if obs := h.probe(t, gone); obs.State() != "thing present" {
			t.Errorf("%q", obs.State())
		}
	})
}

// TestDialect pins what a probe may print.
func TestDialect(t *testing.T) {
	for _, c := range []struct{ name, said, exit, state, err string }{
		{name: "nothing", said: "", state: "thing absent"},
		{name: "blank lines at the end", said: "\n\n", state: "thing absent"},
		{name: "in any order, with others", said: "more 1\nk  a  b \nmissing user x\n|k y\nodd'%*\" \\n", state: "thing present\nvalue k  a  b \nvalue odd'%*\" \\n"},
		{name: "without a value", said: "k\nodd'%*\"", state: "thing present\nvalue k \nvalue odd'%*\" "},
		{name: "no key", said: "k 1\nodd'%*\"x 2", err: "the probe printed no odd'%*\", which the kind wants; it printed: k odd'%*\"x"},
		{name: "twice", said: "k 1\nodd'%*\" 1\nk 1", err: "the probe printed k twice"},
		{name: "another one twice", said: "k 1\nodd'%*\" 1\nx 1\nx 2", err: "the probe printed x twice"},
		{name: "empty line", said: "k 1\n\nodd'%*\" 1", err: "line 2 that the probe printed is no line KEY VALUE"},
		{name: "blank first", said: " k 1", err: "line 1 that the probe printed is no line KEY VALUE"},
		{name: "tab", said: "k\t1", err: "line 1 that the probe printed is no line KEY VALUE"},
		{name: "failure", said: "k 1", exit: "3", err: "why\n"},
		{name: "the status of no user", said: "", exit: "119", err: "why\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachShell(t, func(t *testing.T, h *host) {
				said := filepath.Join(h.work, "said")
				if err := os.WriteFile(said, []byte(c.said), 0o644); err != nil {
					t.Fatal(err)
				}
				d := &Definition{
					Name: "k", Doc: "K.", Probe: "cat " + shell.Quote(said), Apply: ":",
					Want: func(map[string]cty.Value) (cty.Value, error) {
						return cty.ObjectVal(map[string]cty.Value{"k": cty.NumberIntVal(1), "odd'%*\"": cty.True}), nil
					},
				}
				if c.exit != "" {
					d.Probe += "\necho why >&2\nexit " + c.exit
				}
				obs := h.probe(t, d.step(t, nil))
				if c.err == "" && (obs.Exit != 0 || obs.State() != c.state) {
					t.Errorf("%d %q %q", obs.Exit, obs.State(), obs.Stderr)
				}
				if c.err != "" && (obs.Exit == 0 || obs.Exit == 119 || !strings.HasPrefix(obs.Stderr, c.err)) {
					t.Errorf("%d %q %q", obs.Exit, obs.State(), obs.Stderr)
				}
			})
		})
	}
}

// TestProbeFailsAtOnce pins that a probe ends at the first command that fails, and has neither input nor the functions of the prelude.
func TestProbeFailsAtOnce(t *testing.T) {
	eachShell(t, func(t *testing.T, h *host) {
		for script, want := range map[string]int{"false\necho k 1": 1, "say k 1": 127, "read x || exit 7": 7} {
			d := &Definition{Name: "k", Doc: "K.", Probe: script, Apply: ":"}
			if obs := h.probe(t, d.step(t, nil)); obs.Exit != want {
				t.Errorf("%q: %d %q", script, obs.Exit, obs.Stderr)
			}
		}
	})
}

// TestValuesReachScripts hands any text to both scripts and compares what they got.
func TestValuesReachScripts(t *testing.T) {
	eachShell(t, func(t *testing.T, h *host) {
		out := filepath.Join(h.work, "out")
		d := &Definition{
			Name: "k", Doc: "K.", Args: []Argument{{Name: "v", Type: cty.String}},
			Probe: `printf '%s' "$arg_v" >` + shell.Quote(out), Apply: `printf '%s' "$arg_v" >` + shell.Quote(out),
		}
		rapid.Check(t, func(rt *rapid.T) {
			text := rapid.StringOf(rapid.RuneFrom([]rune("ab '\"\\$`(){}*?~!#;&|<>\n\t\r=%é\x01"))).Draw(rt, "text")
			s := d.step(t, map[string]cty.Value{"v": cty.StringVal(text)})
			check := func(obs steps.Observation) {
				got, err := os.ReadFile(out)
				if err != nil || string(got) != text || obs.Exit != 0 {
					rt.Fatalf("%q became %q: %v %v", text, got, err, obs)
				}
				if err := os.Remove(out); err != nil {
					rt.Fatal(err)
				}
			}
			check(h.run(rt, s.Probe(), nil))
			change, err := s.Plan(facts, steps.Observe(absent))
			if err != nil {
				rt.Fatal(err)
			}
			run := change.Ops[0].(steps.Run)
			check(h.run(rt, run.Script, run.Env))
		})
	})
}

func TestForms(t *testing.T) {
	texts := func(list ...string) []cty.Value {
		var values []cty.Value
		for _, s := range list {
			values = append(values, cty.StringVal(s))
		}
		return values
	}
	for _, c := range []struct {
		v         cty.Value
		want, err string
	}{
		{v: cty.NumberIntVal(22), want: "22"},
		{v: cty.NumberFloatVal(0.5), want: "0.5"},
		{v: cty.False, want: "false"},
		{v: cty.ListVal(texts("b", "a c")), want: "b\na c"},
		{v: cty.ListValEmpty(cty.String), want: ""},
		{v: cty.SetVal(texts("b", "a")), want: "a\nb"},
		{v: cty.MapVal(map[string]cty.Value{"b": cty.StringVal("x=y "), "a": cty.StringVal("")}), want: "a=\nb=x=y "},
		{v: cty.ListVal(texts("a", "")), err: "empty"},
		{v: cty.ListVal(texts("a\nb")), err: "line break"},
		{v: cty.ListVal([]cty.Value{cty.NullVal(cty.String)}), err: "null"},
		{v: cty.MapVal(map[string]cty.Value{"a=b": cty.StringVal("x")}), err: "="},
		{v: cty.MapVal(map[string]cty.Value{"a": cty.StringVal("x\ny")}), err: "line break"},
		{v: cty.StringVal("a\x00b"), err: "NUL"},
		{v: cty.StringVal(strings.Repeat("x", maxValue+1)), err: "bytes"},
	} {
		got, err := variable(c.v.Mark(steps.Sensitive))
		if c.err == "" && (err != nil || got != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%#v: %q %v", c.v, got, err)
		}
	}
}

func TestReadWant(t *testing.T) {
	secret := cty.StringVal("s").Mark(steps.Sensitive)
	for name, c := range map[string]struct {
		v         cty.Value
		want, err string
	}{
		"sorted, without nulls": {v: cty.ObjectVal(map[string]cty.Value{"b": cty.NumberIntVal(3), "a": cty.True, "c": cty.NullVal(cty.String)}), want: "[{a true} {b 3}]"},
		"a secret":              {v: cty.ObjectVal(map[string]cty.Value{"a": secret}), want: "[{a (sensitive)}]"},
		"a map":                 {v: cty.MapVal(map[string]cty.Value{"a": cty.StringVal("")}), want: "[{a }]"},
		"secret keys":           {v: cty.ObjectVal(map[string]cty.Value{"a": cty.True}).Mark(steps.Sensitive), err: "the keys depend on a sensitive value"},
		"no object":             {v: cty.StringVal("x"), err: "an object"},
		"null":                  {v: cty.NullVal(cty.DynamicPseudoType), err: "an object"},
		"a list":                {v: cty.ObjectVal(map[string]cty.Value{"a": cty.ListVal([]cty.Value{secret})}), err: "join"},
		"two lines":             {v: cty.ObjectVal(map[string]cty.Value{"a": cty.StringVal("s\nt").Mark(steps.Sensitive)}), err: "line break"},
		"a blank in a key":      {v: cty.MapVal(map[string]cty.Value{"a b": cty.True}), err: "blank"},
		"a tab in a key":        {v: cty.MapVal(map[string]cty.Value{"a\tb": cty.True}), err: "blank"},
		"no key":                {v: cty.MapVal(map[string]cty.Value{"": cty.True}), err: "empty"},
	} {
		list, err := readWant(c.v)
		if c.err == "" && (err != nil || fmt.Sprint(list) != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v %v", name, list, err)
		}
	}
}

func TestProblems(t *testing.T) {
	d := account("/tmp")
	d.Args[1].Default = cty.NilVal
	name, gone := cty.StringVal("x"), cty.StringVal("absent")
	for want, values := range map[string]map[string]cty.Value{
		"Missing argument":                  {"name": name},
		"state = \"absent\" takes no shell": {"name": name, "state": gone, "shell": name},
		"":                                  {"name": name, "state": gone},
	} {
		_, problems := d.make(t, values)
		if want == "" && len(problems) > 0 || want != "" && (len(problems) != 1 || problems[0].Summary != want) {
			t.Errorf("%q: %v", want, problems)
		}
	}
	// Nothing but the state tells such a thing apart.
	all := &Definition{Name: "k", Doc: "K.", Probe: ":", Apply: ":", Absent: ":", Args: []Argument{{Name: "size", Type: cty.String, PresentOnly: true, Default: cty.StringVal("1")}}}
	if _, problems := all.make(t, map[string]cty.Value{"state": gone, "size": name}); len(problems) != 1 || !strings.Contains(problems[0].Detail, "no other argument") {
		t.Errorf("%v", problems)
	}
	if manual := all.Kind().Manual(); !strings.Contains(manual, "With `state = \"absent\"` no other argument can be given.") {
		t.Error(manual)
	}
}

// FuzzPlan gives a step states that no probe prints: a host is hostile.
func FuzzPlan(f *testing.F) {
	for _, state := range []string{"", "thing absent", "thing present", "thing present\nvalue groups ", "thing present\nvalue groups \nvalue shell /bin/sh\nvalue password x", "thing maybe", "value"} {
		f.Add(state, "absent")
		f.Add(state, "present")
	}
	d := account("/tmp")
	f.Fuzz(func(t *testing.T, state, wanted string) {
		s := &step{kind: d, values: map[string]cty.Value{}, state: wanted}
		for _, a := range d.Args {
			s.values[a.Name] = cty.NullVal(a.Type)
		}
		s.values["name"], s.values["groups"] = cty.StringVal("x"), d.Args[2].Default
		change, err := s.Plan(facts, steps.Observation{Stdout: state})
		if err == nil && change.Action == steps.NoOp && len(change.Ops) > 0 {
			t.Errorf("%+v", change)
		}
	})
}
