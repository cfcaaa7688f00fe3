package engine

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
)

// A countingHost counts what passes between client and host, which does not depend on how busy the machine is.
type countingHost struct {
	*localHost
	mu       sync.Mutex
	channels int
	uploads  int
	turns    int // how often the client has said something after it had heard something: each is a round trip
	bytes    int
}

func (c *countingHost) Dial(ctx context.Context, name string) (Conn, error) {
	conn, err := c.localHost.Dial(ctx, name)
	if err != nil {
		return nil, err
	}
	return &countingConn{conn, c}, nil
}

type countingConn struct {
	Conn
	count *countingHost
}

func (c *countingConn) Start(ctx context.Context, command string) (*Process, error) {
	p, err := c.Conn.Start(ctx, command)
	if err != nil {
		return nil, err
	}
	c.count.mu.Lock()
	c.count.channels++
	c.count.mu.Unlock()
	channel := &countingChannel{count: c.count}
	p.Stdin, p.Stdout = countingEnd{channel, p.Stdin}, countingStart{channel, p.Stdout}
	return p, nil
}

func (c *countingConn) Upload(ctx context.Context, path string, mode os.FileMode, size int64, r io.Reader) error {
	c.count.mu.Lock()
	c.count.uploads++
	c.count.bytes += int(size)
	c.count.mu.Unlock()
	return c.Conn.Upload(ctx, path, mode, size, r)
}

type countingChannel struct {
	count *countingHost
	heard bool
}

type countingEnd struct {
	*countingChannel
	io.WriteCloser
}

func (e countingEnd) Write(p []byte) (int, error) {
	e.count.mu.Lock()
	if e.heard {
		e.count.turns++
	}
	e.heard = false
	e.count.bytes += len(p)
	e.count.mu.Unlock()
	return e.WriteCloser.Write(p)
}

type countingStart struct {
	*countingChannel
	io.Reader
}

func (s countingStart) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.count.mu.Lock()
	s.heard = s.heard || n > 0
	s.count.mu.Unlock()
	return n, err
}

// sourced is a step that writes a file of the control machine.
func sourced(t *testing.T, host *localHost, name, content string) steps.Instance {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return step(t, "file", name, map[string]cty.Value{"path": str(host.path(name)), "source": str(path), "mode": str("0644")})
}

// words is a text of n bytes as configuration files have it: neither all the same nor all random.
func words(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "option_%d = value %x\n", random.IntN(100), random.Uint32())
	}
	return b.String()[:n]
}

// bytesOf is a content of n bytes that nothing makes shorter.
func bytesOf(n int) string {
	random := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.IntN(256))
	}
	return string(b)
}

// thirty are thirty everyday steps, with the script that does the same by hand; eight files come from the control machine.
func thirty(t *testing.T, host *localHost) (list stepList, byHand string) {
	var hand strings.Builder
	hand.WriteString("set -e\nput() { cat >\"$1.new\"; if cmp -s \"$1.new\" \"$1\"; then rm \"$1.new\"; else chmod \"$2\" \"$1.new\"; mv \"$1.new\" \"$1\"; fi; }\n")
	for i := range 8 {
		n := 400
		if i == 0 {
			n = 64 << 10
		}
		name := fmt.Sprintf("sourced%d", i)
		list = append(list, sourced(t, host, name, words(n)))
		fmt.Fprintf(&hand, "put %s 0644 <<'END'\n%s\nEND\n", host.path(name), words(n))
	}
	for i := range 6 {
		name := fmt.Sprintf("dir%d", i)
		list = append(list, step(t, "directory", name, map[string]cty.Value{"path": str(host.path(name)), "mode": str("0750")}))
		fmt.Fprintf(&hand, "install -d -m 0750 %s\n", host.path(name))
	}
	for i := range 6 {
		name := fmt.Sprintf("file%d", i)
		list = append(list, step(t, "file", name, map[string]cty.Value{"path": str(host.path(name)), "content": str("workers = 4\n"), "mode": str("0640")}))
		fmt.Fprintf(&hand, "echo workers = 4 | put %s 0640\n", host.path(name))
	}
	for i := range 5 {
		name := fmt.Sprintf("line%d", i)
		list = append(list, step(t, "line", name, map[string]cty.Value{"path": str(host.path(name)), "line": str("a=1"), "create": cty.True}))
		fmt.Fprintf(&hand, "grep -qxF a=1 %[1]s 2>/dev/null || echo a=1 >>%[1]s\n", host.path(name))
	}
	for i := range 5 {
		name := fmt.Sprintf("link%d", i)
		list = append(list, step(t, "symlink", name, map[string]cty.Value{"path": str(host.path(name)), "target": str("/etc/passwd")}))
		fmt.Fprintf(&hand, "[ \"$(readlink %[1]s)\" = /etc/passwd ] || ln -sfn /etc/passwd %[1]s\n", host.path(name))
	}
	return list, hand.String()
}

// TestContentTravelsTogether counts what a first apply of everyday steps takes: one channel, one exchange for the plan and one for the
// program, whatever the number of files.
func TestContentTravelsTogether(t *testing.T) {
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			list, byHand := thirty(t, host)
			apply := func() *countingHost {
				count := &countingHost{localHost: host}
				rec := &recorder{}
				run := newRun(host, rec, list)
				run.Dialer = count
				if s := run.Plan(t.Context()); !s.Failed {
					run.Apply(t.Context())
				}
				if exit := run.Close(); exit != 0 {
					t.Fatalf("exit %d\n%s", exit, rec.dump())
				}
				return count
			}
			first := apply()
			// The last turn are the words that the client has it all, for whose answer it does not wait.
			if first.channels != 1 || first.turns > 2 || first.uploads != 0 {
				t.Errorf("a first apply: %d channels, %d turns, %d uploads", first.channels, first.turns, first.uploads)
			}
			t.Logf("%d bytes, by hand %d: %.2f", first.bytes, len(byHand), float64(first.bytes)/float64(len(byHand)))
			if limit := len(byHand) * 3 / 2; first.bytes > limit {
				t.Errorf("a first apply: %d bytes, and the script by hand has %d", first.bytes, len(byHand))
			}
			if host.read("sourced0") != words(64<<10) {
				t.Error("the content is another one")
			}
			if again := apply(); again.channels != 1 || again.turns > 0 || again.bytes > first.bytes/2 {
				t.Errorf("an apply with nothing to do: %d channels, %d turns, %d bytes", again.channels, again.turns, again.bytes)
			}
		})
	}
}

// TestLargeContentTravelsInOneTransfer pins that what is too large for a program takes one channel more, however many files there are,
// and that binary content arrives as it is, inside of a program as well.
func TestLargeContentTravelsInOneTransfer(t *testing.T) {
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			contents := map[string]string{"binary": bytesOf(3000), "large1": bytesOf(300 << 10), "large2": bytesOf(700 << 10), "text": words(600 << 10), "empty": ""}
			var list stepList
			for name, content := range contents {
				list = append(list, sourced(t, host, name, content))
			}
			count, rec := &countingHost{localHost: host}, &recorder{}
			run := newRun(host, rec, list)
			run.Dialer = count
			run.Plan(t.Context())
			run.Apply(t.Context())
			if exit := run.Close(); exit != 0 {
				t.Fatalf("exit %d\n%s", exit, rec.dump())
			}
			for name, content := range contents {
				if host.read(name) != content {
					t.Errorf("%s has another content", name)
				}
			}
			if count.channels != 2 || count.turns > 3 || count.uploads != 0 {
				t.Errorf("%d channels, %d turns, %d uploads", count.channels, count.turns, count.uploads)
			}
			unstaged(t)
		})
	}
}

// TestFileChangesBetweenPlanAndApply pins that what travels is what was planned, or nothing.
func TestFileChangesBetweenPlanAndApply(t *testing.T) {
	for _, n := range []int{3000, 400 << 10} {
		host := newLocalHost(t)
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(bytesOf(n)), 0o600); err != nil {
			t.Fatal(err)
		}
		rec := &recorder{}
		run := newRun(host, rec, stepList{step(t, "file", "file", map[string]cty.Value{"path": str(host.path("file")), "source": str(path)})})
		run.Plan(t.Context())
		if err := os.WriteFile(path, []byte(bytesOf(n)[1:]+"x"), 0o600); err != nil {
			t.Fatal(err)
		}
		run.Apply(t.Context())
		if exit := run.Close(); exit != 1 || host.exists("file") || !strings.Contains(hostFailure(rec), "changed since the playbook was read") {
			t.Errorf("%d bytes: exit %d\n%s", n, exit, rec.dump())
		}
		unstaged(t)
	}
}

// TestNoTarOnTheHost pins that large content then travels file by file.
func TestNoTarOnTheHost(t *testing.T) {
	script := stageScript("n", ".provision-stage.1.2.b.n", nil, []staged{{name: "1.put", content: steps.Content{Local: &steps.Local{Size: 1}}}}, room{large: 1})
	out, err := exec.Command("sh", "-c", "PATH=$1; eval \"$2\"", "sh", withoutTar(t), script).CombinedOutput()
	if dir, _ := strings.CutPrefix(strings.TrimSpace(string(out)), "n "); err != nil || dir == "" || strings.HasSuffix(dir, " stream") {
		t.Errorf("%v: %q", err, out)
	} else if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// withoutTar is a directory with the programs that staging needs, but for tar.
func withoutTar(t *testing.T) string {
	dir := t.TempDir()
	for _, name := range []string{"id", "stat", "awk", "df", "mkdir", "ln", "rm"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestEditsOfOneFileTakeOneProgram pins that steps which edit a file one after the other, or one that an earlier step writes, are not planned
// anew each.
func TestEditsOfOneFileTakeOneProgram(t *testing.T) {
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			line := func(name, file, text string) steps.Instance {
				return step(t, "line", name, map[string]cty.Value{"path": str(host.path(file)), "line": str(text), "create": cty.True})
			}
			if err := os.WriteFile(host.path("old"), []byte("it ends without a line break"), 0o666); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(host.path("old"), 0o666); err != nil {
				t.Fatal(err)
			}
			list := stepList{
				sourced(t, host, "conf", "# settings\n"),
				line("first", "conf", "a = 1"), line("second", "conf", "b = 2"), line("twice", "conf", "a = 1"),
				line("one", "new", "x"), line("two", "new", "y"), line("three", "new", "z"),
				line("old1", "old", "p"), line("old2", "old", "q"),
				step(t, "ini", "ini", map[string]cty.Value{"path": str(host.path("conf")), "section": str("main"), "key": str("k"), "value": str("v")}),
			}
			count, rec := &countingHost{localHost: host}, &recorder{}
			run := newRun(host, rec, list)
			run.Dialer = count
			run.Plan(t.Context())
			run.Apply(t.Context())
			if exit := run.Close(); exit != 0 || count.turns > 2 || count.channels != 1 {
				t.Errorf("exit %d, %d turns, %d channels\n%s", exit, count.turns, count.channels, rec.dump())
			}
			for name, want := range map[string]string{"conf": "# settings\na = 1\nb = 2\n", "new": "x\ny\nz\n", "old": "it ends without a line break\np\nq\n"} {
				if got := host.read(name); !strings.HasPrefix(got, want) {
					t.Errorf("%s: %q", name, got)
				}
			}
			if conf := host.read("conf"); !strings.Contains(conf, "[main]\nk") {
				t.Errorf("%q", conf)
			}
		})
	}
}

// TestManyStepsMayMove pins that a run gives up a step whose state moves again and again, and not a playbook of many steps that each find
// another state than was planned.
func TestManyStepsMayMove(t *testing.T) {
	host := newLocalHost(t)
	var list stepList
	for i := range staleLimit + 3 {
		name := fmt.Sprintf("n%d", i)
		list = append(list, script(t, name, "echo "+name+" >>shared"),
			step(t, "line", name, map[string]cty.Value{"path": str(host.path("shared")), "line": str("line " + name), "create": cty.True}))
	}
	if exit, rec := applied(t, host, list); exit != 0 {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
}

// TestAlike pins which states pass for one in which a number is not known beforehand: no other line, no other value, digits alone.
func TestAlike(t *testing.T) {
	for name, sh := range shells(t) {
		for state, want := range map[string]bool{
			"exists yes\nuid 1000\nhome /home/a": true, "exists yes\nuid 0\nhome /home/a": true,
			"exists yes\nuid \nhome /home/a": false, "exists yes\nuid 10x\nhome /home/a": false, "exists yes\nuid 10 10\nhome /home/a": false,
			"exists yes\nuid 1000": false, "exists yes\nuid 1000\nhome /home/b": false, "exists yes\nuid 1000\nhome /home/a\nin wheel": false,
			"exists yes\nuid 1000\nshell /bin/sh\nhome /home/a": false, "exists yes\ngid 1000\nhome /home/a": false, "": false,
			"exists no": true,
		} {
			cmd := exec.Command(sh[0], append(sh[1:], "-s")...)
			cmd.Stdin = strings.NewReader(shell.Prelude + "\n" + functionOf(t, programText(), "alike") + "\nSTATEMENT=" + shell.Quote(state) +
				"\nalike 'exists no' " + shell.Quote("exists yes\nuid #\nhome /home/a") + "\n")
			if err := cmd.Run(); (err == nil) != want {
				t.Errorf("%s: %q: %v", name, state, err)
			}
		}
	}
}

// functionOf is the text of a function of sh.
func functionOf(t *testing.T, text, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "\n"+name+"() {\n")
	body, _, end := strings.Cut(rest, "\n}\n")
	if !ok || !end {
		t.Fatalf("there is no function %s", name)
	}
	return name + "() {\n" + body + "\n}\n"
}

// TestAnswersAreShort pins that the client's verdict on a state takes a channel, and not all that a session is sent otherwise.
func TestAnswersAreShort(t *testing.T) {
	host := newLocalHost(t)
	count, rec := &countingHost{localHost: host}, &recorder{}
	run := newRun(host, rec, stepList{dialStep(host, "good 7")})
	run.Dialer = count
	run.Plan(t.Context())
	planned := count.bytes
	run.Apply(t.Context())
	if exit := run.Close(); exit != 0 {
		t.Fatalf("exit %d\n%s", exit, rec.dump())
	}
	if count.channels != 2 {
		t.Fatalf("%d channels: the state was not asked about", count.channels)
	}
	text, _, err := (&program{id: "x"}).text()
	if err != nil {
		t.Fatal(err)
	}
	// The program, what follows it, and some words.
	if rest := count.bytes - planned; rest > len(pack(text))+len(sweepText())+len(followText())+4000 {
		t.Errorf("a program of one step and its answer take %d bytes", rest)
	}
}
