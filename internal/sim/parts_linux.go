package sim

import (
	"fmt"
	"os"
	"strings"
)

// secret is what nobody may see. It is long enough for package redact, and it is in nothing else.
const secret = "hush-7391-tell-nobody"

// A part is a step of a playbook, and what it means.
type part struct {
	addr   string
	text   string // of the step, as HCL
	log    string // under which name its script tells that it runs; "" if it has none
	stdout string // what one run of it prints
	stderr string
	always bool   // it runs in every apply
	after  string // address of the step that it needs; "" for none
	owed   bool   // it runs when the step that it needs has changed something, and then only
	secret string // where its secret belongs

	want func(*World) string // how the host differs from what the step asks for, "" if it does not
}

// differs says how the host differs from what the step asks for; "" if it does not, or if nobody has said what it asks for.
func (pt *part) differs(w *World) string {
	if pt.want == nil {
		return ""
	}
	return pt.want(w)
}

// once tells whether nobody may run it again when it is not known how it ended.
func (pt *part) once() bool {
	return pt.addr == "step.command.bare" || pt.addr == "step.command.reload"
}

// logged is the script of a step that tells when it runs. Two of them at a time meet at the lock.
func logged(name, script string) string {
	return "<<-EOT\n" +
		"\texec 9>>/sim/busy; flock -n 9 || echo 'overlap " + name + "' >>/sim/log\n" +
		"\techo 'begin " + name + "' >>/sim/log\n" + script + "\techo 'end " + name + "' >>/sim/log\n\tEOT\n"
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i+1)
	}
	return b.String()
}

func file(name, content string, mode os.FileMode) func(*World) string {
	return func(w *World) string {
		info, err := os.Lstat(w.root.Path(name))
		if err != nil {
			return err.Error()
		}
		data, err := os.ReadFile(w.root.Path(name))
		if err != nil {
			return err.Error()
		}
		if string(data) != content {
			return fmt.Sprintf("%s holds %.80q, and not %.80q", name, data, content)
		}
		if mode != 0 && info.Mode().Perm() != mode {
			return fmt.Sprintf("%s has the mode %v", name, info.Mode())
		}
		return ""
	}
}

func ran(name string) func(*World) string {
	return func(w *World) string {
		if w.logCount("end "+name) == 0 {
			return name + " has not run"
		}
		return ""
	}
}

// parts are the steps that a scene may hold, in an order in which each comes after what it needs.
var parts = []part{
	{addr: "step.directory.app", text: `step "directory" "app" {
  path = "/srv/app"
  mode = "0750"
}`, want: func(w *World) string {
		info, err := os.Lstat(w.root.Path("srv/app"))
		if err != nil || !info.IsDir() || info.Mode().Perm() != 0o750 {
			return fmt.Sprintf("/srv/app: %v %v", info, err)
		}
		return ""
	}},
	{addr: "step.file.conf", text: `step "file" "conf" {
  path    = "/srv/conf"
  content = "new\n"
}`, want: file("srv/conf", "new\n", 0)},
	{addr: "step.command.make", log: "make", stdout: numbered("make %d\n", 12), text: `step "command" "make" {
  creates = "/srv/made"
  script  = ` + logged("make", "\ti=1; while [ $i -le 12 ]; do echo \"make $i\"; if [ $i = 4 ]; then sleep 3; fi; i=$((i+1)); done\n\techo made >/srv/make && mv /srv/make /srv/made\n") + `}`, want: file("srv/made", "made\n", 0)},
	{addr: "step.command.bare", log: "bare", always: true, stdout: "bare 1\nbare 2\n", stderr: "bare 3\n", text: `step "command" "bare" {
  script = ` + logged("bare", "\techo 'bare 1'; sleep 1; echo 'bare 2'; echo 'bare 3' >&2\n") + `}`, want: ran("bare")},
	{addr: "step.command.reload", log: "reload", after: "step.file.conf", owed: true, stdout: "reload\n", text: `step "command" "reload" {
  script    = ` + logged("reload", "\techo reload\n") + `  on_change = [step.file.conf]
}`, want: ran("reload")},
	{addr: "step.file.secret", secret: "srv/secret", text: `step "file" "secret" {
  path    = "/srv/secret"
  content = "${var.secret}\n"
}`, want: file("srv/secret", secret+"\n", 0o600)},
	{addr: "step.command.flood", log: "flood", stdout: numbered("flood %05d ........................................................\n", 2500), stderr: "flooded\n", text: `step "command" "flood" {
  creates = "/srv/flood"
  script  = ` + logged("flood", "\tseq -f 'flood %05g ........................................................' 1 2500; echo flooded >&2; true >/srv/flood\n") + `}`, want: file("srv/flood", "", 0)},
	{addr: "step.file.big", text: `step "file" "big" {
  path   = "/srv/big"
  source = "big.dat"
}`, want: file("srv/big", bigContent, 0)},
	{addr: "step.command.stubborn", log: "stubborn", stdout: "stubborn\n", text: `step "command" "stubborn" {
  creates = "/srv/stubborn"
  script  = ` + logged("stubborn", "\ttrap '' TERM HUP INT\n\techo stubborn; sleep 2; sleep 2; true >/srv/stubborn\n") + `}`, want: file("srv/stubborn", "", 0)},
	{addr: "step.command.env", log: "env", text: `step "command" "env" {
  creates = "/srv/env"
  env     = { TOKEN = var.secret }
  script  = ` + logged("env", "\techo \"the token is <$TOKEN>\"; true >/srv/env\n") + `}`, stdout: "the token is <(sensitive)>\n", want: file("srv/env", "", 0)},
	{addr: "step.line.host", text: `step "line" "host" {
  path = "/srv/hosts"
  line = "10.0.0.1 db"
}`, want: file("srv/hosts", "127.0.0.1 localhost\n10.0.0.1 db\n", 0)},
	{addr: "step.command.ask", log: "ask", always: true, stdout: "known\n", text: `step "command" "ask" {
  repeatable = true
  script     = ` + logged("ask", "\techo known\n") + `}`, want: ran("ask")},
	{addr: "step.file.later", after: "step.command.ask", text: `step "file" "later" {
  path    = "/srv/later"
  content = step.command.ask.stdout
}`, want: file("srv/later", "known", 0)},
	{addr: "step.command.flaky", log: "flaky", text: `step "command" "flaky" {
  creates = "/srv/flaky"
  retries = 3
  script  = ` + logged("flaky", "\tif [ ! -e /srv/tried ]; then true >/srv/tried; exit 3; fi\n\ttrue >/srv/flaky\n") + `}`, want: file("srv/flaky", "", 0)},
}

var bigContent = strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz-the-quick-brown-fox-jumps\n", 1200)

// before is what lies on the host at first.
var before = map[string]string{
	"srv/conf":  "old\n",
	"srv/hosts": "127.0.0.1 localhost\n",
}
