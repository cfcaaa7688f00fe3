package kinds

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"provision/internal/shell"
	"provision/internal/steps"
)

// oddNames are names of files that text for a shell, its tools or a probe may take for something else.
var oddNames = []string{
	"a b", " a", "a ", "  ", "it's", `"q"`, "$HOME", "$(touch bad)", "`touch bad`", `a\b`, `a\`, `\n`, "*", "[x]", "?", "-n", "-rf", "--", "%s%d", "%20",
	"|x", "|.", ":", "a:b:c", "a=b", "#", "~", "!", "&", ";", "<x>", "(x)", "{a,b}", "é", "\u00a0", "a,b", "+", "absent", strings.Repeat("long ", 40),
}

// TestOddNames takes each name through every kind of files: twice it settles, and what is on the disk is what was asked for.
func TestOddNames(t *testing.T) {
	quote := func(s string) string {
		return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(strconv.Quote(s))
	}
	shells := availableShells(t, "dash\nbusybox sh")
	for i, name := range oddNames {
		t.Run(fmt.Sprint(i, " ", name), func(t *testing.T) {
			t.Parallel()
			for _, sh := range shells {
				h := &host{shell: sh, work: filepath.Join(t.TempDir(), "work")}
				local := filepath.Join(filepath.Dir(h.work), "local")
				path := func(parts ...string) string { return filepath.Join(append([]string{h.work}, parts...)...) }
				for _, dir := range []string{h.work, local, path("in"), path("in", name)} {
					if err := os.MkdirAll(dir, 0o755); err != nil {
						t.Fatal(err)
					}
				}
				settles := func(kind, args string) {
					t.Helper()
					step := stepOf(t, kind, args)
					if b, ok := step.(steps.Batcher); ok {
						attributes, sums := b.Batch()
						h.before = "batch " + shell.Words(strings.Join(attributes, "\n"), strings.Join(sums, "\n")) + "\n"
					}
					if got := h.settled(t, step); got != "" {
						t.Errorf("%v: %s %s: %s", sh, kind, args, got)
					}
					h.before = ""
					if got := h.settled(t, step); got != "" {
						t.Errorf("%v: %s again: %s", sh, kind, got)
					}
				}
				holds := func(want string, parts ...string) {
					t.Helper()
					if b, err := os.ReadFile(path(parts...)); err != nil || string(b) != want {
						t.Errorf("%v: %q holds %q, want %q; %v", sh, path(parts...), b, want, err)
					}
				}
				file := "path = " + quote(path("in", name, "f")) + "\n"
				settles("file", file+"content = "+quote(name+"\n")+"\nmode = \"0640\"\nvalidate = \"grep -q . %s\"\n")
				holds(name+"\n", "in", name, "f")
				settles("file", file+"content = sensitive("+quote(name)+")\nbackup = true\n")
				holds(name, "in", name, "f")
				settles("line", file+"line = "+quote(name+" more")+"\n")
				holds(name+"\n"+name+" more\n", "in", name, "f")
				settles("replace", file+"match = \" more$\"\nwith = "+quote(strings.ReplaceAll(name, "$", "$$")+"!")+"\n")
				holds(name+"\n"+name+name+"!\n", "in", name, "f")
				settles("block", file+"name = \"b\"\nat = \"begin\"\ncontent = "+quote(name)+"\n")
				holds("# BEGIN provision b\n"+name+"\n# END provision b\n"+name+"\n"+name+name+"!\n", "in", name, "f")
				settles("file", "path = "+quote(path(name))+"\ncontent = \"x\"\n")
				holds("x", name)
				settles("symlink", "path = "+quote(path("in", name, "link"))+"\ntarget = "+quote(name)+"\n")
				if target, err := os.Readlink(path("in", name, "link")); target != name {
					t.Errorf("%v: link to %q, %v", sh, target, err)
				}
				settles("symlink", "path = "+quote(path("in", name+"l"))+"\ntarget = \"x\"\n")
				settles("directory", "path = "+quote(path("made", name, "d"))+"\nmode = \"0700\"\n")
				value := strings.TrimSpace(name)
				if !strings.HasSuffix(value, `\`) && !strings.Contains(value, "\u00a0") {
					settles("ini", "path = "+quote(path("in", name, "ini"))+"\nsection = \"s\"\nkey = \"k\"\nvalue = "+quote(value)+"\n")
					holds(strings.TrimRight("[s]\nk="+value, " ")+"\n", "in", name, "ini")
					settles("ini", "path = "+quote(path("in", name, "ini"))+"\nsection = \"s\"\nkey = \"k\"\nvalue = sensitive("+quote(value+"2")+")\n")
					holds("[s]\nk="+value+"2\n", "in", name, "ini")
				}
				settles("env_file", "path = "+quote(path("in", name, "env"))+"\nvalues = { A = "+quote(name)+" }\n")
				if r := h.script(t, ". "+shell.Quote(path("in", name, "env"))+"\nprintf %s \"$A\"", nil); r.stdout != name {
					t.Errorf("%v: env_file: %+v", sh, r)
				}
				settles("download", "url = \"file:///etc/passwd\"\npath = "+quote(path("in", name, "download"))+"\nmode = \"0600\"\n")
				if !strings.Contains(name, `\`) {
					for _, f := range []string{name, "d" + name + "/" + name} {
						_ = os.MkdirAll(filepath.Dir(filepath.Join(local, f)), 0o755)
						if err := os.WriteFile(filepath.Join(local, f), []byte(f), 0o644); err != nil {
							t.Fatal(err)
						}
					}
					if err := os.Symlink(name, filepath.Join(local, "l"+name)); err != nil {
						t.Fatal(err)
					}
					_ = os.MkdirAll(path("sync", name), 0o755)
					if err := os.WriteFile(path("sync", name, "old"+name), nil, 0o644); err != nil {
						t.Fatal(err)
					}
					settles("sync", "source = "+quote(local)+"\ndest = "+quote(path("sync", name))+"\ndelete = true\n")
					holds(name, "sync", name, name)
					holds("d"+name+"/"+name, "sync", name, "d"+name, name)
					if _, err := os.Stat(path("sync", name, "old"+name)); err == nil {
						t.Errorf("%v: a file that is not in the tree is left", sh)
					}
				}
				if r := h.script(t, "tar --no-unquote -cf a.tar -C in -- ./"+shell.Quote(name)+"/env", nil); r.exit != 0 {
					t.Fatal(r.stderr)
				}
				settles("archive", "file = "+quote(path("a.tar"))+"\ndest = "+quote(path("out", name))+"\nstrip = 1\n")
				if bad, _ := filepath.Glob(path("bad")); len(bad) > 0 {
					t.Errorf("%v: a command in a name was run", sh)
				}
				for _, f := range []string{"f", "ini", "env"} {
					settles("file", "path = "+quote(path("in", name, f))+"\nstate = \"absent\"\n")
				}
				settles("directory", "path = "+quote(path("in", name))+"\nstate = \"absent\"\n")
				if _, err := os.Lstat(path("in", name)); err == nil {
					t.Errorf("%v: the directory is left", sh)
				}
				if _, err := os.Lstat(path("in")); err != nil {
					t.Errorf("%v: more than the directory is gone: %v", sh, err)
				}
			}
		})
	}
}
