package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
)

// inlineLimit is up to which size in bytes, as it is written there, content that is no secret travels inside the program; inlineTotal is
// how much of it one program takes.
const inlineLimit, inlineTotal = 256 << 10, 2 << 20

// roomOfStep is about what one step takes in the journal, in bytes, for the look whether there is room.
const roomOfStep = 512

// patience is how many seconds a program waits for the verdict of its client on a state. A link that is back later finds it ended.
const patience = 120

// A program is what one host is to do, in order.
type program struct {
	id      string // safe for a file name; of programs with the same one, one runs
	owner   string // for a person at another machine: "ann@laptop since 10:31, run 20…"
	login   string // the user who logs in
	boot    string // id of the boot that it was planned in; "" if that is not known
	after   string // the id of the program of the same run that ran before; "" if none did
	title   string // what the host knows the playbook by
	salt    string
	stage   string // directory on the host that the login user filled; "" if nothing was staged
	entries []entry

	packed   bool // the host can unpack it
	patience int  // seconds; 0 is the usual one
}

// An entry is one step of a program.
type entry struct {
	number  int
	addr    string
	runAs   string
	probe   string
	cases   []stateCase
	settled []string    // states that are known to be the wanted ones, beside those of cases
	alike   []string    // likewise, with steps.AnyNumber in them
	gate    string      // name of a notification; "" if the step does not wait for one
	adopts  []string    // names under which runs of other playbooks owe or began something that is this step's
	events  []eventCase // of on_change = { EVENT = … }, in the order of the kind
	raises  []string    // notifications owed to others once this step changes something
	timeout int         // seconds
	limit   int         // of its probe, likewise
	retries int
	begun   string // name of the mark that it began, if it must not simply run again; "" if it may
	proceed bool
}

// A stateCase is what to do in one observed state: the whole change that the step planned for it.
type stateCase struct {
	state    string
	change   steps.Change
	handlers map[string][]steps.Op // by event
}

type eventCase struct{ event, name string }

// A staged file is content that must not be part of the program: a secret, or something large.
type staged struct {
	name    string
	content steps.Content
}

// text returns the program as sh, and what has to be in the staging directory before it runs. It reads the local files that travel in it.
func (p *program) text() (string, []staged, error) {
	w := &programWriter{reads: true}
	fmt.Fprintf(w, "LIBRARY=%s\neval \"$LIBRARY\"\n", shell.Quote(library()))
	fmt.Fprintf(w, "ID=%s STAGE=%s SALT=%s OWNER=%s LOGIN=%s BOOTED=%s AFTER=%s TITLE=%s ROOM=%d PATIENCE=%d\nDIR=$RUN/run-$ID\n",
		shell.Quote(p.id), shell.Quote(p.stage), shell.Quote(p.salt), shell.Quote(oneLine(p.owner)), shell.Quote(p.login), shell.Quote(p.boot), shell.Quote(p.after),
		shell.Quote(titleName(p.title)), 4096+roomOfStep*len(p.entries), cmp.Or(p.patience, patience))
	w.WriteString(programText())
	w.WriteString("start\n")
	for i := range p.entries {
		w.entry(&p.entries[i])
	}
	w.WriteString("finish ok\n")
	return w.String(), w.staged, w.err
}

type programWriter struct {
	strings.Builder
	staged []staged
	bodies map[string]string // of the functions of the entry being written, with their names
	reads  bool              // local files, so that small ones are a part of the program
	inside int               // bytes of content in the program
	err    error
}

func (w *programWriter) entry(e *entry) {
	fmt.Fprintf(w, "\n# %s\n", strings.ReplaceAll(e.addr, "\n", " "))
	w.bodies = map[string]string{}
	calls := make([]caseCalls, len(e.cases))
	for i, c := range e.cases {
		calls[i].ops = w.function(fmt.Sprintf("ops_%d", i), e, fmt.Sprint(i), c.change.Ops)
		for j, ev := range e.events {
			calls[i].events = append(calls[i].events, w.function(fmt.Sprintf("event_%d_%d", i, j), e, fmt.Sprintf("%d.%d", i, j), c.handlers[ev.event]))
		}
	}
	if e.probe != "" {
		fmt.Fprintf(w, "PROBE=%s\n", shell.Quote(e.probe))
	}
	// Each step redefines the functions of the one before it: what a shell holds it copies at each fork, so that a program whose steps
	// stayed in memory would take a time that grows with the square of their number.
	w.WriteString("step() {\n")
	fmt.Fprintf(w, "begin %d %s\n", e.number, shell.Quote(oneLine(e.addr)))
	if len(e.adopts) > 0 {
		fmt.Fprintf(w, "adopt %s\n", shell.Words(e.adopts...))
	}
	if e.gate != "" {
		fmt.Fprintf(w, "if ! owed %s; then ended skipped 0 ''; return; fi\n", e.gate)
	}
	w.look(e, "blind")
	fmt.Fprintf(w, "CHANGED=0 ANSWER=go LEFT=%d PAUSE=1\n", e.retries)
	unsettled := e.unsettled()
	retried := e.retries > 0 && len(unsettled) > 0
	if retried {
		w.WriteString("while :; do\n")
	}
	switch {
	case e.probe == "" && len(e.cases) == 0: // a saved plan shows that it does nothing
		w.WriteString("ended stale 0 ''; finish stale\n")
	case e.probe == "":
		w.caseBody(e, 0, calls[0])
	default:
		w.WriteString("case $STATEMENT in\n")
		for i, c := range e.cases {
			fmt.Fprintf(w, "%s)\n", quotePattern(c.state))
			w.caseBody(e, i, calls[i])
			w.WriteString(";;\n")
		}
		w.WriteString("*) ended stale 0 \"$STATEMENT\"; finish stale ;;\n")
		w.WriteString("esac\n")
	}
	if e.probe != "" {
		fmt.Fprintf(w, "if [ \"$CHANGED\" != 0 ]; then\n")
		w.look(e, "unseen")
		w.converge(e, unsettled)
		w.WriteString("fi\n")
	}
	if retried {
		w.WriteString("break\ndone\n")
	}
	if e.gate != "" {
		fmt.Fprintf(w, "paid %s\n", e.gate)
	}
	w.WriteString("if [ \"$CHANGED\" = 1 ]; then ended changed 0 \"$STATEMENT\"; else ended unchanged 0 \"$STATEMENT\"; fi\n")
	if e.judged() {
		w.WriteString("judged\n")
	}
	w.WriteString("}\n")
	w.WriteString("step\n")
}

// look writes the probe, and the verdict on the step if the state cannot be told.
func (w *programWriter) look(e *entry, untold string) {
	if e.probe == "" {
		w.WriteString("STATEMENT=\n")
		return
	}
	fmt.Fprintf(w, "look %s %d\n", shell.Quote(e.runAs), e.limit)
	fmt.Fprintf(w, "if [ \"$STATUS\" -ne 0 ]; then ended %s \"$STATUS\" ''; ", untold)
	w.giveUp(e)
	w.WriteString("fi\n")
}

// converge ends the step if its operations left it in a state that is known to ask for more: no later step may build on it. What was
// thought of neither as that nor as the wanted state, the client judges.
func (w *programWriter) converge(e *entry, unsettled []string) {
	if len(unsettled) == 0 && !e.judged() {
		return
	}
	w.WriteString("case $STATEMENT in\n")
	if len(unsettled) > 0 {
		fmt.Fprintf(w, "%s)\n", strings.Join(unsettled, "|"))
		if e.retries > 0 {
			w.WriteString("if again 'ran, and its state is not as wanted'; then continue; fi\n")
		}
		w.WriteString("ANSWER=stop\n;;\n")
	}
	if e.judged() {
		if settled := e.wanted(); len(settled) > 0 {
			fmt.Fprintf(w, "%s) ;;\n", strings.Join(settled, "|"))
		}
		if len(e.alike) > 0 {
			fmt.Fprintf(w, "*) alike %s || judge ;;\n", shell.Words(e.alike...))
		} else {
			w.WriteString("*) judge ;;\n")
		}
	}
	w.WriteString("esac\nif [ \"$ANSWER\" = stop ]; then ended unsettled 0 \"$STATEMENT\"; ")
	w.giveUp(e)
	w.WriteString("fi\n")
}

// judged tells whether the operations of the step bring about a state, and have not proved themselves by their status.
func (e *entry) judged() bool {
	return e.probe != "" && slices.ContainsFunc(e.cases, func(c stateCase) bool { return len(c.change.Ops) > 0 && unsettles(&c.change) })
}

// unsettled are the states in which the step is known to ask for more, as patterns of sh.
func (e *entry) unsettled() []string {
	if e.probe == "" {
		return nil
	}
	var list []string
	for i := range e.cases {
		if c := &e.cases[i]; len(c.change.Needs) > 0 || unsettles(&c.change) {
			list = append(list, quotePattern(c.state))
		}
	}
	return list
}

// wanted are the states that are known to be the wanted ones, as patterns of sh.
func (e *entry) wanted() []string {
	var list []string
	for i := range e.cases {
		if c := &e.cases[i]; len(c.change.Needs) == 0 && !unsettles(&c.change) {
			list = append(list, quotePattern(c.state))
		}
	}
	for _, state := range e.settled {
		list = append(list, quotePattern(state))
	}
	return list
}

// unsettles tells of the change of a state that was observed after the operations of a step whether the step has not converged. What
// a step waits for or runs (action run) has proved itself by its status, unless it says that more is to be seen.
func unsettles(c *steps.Change) bool {
	switch c.Action {
	case steps.Create, steps.Update, steps.Delete:
		return true
	case steps.Execute:
		return c.Settles
	}
	return false
}

// giveUp ends the program after a failed step, or the step alone where it may be passed over.
func (w *programWriter) giveUp(e *entry) {
	if e.proceed {
		w.WriteString("return; ")
	} else {
		w.WriteString("finish failed; ")
	}
}

// caseCalls names the functions of a case; "" where there is nothing to do.
type caseCalls struct {
	ops    string
	events []string // as entry.events
}

func (w *programWriter) caseBody(e *entry, i int, calls caseCalls) {
	c := &e.cases[i]
	if calls.ops != "" {
		raises := e.raises
		if c.change.Quiet() {
			raises = nil
		}
		w.operate(e, calls.ops, raises)
		w.changed(e, c.change.ChangedIf)
	}
	if reboots(c.change.Ops) {
		if e.gate != "" {
			fmt.Fprintf(w, "paid %s\n", e.gate)
		}
		w.WriteString("ended reboot 0 ''; finish reboot\n")
	}
	for j, ev := range e.events {
		if calls.events[j] != "" {
			fmt.Fprintf(w, "if owed %s; then\n", ev.name)
			w.operate(e, calls.events[j], nil)
			w.WriteString("CHANGED=1\nfi\n")
		}
		// Even where nothing is to be done: a service that was only just started has the new files already.
		fmt.Fprintf(w, "paid %s\n", ev.name)
	}
	w.WriteString(":\n")
}

func (w *programWriter) operate(e *entry, function string, raises []string) {
	w.WriteString("OWED_NEW=\n")
	if len(raises) > 0 {
		fmt.Fprintf(w, "owe %s\n", shell.Words(raises...))
	}
	if e.begun != "" {
		fmt.Fprintf(w, "mark_begun %s %s\n", e.begun, shell.Quote(oneLine(e.addr)))
	}
	if len(raises) > 0 || e.begun != "" {
		w.WriteString("keep\n")
	}
	fmt.Fprintf(w, "operate %d %s\n", e.timeout, function)
	w.WriteString("if [ -n \"$TIMEOUT\" ]; then ended timeout \"$STATUS\" ''; ")
	w.giveUp(e)
	w.WriteString("fi\nif [ \"$STATUS\" -ne 0 ]; then ended failed \"$STATUS\" ''; ")
	w.giveUp(e)
	w.WriteString("fi\n")
}

// changed sets CHANGED after the operations: 1, or 2 if changed_if says that nothing changed after all. Then what others were owed
// for this step is taken back, and what they are owed for another stays.
func (w *programWriter) changed(e *entry, changedIf string) {
	w.WriteString("CHANGED=1\n")
	switch changedIf {
	case "":
		return
	case steps.Never:
		w.WriteString("CHANGED=2\n")
		return
	}
	fmt.Fprintf(w, "stdout=$(cat \"$DIR/out.%d.1\" 2>/dev/null)\n", e.number)
	if e.timeout == 0 {
		fmt.Fprintf(w, "if ! ( eval %s ) >/dev/null 2>&1 </dev/null; then CHANGED=2; disown_owed; fi\n", shell.Quote(changedIf))
		return
	}
	fmt.Fprintf(w, "asked %d %s\nif [ -n \"$TIMEOUT\" ]; then ended undecided \"$STATUS\" ''; ", e.timeout, shell.Quote(changedIf))
	w.giveUp(e)
	w.WriteString("fi\nif [ \"$STATUS\" -ne 0 ]; then CHANGED=2; disown_owed; fi\n")
}

// function writes operations as a function and returns its name; the first operation that fails ends it. Operations that are
// the same in several states are written once.
func (w *programWriter) function(name string, e *entry, place string, ops []steps.Op) string {
	if len(ops) == 0 {
		return ""
	}
	body := &programWriter{}
	body.reads, body.inside = w.reads, w.inside
	for k, op := range ops {
		at := fmt.Sprintf("%d.%s.%d", e.number, place, k)
		last := k == len(ops)-1
		switch op := op.(type) {
		case steps.Run:
			body.run(e, at, op, last)
		case steps.Put:
			body.put(e, at, op, last)
		case steps.Reboot: // ends the program, see caseBody
			body.WriteString(":\n")
		}
	}
	if w.err == nil {
		w.err = body.err
	}
	if same, yes := w.bodies[body.String()]; yes && len(body.staged) == 0 {
		return same
	}
	w.bodies[body.String()], w.inside = name, body.inside
	w.staged = append(w.staged, body.staged...)
	fmt.Fprintf(w, "%s() {\n%s}\n", name, body.String())
	return name
}

// run writes an operation. The last one needs no process of its own beside that of the operations.
func (w *programWriter) run(e *entry, at string, op steps.Run, last bool) {
	exports, input := `""`, `""`
	if len(op.Env) > 0 {
		var text strings.Builder
		secret := false
		for _, v := range op.Env {
			fmt.Fprintf(&text, "export %s=%s\n", v.Name, shell.Quote(v.Value.Reveal()))
			secret = secret || v.Value.Sensitive()
		}
		content := steps.Content{Text: steps.Plain(text.String())}
		if secret {
			content.Text = steps.Secret(text.String())
		}
		exports = w.content(at+".env", content)
	}
	if op.Stdin != nil {
		input = w.content(at+".in", *op.Stdin)
	}
	if last && e.runAs == "" {
		fmt.Fprintf(w, "run_here %s %s %s\n", exports, input, shell.Quote(op.Script))
		return
	}
	// Not "fragment … || return": that would switch off the set -e of the script.
	fmt.Fprintf(w, "fragment %s %s %s %s\nSTATUS=$?\n[ \"$STATUS\" -eq 0 ] || return \"$STATUS\"\n", shell.Quote(e.runAs), exports, input, shell.Quote(op.Script))
}

func (w *programWriter) put(e *entry, at string, op steps.Put, last bool) {
	newMode := "644"
	if op.Content.Local == nil && op.Content.Text.Sensitive() {
		newMode = "600"
	}
	backup := ""
	if op.Backup {
		backup = "1"
	}
	call := "put " + shell.Words(op.Path, op.Owner, op.Group, op.Mode, newMode, op.Validate, backup)
	if e.runAs != "" {
		fmt.Fprintf(w, "fragment %s \"\" %s %s || return\n", shell.Quote(e.runAs), w.content(at+".put", op.Content), shell.Quote(call))
		return
	}
	if text, ok := w.inline(op.Content); ok {
		// The shell that runs the operations writes the content itself.
		fmt.Fprintf(w, "put_text() {\n%s\n}\n", text)
		call += " put_text"
	} else {
		call += " <" + w.apart(at+".put", op.Content)
	}
	if !last {
		call = "(" + call + ") || return"
	}
	fmt.Fprintf(w, "%s\n", call)
}

// inline returns sh that writes the content, if that can be a part of the program.
func (w *programWriter) inline(c steps.Content) (text string, ok bool) {
	if c.Tree != nil || c.Local == nil && c.Text.Sensitive() {
		return "", false
	}
	content := c.Text.Reveal()
	if c.Local != nil {
		if !w.reads || c.Local.Size > inlineLimit {
			return "", false
		}
		read, err := c.Local.Read()
		if err != nil {
			w.err = cmp.Or(w.err, fmt.Errorf("%s: %w", c.Local.Path, err))
			return "", false
		}
		content = string(read)
	}
	if len(content) > inlineLimit {
		return "", false
	}
	if text = shell.Printf([]byte(content)); len(text) > inlineLimit || w.inside+len(text) > inlineTotal {
		return "", false
	}
	w.inside += len(text)
	return text, true
}

// content makes content available as a file on the host and returns its path as a word of sh.
func (w *programWriter) content(name string, c steps.Content) string {
	if text, ok := w.inline(c); ok {
		file := `"$DIR/` + name + `"`
		fmt.Fprintf(w, "{ %s\n} >%s || return\n", text, file)
		return file
	}
	return w.apart(name, c)
}

// apart has content staged and returns its path on the host as a word of sh.
func (w *programWriter) apart(name string, c steps.Content) string {
	w.staged = append(w.staged, staged{name: name, content: c})
	return `"$STAGE/` + name + `"`
}

// quotePattern quotes s as a pattern of case that matches s alone.
func quotePattern(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func reboots(ops []steps.Op) bool {
	for _, op := range ops {
		if _, yes := op.(steps.Reboot); yes {
			return true
		}
	}
	return false
}

// oneLine makes s fit for one line of a journal or a message.
func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
