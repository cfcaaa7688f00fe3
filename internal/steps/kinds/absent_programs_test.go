package kinds

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

// A toolbox is a host whose search path holds everything that this machine has, but for some programs, and some that
// stand in for others.
type toolbox struct {
	name     string
	programs map[string]string // by name on the host: what it is on this machine, or a script of sh
}

// choices are the programs that a toolbox lacks unless it names them.
var choices = []string{
	"curl", "wget", "wget2", "python", "python2", "python2.7", "python3", "nc", "nc.openbsd", "nc.traditional", "ncat", "bash", "timeout",
	"unzip", "bsdtar", "busybox",
}

// path makes the directories of the toolbox and returns the search path; "" if this machine lacks one of the programs.
func (b toolbox) path(t *testing.T, without ...string) string {
	t.Helper()
	lacks := map[string]bool{}
	for _, name := range append(without, choices...) {
		lacks[name] = true
	}
	dir := t.TempDir()
	for _, from := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		entries, err := os.ReadDir(from)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if _, chosen := b.programs[e.Name()]; !lacks[e.Name()] || chosen && b.programs[e.Name()] == "" {
				_ = os.Symlink(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name()))
			}
		}
	}
	for name, program := range b.programs {
		if strings.HasPrefix(program, "#!") {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(program), 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if program == "" {
			program = name
		}
		found, err := exec.LookPath(program)
		if err != nil {
			lack(t, "no "+program+" on this machine")
			return ""
		}
		_ = os.Remove(filepath.Join(dir, name))
		if err := os.Symlink(found, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// python is the interpreter itself, wherever a version manager keeps it.
func python(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		lack(t, "no python3 on this machine")
		return "python3"
	}
	return strings.TrimSpace(string(out))
}

// minimalPython is a python3 without most of its library, as of Debian's python3-minimal.
func minimalPython(t *testing.T) string {
	t.Helper()
	interpreter := python(t)
	if !filepath.IsAbs(interpreter) {
		return interpreter // a script of that name would start itself for ever
	}
	dir := t.TempDir()
	for _, module := range []string{"urllib", "zipfile", "shutil"} {
		if err := os.WriteFile(filepath.Join(dir, module+".py"), []byte("raise ImportError('no such module here')\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return "#!/bin/sh\nPYTHONPATH=" + shell.Quote(dir) + "\nexport PYTHONPATH\nexec " + shell.Quote(interpreter) + " \"$@\"\n"
}

// withTools runs a test for every shell on a host with these programs.
func withTools(t *testing.T, b toolbox, without []string, test func(t *testing.T, h *host)) {
	t.Helper()
	t.Run(b.name, func(t *testing.T) {
		t.Parallel()
		path := b.path(t, without...)
		if path == "" {
			return
		}
		// The fragments are run by every shell elsewhere. Busybox takes its own programs before those of the host.
		shells := [][]string{{"dash"}}
		if strings.Contains(b.name, "busybox") {
			shells = append(shells, []string{"busybox", "sh"})
		}
		for _, sh := range shells {
			t.Run(strings.Join(sh, " "), func(t *testing.T) {
				h := &host{shell: sh, work: filepath.Join(t.TempDir(), "work"), before: "PATH=" + shell.Quote(path) + "\n"}
				if err := os.Mkdir(h.work, 0o755); err != nil {
					t.Fatal(err)
				}
				test(t, h)
			})
		}
	})
}

// stepOf makes a step from attributes of HCL.
func stepOf(t *testing.T, kind, args string) steps.Step {
	t.Helper()
	step, bound := Find(kind).New()
	problems := decodeInto(t, Find(kind), step, bound, args, "args")
	for _, line := range strings.Split(problems, "\n") {
		if line != "" && line[0] != ' ' && !strings.HasPrefix(line, "warning: ") {
			t.Fatal(problems)
		}
	}
	return step
}

// settled applies a step, and returns "" if nothing is left to do, or why that is not so.
func (h *host) settled(t *testing.T, step steps.Step) string {
	t.Helper()
	f := steps.ParseFacts(defaultFacts)
	f.Salt = "salt"
	for _, last := range []bool{false, true} {
		obs := h.probe(t, step, true)
		if obs.Exit != 0 {
			return "could not tell: " + obs.Stderr
		}
		change, err := step.Plan(f, obs)
		switch {
		case err != nil:
			return err.Error()
		case len(change.Needs) > 0:
			return "needs " + change.Needs[0].String() + "\n" + obs.Stderr
		case change.Action == steps.NoOp:
			return ""
		case last:
			return "did not converge: " + obs.Stdout
		}
		if err := h.apply(t, change.Ops); err != nil {
			return err.Error()
		}
	}
	return ""
}

func TestAskingWithEachProgram(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			fmt.Fprintln(w, "hello world")
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/token":
			if r.Header.Get("X-Token") != `a "b" \c $d` {
				http.Error(w, "who?", http.StatusForbidden)
			}
		case "/method":
			if r.Method != http.MethodDelete {
				http.Error(w, "no", http.StatusMethodNotAllowed)
			}
		default:
			http.Error(w, "lost", http.StatusNotFound)
		}
	})
	plain, tls := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	t.Cleanup(plain.Close)
	t.Cleanup(tls.Close)
	const token = `headers = { X-Token = "a \"b\" \\c $d" }` + "\n"
	checks := []struct{ name, args string }{
		{"body", "url = \"" + plain.URL + "/\"\nbody = \"hello\"\n"},
		{"status", "url = \"" + plain.URL + "/none\"\nstatus = 404\n"},
		{"follow", "url = \"" + plain.URL + "/moved\"\nbody = \"hello\"\n"},
		{"stay", "url = \"" + plain.URL + "/moved\"\nstatus = 302\n"},
		{"https", "url = \"" + tls.URL + "/\"\nbody = \"hello\"\ninsecure = true\n"},
		{"header", "url = \"" + plain.URL + "/token\"\n" + token},
		{"head", "url = \"" + plain.URL + "/\"\nmethod = \"HEAD\"\n"},
		{"method", "url = \"" + plain.URL + "/method\"\nmethod = \"DELETE\"\n"},
	}
	for _, c := range []struct {
		toolbox
		cannot string // checks that this program cannot make
	}{
		{toolbox{"curl", map[string]string{"curl": "", "timeout": ""}}, ""},
		{toolbox{"curl alone", map[string]string{"curl": ""}}, ""},
		{toolbox{"python3", map[string]string{"python3": python(t), "timeout": ""}}, ""},
		{toolbox{"python3 alone", map[string]string{"python3": python(t)}}, ""},
		{toolbox{"GNU wget", map[string]string{"wget": "", "timeout": ""}}, "head method"},
		{toolbox{"GNU wget alone", map[string]string{"wget": ""}}, "head method"},
		{toolbox{"wget2", map[string]string{"wget": "wget2"}}, "head method"},
		{toolbox{"GNU wget, minimal python3", map[string]string{"wget": "", "timeout": "", "python3": minimalPython(t)}}, "head method"},
		// Debian's busybox cannot take a certificate that it does not know.
		{toolbox{"busybox wget", map[string]string{"wget": "busybox", "timeout": "busybox"}}, "head method header https"},
		{toolbox{"busybox wget, minimal python3", map[string]string{"wget": "busybox", "timeout": "", "python3": minimalPython(t)}}, "head method header https"},
		{toolbox{"nothing", map[string]string{}}, "body status follow stay https header head method"},
	} {
		withTools(t, c.toolbox, nil, func(t *testing.T, h *host) {
			for _, check := range checks {
				got := h.settled(t, stepOf(t, "http_check", check.args+"timeout = \"1s\"\n"))
				if strings.Contains(c.cannot, check.name) {
					if !strings.Contains(got, "install") && check.name != "https" {
						t.Errorf("%s: %q names nothing to install", check.name, got)
					}
				} else if got != "" {
					t.Errorf("%s: %s", check.name, got)
				}
			}
			if strings.Contains(c.cannot, "status") {
				return
			}
			// What is wrong is seen, and nothing but the state is on stdout.
			obs := h.probe(t, stepOf(t, "http_check", "url = \""+plain.URL+"/none\"\nbody = \"hello\"\n"), true)
			if obs.Stdout != "status 404\nbody lacking\n" || obs.Exit != 0 {
				t.Errorf("wrong answer: %+v", obs)
			}
			obs = h.probe(t, stepOf(t, "http_check", "url = \"http://127.0.0.1:1/\"\n"), true)
			if obs.Stdout != "status 000\n" || obs.Exit != 0 {
				t.Errorf("no answer: %+v", obs)
			}
		})
	}
}

func TestDownloadingWithEachProgram(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789\x00\xff\n"), 5000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token" && r.Header.Get("Authorization") != `Basic "x\y"`:
			http.Error(w, "who?", http.StatusForbidden)
		case r.URL.Path == "/none":
			http.Error(w, "lost", http.StatusNotFound)
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/file?a=b&c='d'", http.StatusFound)
		default:
			_, _ = w.Write(content)
		}
	}))
	t.Cleanup(server.Close)
	sum := sha256.Sum256(content)
	verified := "sha256 = \"" + hex.EncodeToString(sum[:]) + "\"\n"
	for _, c := range []struct {
		toolbox
		header bool
	}{
		{toolbox{"curl", map[string]string{"curl": ""}}, true},
		{toolbox{"GNU wget", map[string]string{"wget": "", "timeout": ""}}, true},
		{toolbox{"GNU wget alone", map[string]string{"wget": ""}}, true},
		{toolbox{"wget2", map[string]string{"wget": "wget2"}}, true},
		{toolbox{"python3", map[string]string{"python3": python(t)}}, true},
		{toolbox{"busybox wget", map[string]string{"wget": "busybox", "timeout": "busybox"}}, false},
		{toolbox{"busybox wget, minimal python3", map[string]string{"wget": "busybox", "python3": minimalPython(t)}}, false},
	} {
		withTools(t, c.toolbox, nil, func(t *testing.T, h *host) {
			for name, args := range map[string]string{
				"plain":  "url = \"" + server.URL + "/a%20b?c=d&e=$f\"\n",
				"moved":  "url = \"" + server.URL + "/moved\"\n",
				"header": "url = \"" + server.URL + "/token\"\nheaders = { Authorization = sensitive(\"Basic \\\"x\\\\y\\\"\") }\n",
			} {
				path := filepath.Join(h.work, name)
				got := h.settled(t, stepOf(t, "download", args+verified+"path = \""+path+"\"\n"))
				if name == "header" && !c.header {
					if !strings.Contains(got, "install curl") {
						t.Errorf("header: %q names nothing to install", got)
					}
					continue
				}
				if b, err := os.ReadFile(path); got != "" || err != nil || !bytes.Equal(b, content) {
					t.Errorf("%s: %s; %d bytes, %v", name, got, len(b), err)
				}
			}
			got := h.settled(t, stepOf(t, "download", "url = \""+server.URL+"/none\"\n"+verified+"path = \""+h.work+"/none\"\n"))
			if !strings.Contains(got, "could not download") {
				t.Errorf("404: %s", got)
			}
			left, _ := filepath.Glob(h.work + "/.*")
			if _, err := os.Stat(h.work + "/none"); err == nil || len(left) > 0 {
				t.Errorf("something is left of a download that failed: %v", left)
			}
		})
	}
}

func TestZipWithEachProgram(t *testing.T) {
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for _, f := range []struct {
		name string
		mode os.FileMode
	}{{"top/run me.sh", 0o755}, {"top/sub/-dash", 0o644}, {"top/o'quote", 0o600}} {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
		header.SetMode(f.mode)
		part, err := w.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(part, f.name)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, b := range []toolbox{
		{"unzip", map[string]string{"unzip": ""}},
		{"bsdtar", map[string]string{"bsdtar": ""}},
		{"busybox", map[string]string{"busybox": ""}},
		{"python3", map[string]string{"python3": python(t)}},
		{"minimal python3, bsdtar", map[string]string{"python3": minimalPython(t), "bsdtar": ""}},
		{"minimal python3", map[string]string{"python3": minimalPython(t)}},
		{"nothing", map[string]string{}},
	} {
		withTools(t, b, nil, func(t *testing.T, h *host) {
			if err := os.WriteFile(h.work+"/a.zip", archive.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			got := h.settled(t, stepOf(t, "archive", "file = \""+h.work+"/a.zip\"\ndest = \""+h.work+"/out\"\nstrip = 1\n"))
			if b.name == "nothing" || b.name == "minimal python3" {
				if !strings.Contains(got, "install unzip") {
					t.Errorf("%q names nothing to install", got)
				}
				return
			}
			text, err := os.ReadFile(h.work + "/out/sub/-dash")
			info, _ := os.Stat(h.work + "/out/run me.sh")
			if got != "" || err != nil || string(text) != "top/sub/-dash\n" || info == nil || info.Mode().Perm()&0o100 == 0 {
				t.Errorf("%s; %q, %v, %v", got, text, err, info)
			}
		})
	}
}

func TestPortWithEachProgram(t *testing.T) {
	open, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = open.Close() })
	_, port, _ := net.SplitHostPort(open.Addr().String())
	for _, b := range []toolbox{
		{"bash", map[string]string{"bash": "", "timeout": ""}},
		{"bash alone", map[string]string{"bash": ""}},
		{"bash without /dev/tcp, python3", map[string]string{"bash": "#!/bin/sh\necho 'bash: /dev/tcp/x/1: No such file or directory' >&2\nexit 1\n", "python3": python(t)}},
		{"python3", map[string]string{"python3": python(t)}},
		{"nc of OpenBSD", map[string]string{"nc": "nc.openbsd", "timeout": ""}},
		{"nc of OpenBSD alone", map[string]string{"nc": "nc.openbsd"}},
		{"nothing", map[string]string{}},
	} {
		withTools(t, b, nil, func(t *testing.T, h *host) {
			look := kit.PortOpen() + "port_open 127.0.0.1 "
			if r := h.fragment(t, look+port, nil, nil, false); b.name != "nothing" && r.exit != 0 || b.name == "nothing" && (r.exit != 127 || !strings.Contains(r.stderr, "install one")) {
				t.Errorf("open: %+v", r)
			}
			if r := h.fragment(t, look+"1", nil, nil, false); b.name != "nothing" && (r.exit == 0 || r.exit == 127) {
				t.Errorf("closed: %+v", r)
			}
		})
	}
}

// TestKindsWithoutEachProgram takes one program after the other away from the kinds of files. Either the step settles all the
// same, or what it says names the program, or what to install.
func TestKindsWithoutEachProgram(t *testing.T) {
	local := t.TempDir()
	for _, name := range []string{"a", "b c", "d/-e"} {
		_ = os.MkdirAll(filepath.Dir(filepath.Join(local, "tree", name)), 0o755)
		if err := os.WriteFile(filepath.Join(local, "tree", name), []byte(name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kinds := []struct{ kind, setup, args string }{
		{"file", "", "path = \"$WORK/f\"\ncontent = \"x\\n\"\nmode = \"0640\"\nowner = \"$ME\"\n"},
		{"file", "echo old >f", "path = \"$WORK/f\"\ncontent = sensitive(\"x\\n\")\n"},
		{"directory", "mkdir d; : >d/f", "path = \"$WORK/d\"\nmode = \"0750\"\nowner = \"$ME\"\nrecurse = true\n"},
		{"symlink", "ln -s x l", "path = \"$WORK/l\"\ntarget = \"y z\"\n"},
		{"line", "echo a=1 >f", "path = \"$WORK/f\"\nline = \"a=2\"\nmatch = \"^a=\"\n"},
		{"hosts_entry", "echo 10.0.0.2 a >f", "path = \"$WORK/f\"\naddress = \"10.0.0.1\"\nnames = [\"a\"]\n"},
		{"block", "echo x >f", "path = \"$WORK/f\"\nname = \"b\"\ncontent = \"c\"\n"},
		{"block", "echo x >f", "path = \"$WORK/f\"\nname = \"b\"\ncontent = sensitive(\"c\")\n"},
		{"replace", "echo x >f", "path = \"$WORK/f\"\nmatch = \"x\"\nwith = \"y\"\n"},
		{"replace", "echo x >f", "path = \"$WORK/f\"\nmatch = \"x\"\nwith = sensitive(\"y\")\n"},
		{"ini", "printf '[s]\\na = 1\\n' >f", "path = \"$WORK/f\"\nsection = \"s\"\nkey = \"a\"\nvalue = \"2\"\n"},
		{"ini", "printf '[s]\\na = 1\\n' >f", "path = \"$WORK/f\"\nsection = \"s\"\nkey = \"a\"\nvalue = sensitive(\"2\")\n"},
		{"sysctl", "echo b.c=1 >f", "path = \"$WORK/f\"\nname = \"provision.test.a\"\nvalue = \"2\"\nignore = true\n"},
		{"env_file", "", "path = \"$WORK/f\"\nvalues = { A = \"b c\" }\n"},
		{"sync", "mkdir s; : >s/old", "source = \"" + local + "/tree\"\ndest = \"$WORK/s\"\ndelete = true\n"},
		{"archive", "mkdir x; echo 1 >x/y; tar -czf a.tgz x", "file = \"$WORK/a.tgz\"\ndest = \"$WORK/out\"\n"},
		{"archive", "mkdir x; echo 1 >x/y; tar -cJf a.txz x", "file = \"$WORK/a.txz\"\ndest = \"$WORK/out\"\n"},
		{"download", "echo 1 >from", "url = \"file://$WORK/from\"\npath = \"$WORK/to\"\nmode = \"0600\"\n"},
		{"git", "git init -q up; cd up; git -c user.name=a -c user.email=a@b commit -q --allow-empty -m 1", "repo = \"$WORK/up\"\ndest = \"$WORK/co\"\n"},
		{"wait_for", "", "port = 1\nabsent = true\n"},
		{"wait_for", "", "path = \"$WORK\"\n"},
	}
	for _, gone := range []string{
		"getent", "setsid", "flock", "sha256sum", "gzip", "xz", "tar", "stat", "mktemp", "install", "cmp", "od", "awk", "readlink", "find", "xargs",
		"tr", "head", "wc", "git", "restorecon", "runuser", "hostname", "ls",
	} {
		without := []string{gone}
		if gone == "awk" {
			without = append(without, "mawk", "gawk", "original-awk")
		}
		path := toolbox{name: "without " + gone, programs: map[string]string{"timeout": ""}}.path(t, without...)
		named := regexp.MustCompile(`\b` + gone + `\b|install`)
		for _, k := range kinds {
			t.Run(gone+"/"+k.kind, func(t *testing.T) {
				t.Parallel()
				h := &host{shell: []string{"dash"}, work: filepath.Join(t.TempDir(), "work"), before: "PATH=" + shell.Quote(path) + "\n"}
				if err := os.Mkdir(h.work, 0o755); err != nil {
					t.Fatal(err)
				}
				if r := h.script(t, "set -e\n"+k.setup, nil); strings.Contains(r.stderr, "not found") {
					lack(t, "a program for the setup: "+r.stderr)
					return
				} else if r.exit != 0 {
					t.Fatalf("setup: %+v", r)
				}
				p := places{work: h.work, local: local, me: "root"}
				if os.Getuid() != 0 {
					p.me = fmt.Sprint(os.Getuid())
				}
				if got := h.settled(t, stepOf(t, k.kind, p.expand(k.args))); got != "" && !named.MatchString(got) {
					t.Errorf("%q names neither the program nor what to install", got)
				}
			})
		}
	}
}
