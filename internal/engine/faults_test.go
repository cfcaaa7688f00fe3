package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/event"
	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kinds"
)

// A faulty host is a local one whose links break after a number of bytes, in either direction.
type faultyHost struct {
	*localHost
	left atomic.Int64  // bytes until the next cut
	next func() int64  // how many after that
	way  int           // how the link breaks: a way of ways
	away time.Duration // how long nothing can be reached then
	cuts atomic.Int64
}

const (
	killed   = iota // with the shells at its other end
	closed          // the shells see their input end
	halfOpen        // the shells notice nothing, and what was on its way arrives late
	ways
)

func (f *faultyHost) Dial(ctx context.Context, name string) (Conn, error) {
	conn, err := f.localHost.Dial(ctx, name)
	if err != nil {
		return nil, err
	}
	return &faultyConn{localConn: conn.(*localConn), host: f}, nil
}

// pass counts bytes, and tells how many of them still go over the link.
func (f *faultyHost) pass(n int) (int, bool) {
	left := f.left.Add(-int64(n))
	if left >= 0 {
		return n, false
	}
	f.cuts.Add(1)
	f.left.Store(f.next())
	if f.away > 0 {
		f.let(false)
		time.AfterFunc(f.away, func() { f.let(true) })
	}
	return max(0, n+int(left)), true
}

type faultyConn struct {
	*localConn
	host *faultyHost
	mu   sync.Mutex
	gone bool
	ends []io.Closer

	writers []*io.PipeWriter
}

func (c *faultyConn) Start(ctx context.Context, command string) (*Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return nil, fmt.Errorf("%w: the link is cut", ErrUnreachable)
	}
	p, err := c.localConn.Start(ctx, command)
	if err != nil {
		return nil, err
	}
	in, out, errs := p.Stdin, p.Stdout, p.Stderr
	c.ends = append(c.ends, in, out.(io.Closer), errs.(io.Closer))
	wait := p.Wait
	p.Stdin, p.Stdout, p.Stderr = &faultyEnd{c: c, w: in}, c.reach(out), c.reach(errs)
	p.Wait = func() (int, error) {
		if c.lost() {
			return 0, fmt.Errorf("link cut: %w", io.ErrUnexpectedEOF)
		}
		status, err := wait()
		if c.lost() {
			err = fmt.Errorf("link cut: %w", io.ErrUnexpectedEOF)
		}
		return status, err
	}
	return p, nil
}

func (c *faultyConn) Upload(ctx context.Context, path string, mode os.FileMode, size int64, r io.Reader) error {
	if _, cut := c.host.pass(int(size)); cut || c.lost() {
		c.cut()
		return fmt.Errorf("%w: the link is cut", ErrUnreachable)
	}
	return c.localConn.Upload(ctx, path, mode, size, r)
}

// reach lets a stream of the host be read as far as it comes over the link. Behind a cut that the host does not notice it is read on.
func (c *faultyConn) reach(from io.Reader) io.Reader {
	r, w := io.Pipe()
	c.writers = append(c.writers, w)
	go func() {
		chunk := make([]byte, 4096)
		for {
			n, err := from.Read(chunk)
			if !c.lost() {
				m, cut := c.host.pass(n)
				_, _ = w.Write(chunk[:m])
				if cut {
					c.cut()
				}
			}
			if err != nil {
				_ = w.CloseWithError(err)
				return
			}
		}
	}()
	return r
}

func (c *faultyConn) lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone
}

func (c *faultyConn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.gone = true
	for _, w := range c.writers {
		_ = w.CloseWithError(errCut)
	}
	switch c.host.way {
	case killed:
		c.localConn.cut()
	case closed:
		c.localConn.mu.Lock()
		c.localConn.lost = true
		c.localConn.mu.Unlock()
		for _, e := range c.ends {
			_ = e.Close()
		}
	}
}

// A faultyEnd is what is said to the host on a channel.
type faultyEnd struct {
	c *faultyConn
	w io.WriteCloser
}

var errCut = fmt.Errorf("the link is cut: %w", io.ErrUnexpectedEOF)

func (e *faultyEnd) Write(p []byte) (int, error) {
	if e.c.lost() {
		return 0, errCut
	}
	n, cut := e.c.host.pass(len(p))
	if !cut {
		return e.w.Write(p)
	}
	e.c.cut()
	if e.c.host.way == halfOpen {
		time.AfterFunc(time.Second, func() { _, _ = e.w.Write(p) })
		return n, errCut
	}
	_, _ = e.w.Write(p[:n])
	return n, errCut
}

func (e *faultyEnd) Close() error {
	if e.c.lost() && e.c.host.way == halfOpen {
		return nil
	}
	return e.w.Close()
}

// story is a source of steps of which the last ones are known only after the first have run, and whose contents are staged.
type story struct {
	t    *testing.T
	host *localHost
}

func (s story) Steps(_ *steps.Facts, results map[string]cty.Value) ([]steps.Instance, hcl.Diagnostics) {
	h := s.host
	list := []steps.Instance{
		script(s.t, "bare", "echo x >>\"$HOME/once\"; i=0; while [ $i -lt 40 ]; do echo line $i of what is said; i=$((i+1)); done; echo named"),
		step(s.t, "file", "secret", map[string]cty.Value{"path": str(h.path("secret")), "content": str("pa$$ w0rd\n").Mark(steps.Sensitive)}),
		step(s.t, "file", "conf", map[string]cty.Value{"path": str(h.path("conf")), "content": str(strings.Repeat("setting\n", 9000))}),
		script(s.t, "reload", "echo x >>\"$HOME/reloaded\"; sleep 0.3"),
	}
	list[3].OnChange = map[string][]string{"": {"step.file.conf"}}
	late := steps.Instance{Addr: "step.file.late", Kind: kinds.Find("file"), Waits: []string{"step.command.bare"}}
	if r, ok := results["step.command.bare"]; ok {
		late = step(s.t, "file", "late", map[string]cty.Value{"path": str(h.path("late")), "content": str(r.GetAttr("stdout").AsString()).Mark(steps.Sensitive)})
	}
	return append(list, late), nil
}

// outcome is how a run of the story went, without its times.
func (s story) outcome(exit int, rec *recorder) string {
	var b strings.Builder
	fmt.Fprintf(&b, "exit %d\n", exit)
	for _, v := range rec.verdicts() {
		fmt.Fprintln(&b, v)
	}
	out := map[string]string{}
	rec.mu.Lock()
	for _, e := range rec.events {
		if e.StepOutput != nil {
			out[e.StepOutput.Addr] += e.StepOutput.Text
		}
	}
	rec.mu.Unlock()
	fmt.Fprintf(&b, "%q\n", out["step.command.bare"])
	for _, name := range []string{"once", "secret", "conf", "reloaded", "late"} {
		content, err := os.ReadFile(s.host.path(name))
		fmt.Fprintf(&b, "%s %d %.60q %v\n", name, len(content), content, err == nil)
	}
	return b.String()
}

// Wherever the link breaks between the first word and the last, and in whatever way: the run is the one that it would have been.
func TestLinkCutAnywhere(t *testing.T) {
	base := story{t, newLocalHost(t)}
	whole := &faultyHost{localHost: base.host, next: func() int64 { return 1 << 60 }}
	whole.left.Store(1 << 60)
	want := base.outcome(runOn(whole, base))
	total := 1<<60 - whole.left.Load()
	if !strings.HasPrefix(want, "exit 0") {
		t.Fatal(want)
	}
	list := shells(t)
	var names []string
	for name := range list {
		names = append(names, name)
	}
	for n := range uint64(many(t, 24)) {
		random := rand.New(rand.NewPCG(n, 1))
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			host := newLocalHost(t, list[names[n%uint64(len(names))]]...)
			f := &faultyHost{localHost: host, way: int(n/3) % ways, away: time.Duration(random.IntN(3)) * 300 * time.Millisecond}
			f.left.Store(random.Int64N(total))
			f.next = func() int64 { return total/4 + random.Int64N(total) }
			s := story{t, host}
			exit, rec := runOn(f, s)
			if got := s.outcome(exit, rec); got != want {
				t.Errorf("way %d, %d cuts:\n%s\nwant\n%s\n%s", f.way, f.cuts.Load(), got, want, rec.dump())
			}
			// A cut may take the very last word, that the host need not keep more. Then the next run tidies up.
			if exit, rec := applied(t, host, stepList{script(t, "next", "true")}); exit != 0 {
				t.Errorf("the next run: exit %d\n%s", exit, rec.dump())
			}
			host.tidy()
			unstaged(t)
		})
	}
}

// many is how many random cases a test plays: so many, or what PROVISION_FAULTS says.
func many(t *testing.T, few int) int {
	if text := os.Getenv("PROVISION_FAULTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return few
}

// runOn plans and applies on one host.
func runOn(host interface {
	Dialer
}, source StepSource,
) (int, *recorder) {
	rec := &recorder{}
	run := &Run{
		ID: NewID(timeNow()), Owner: "test@here", Command: event.CommandApply, Salt: NewSalt(), Parallel: 1, Dialer: host, Sink: rec,
		Hosts: []Host{{Name: "web1", User: "root", Source: source}}, Reconnect: reconnectForTests,
	}
	if s := run.Plan(context.Background()); !s.Failed {
		run.Apply(context.Background())
	}
	return run.Close(), rec
}

// unstaged fails the test if staging is left whose owner is gone.
func unstaged(t *testing.T) {
	t.Helper()
	var left []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		left = nil
		for _, dir := range []string{"/dev/shm", "/tmp", "/var/tmp"} {
			found, _ := filepath.Glob(dir + "/.provision-stage.*")
			for _, f := range found {
				pid := strings.Split(strings.TrimPrefix(filepath.Base(f), ".provision-stage."), ".")[0]
				if info, err := os.Stat(f); err == nil && int(info.Sys().(*syscall.Stat_t).Uid) == testUID && exec.Command("test", "-d", "/proc/"+pid).Run() != nil {
					left = append(left, f)
				}
			}
		}
		if len(left) == 0 {
			return
		}
	}
	t.Errorf("staging is left: %q", left)
}

// A dead program's lock is taken by one of any number of programs that find it, and each of the others is told by whom.
func TestADeadLockIsTakenOnce(t *testing.T) {
	list := shells(t)
	for name, sh := range list {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(7, uint64(len(name))))
			host := newLocalHost(t, sh...)
			text := fmt.Sprintf("LIBRARY=%s\neval \"$LIBRARY\"\nID=race OWNER='somebody' STAGE= LOGIN=\nDIR=$HOME/dir.$$\n%s", shell.Quote(library()), programText()) + `
mkdir "$DIR" && { printf '%512s\n' '' >"$DIR/fault"; } || exit 3
STARTED=$(started $$) BOOT=$(boot_id)
until [ -f "$HOME/go" ]; do sleep 0.01 || sleep 1; done
case $$ in *[05]) sweep; STARTED=$(started $$) ;; esac # as the first words of an apply do
if take_lock; then
	mkdir "$HOME/inside" || echo overlap >>"$HOME/overlaps"
	sleep 0.01 || sleep 1
	rmdir "$HOME/inside"
	echo won >>"$HOME/won"
	holder "$RUN/lock" && [ "$HOLDER" = "$$.$STARTED.$BOOT" ] && rm -f "$RUN/lock" || echo lost >>"$HOME/overlaps"
elif [ "$(cat "$DIR/locked")" != "somebody" ]; then
	cat "$DIR/locked" >>"$HOME/overlaps"
fi
rm -rf "$DIR"
`
			host.directory(".provision")
			host.directory(".provision/run")
			races := 70
			if testing.Short() {
				races = 10
			}
			for race := range races {
				// The process of this lock is gone; sometimes there is also one that died while it broke the lock.
				dead := fmt.Sprintf("4194300 %d %s gone\n", race, bootOf(t))
				names := []string{"lock"}
				if race%3 == 0 {
					names = append(names, fmt.Sprintf("lock.4194300.%d", race))
				}
				for _, lock := range names {
					host.write(".provision/run/"+lock, dead)
				}
				var all sync.WaitGroup
				for range 2 + random.IntN(7) {
					cmd := host.command(text)
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					all.Go(func() {
						if err := cmd.Wait(); err != nil {
							t.Errorf("race %d: %v", race, err)
						}
					})
				}
				host.write("go", "")
				all.Wait()
				for _, name := range []string{"go"} {
					_ = os.Remove(host.path(name))
				}
				if host.exists("overlaps") {
					t.Fatalf("race %d: %s", race, host.read("overlaps"))
				}
				if !host.exists("won") {
					t.Fatalf("race %d: nobody has taken the lock", race)
				}
				_ = os.Remove(host.path("won"))
				if left, _ := filepath.Glob(host.path(".provision/run/*")); len(left) > 0 {
					t.Fatalf("race %d: left behind: %q", race, left)
				}
			}
		})
	}
}

// bootOf is the boot id of this machine.
func bootOf(t *testing.T) string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// command is a script in the shell of the host.
func (l *localHost) command(script string) *exec.Cmd {
	cmd := exec.Command(l.shell[0], l.shell[1:]...)
	cmd.Env = []string{"HOME=" + l.home, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Dir = l.home
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: testUID, Gid: testUID}}
	}
	cmd.Stdin = strings.NewReader(script)
	return cmd
}

// held is a step that says begun, and ends once there is a file go.
func held(t *testing.T, name string) steps.Instance {
	return script(t, name, "echo begun; n=0; while [ ! -e \"$HOME/go\" ] && [ $n -lt 300 ]; do sleep 0.1; n=$((n+1)); done; echo x >>\"$HOME/"+name+"\"")
}

// A run that is asked to waits for the other one, says for whom, and plans anew what that has changed.
func TestLockWait(t *testing.T) {
	for _, asked := range []string{"at planning", "at launching", "orphan", "too short"} {
		t.Run(asked, func(t *testing.T) {
			host := newLocalHost(t)
			first, second := &recorder{}, &recorder{}
			run := newRun(host, first, stepList{held(t, "slow"), file(t, host, "shared", "one\n")})
			run.Owner = "ann@laptop"
			other := newRun(host, second, stepList{file(t, host, "shared", "one\n"), script(t, "other", "echo x >>\"$HOME/other\"")})
			if asked == "orphan" {
				other.Orphan = func(owner string) bool { return owner == "ann@laptop" }
			} else {
				other.LockWait = time.Minute
			}
			want, count := 0, "x\n"
			if asked == "too short" {
				other.LockWait, want, count = 300*time.Millisecond, 4, ""
			}
			if asked == "at launching" {
				other.Plan(t.Context())
			}
			second.notify = func(e event.Event) {
				if e.HostLocked != nil && e.HostLocked.Waits && asked != "too short" {
					time.AfterFunc(300*time.Millisecond, func() { host.write("go", "") })
				}
			}
			var exit int
			var otherEnd sync.WaitGroup
			begin := sync.OnceFunc(func() {
				otherEnd.Go(func() {
					if asked != "at launching" {
						other.Plan(context.Background())
					}
					other.Apply(context.Background())
					exit = other.Close()
				})
			})
			first.notify = func(e event.Event) {
				if e.StepOutput != nil {
					begin()
				}
			}
			if asked == "too short" {
				time.AfterFunc(5*time.Second, func() { host.write("go", "") })
			}
			run.Plan(t.Context())
			run.Apply(t.Context())
			if got := run.Close(); got != 0 {
				t.Errorf("the first: exit %d\n%s", got, first.dump())
			}
			otherEnd.Wait()
			got, _ := os.ReadFile(host.path("other"))
			if exit != want || string(got) != count || !strings.Contains(second.dump(), "host_locked") {
				t.Errorf("exit %d, want %d; other %q\n%s", exit, want, got, second.dump())
			}
			if said := second.dump(); want == 0 && strings.Contains(said, "step.file.shared changed") {
				t.Errorf("what the first had done was done again\n%s", said)
			}
			host.tidy()
			unstaged(t)
		})
	}
}

// killProgram kills the shell of the program that runs, and nothing else.
const killProgram = `kill -9 $(cut -d' ' -f1 "$HOME"/.provision/run/run-*/pid)`

// What a killed program was at ends with it, its secrets go, and its host is free.
func TestAKilledProgramLeavesNothing(t *testing.T) {
	for name, sh := range shells(t) {
		for _, watched := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " watched ", watched), func(t *testing.T) {
				host := newLocalHost(t, sh...)
				kill := killProgram
				if !watched { // its watcher goes, too: the next run has to see to it
					kill = `kill -9 $(grep -lsx "PPid:[[:space:]]*$(cut -d' ' -f1 "$HOME"/.provision/run/run-*/pid)" /proc/[0-9]*/status | cut -d/ -f3 | grep -vw $PPID | grep -vw $$) 2>/dev/null; ` + killProgram
				}
				list := stepList{
					step(t, "file", "secret", map[string]cty.Value{"path": str(host.path("secret")), "content": str("hush").Mark(steps.Sensitive)}),
					script(t, "killed", `echo x >>"$HOME/killed"; (`+lasting(4571)+`; touch "$HOME/went-on") & `+kill+`; `+lasting(4571)),
				}
				exit, rec := applied(t, host, list)
				if exit != 1 || !strings.Contains(rec.dump(), "ended without finishing: it was killed, or the host restarted; step.command.killed (test.hcl:1) was running then, and may be half done") ||
					!slices.Contains(rec.verdicts(), "step.command.killed interrupted") {
					t.Errorf("exit %d\n%s", exit, rec.dump())
				}
				// The next run names it, too, and those after it do not.
				const cut = "an earlier run (test@here) was cut off while this step ran"
				exit, rec = applied(t, host, stepList{script(t, "other", "echo fine")})
				if exit != 0 || !strings.Contains(rec.dump(), cut+": it may be half done Addr:step.command.killed") {
					t.Errorf("the next run: exit %d\n%s", exit, rec.dump())
				}
				if _, rec = applied(t, host, stepList{script(t, "other", "echo fine")}); strings.Contains(rec.dump(), cut) {
					t.Errorf("told twice\n%s", rec.dump())
				}
				for end := time.Now().Add(5 * time.Second); len(running(lasting(4571))) > 0 && time.Now().Before(end); {
					time.Sleep(50 * time.Millisecond)
				}
				ended(t, lasting(4571))
				host.tidy()
				unstaged(t)
				// Another run in between does not change that nobody knows how the command ended.
				exit, rec = applied(t, host, list)
				if exit != 1 || !strings.Contains(rec.dump(), "--rerun step.command.killed") || host.read("killed") != "x\n" {
					t.Errorf("a bare command that was cut off: exit %d, %q\n%s", exit, host.read("killed"), rec.dump())
				}
			})
		}
	}
}

// running lists the processes with some words in their command line.
func running(words string) []string {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var list []string
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), words) {
			list = append(list, f)
		}
	}
	return list
}

// What a client, a session or a program has left that are gone is removed by the next run, even by one that has nothing to do; what
// belongs to somebody alive stays.
func TestTheNextRunSweeps(t *testing.T) {
	host := newLocalHost(t)
	self, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	alive := fmt.Sprintf("%d.%s.%s", os.Getpid(), strings.Fields(string(self[strings.LastIndexByte(string(self), ')')+1:]))[19], bootOf(t))
	made := func(dir, owner string) string {
		d := filepath.Join(dir, ".provision-stage."+owner+".0123456789abcdef"+filepath.Base(host.home))
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(d) })
		if os.Getuid() == 0 {
			if err := os.Chown(d, testUID, testUID); err != nil {
				t.Fatal(err)
			}
		}
		return d
	}
	var gone, stays []string
	for _, dir := range []string{host.home, "/dev/shm", "/var/tmp"} {
		gone = append(gone, made(dir, "4194300.17."+bootOf(t)), made(dir, "1.1.an-earlier-boot"), made(dir, "garbled"))
		stays = append(stays, made(dir, alive))
	}
	host.directory(".provision")
	host.directory(".provision/run")
	for name, pid := range map[string]string{
		"run-died":       "4194300 17 " + bootOf(t) + " program\n",
		"run-unlaunched": "4194300 17 " + bootOf(t) + " launching\n",
		"run-earlier":    "1 1 an-earlier-boot program\n",
		"run-no-pid":     "",
		"run-alive":      strings.ReplaceAll(alive, ".", " ") + " program\n",
		"run-now":        "",
	} {
		dir := host.directory(".provision/run/" + name)
		if pid != "" {
			host.write(".provision/run/"+name+"/pid", pid)
		}
		if name == "run-no-pid" {
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(dir, old, old); err != nil {
				t.Fatal(err)
			}
		}
		if name == "run-alive" || name == "run-now" {
			stays = append(stays, dir)
		} else {
			gone = append(gone, dir)
		}
	}
	host.write("there", "x\n")
	if exit, rec := applied(t, host, stepList{file(t, host, "there", "x\n")}); exit != 0 || strings.Contains(rec.dump(), " changed ") {
		t.Fatalf("exit %d\n%s", exit, rec.dump())
	}
	for _, path := range gone {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
	for _, path := range stays {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s belongs to somebody alive: %v", path, err)
		}
	}
}

// The program's end can be told however late somebody asks, and no process waits for that.
func TestAnEndIsKeptUntilItIsTaken(t *testing.T) {
	host := newLocalHost(t)
	rec := &recorder{}
	list := stepList{script(t, "said", "echo begun; sleep 1; echo of this nothing is lost")}
	run := newRun(host, rec, list)
	cut := sync.OnceFunc(func() {
		host.let(false)
		host.cut()
		go func() {
			for end := time.Now().Add(10 * time.Second); len(running("run-"+run.ID)) > 0 && time.Now().Before(end); {
				time.Sleep(50 * time.Millisecond)
			}
			if left := running("run-" + run.ID); len(left) > 0 {
				t.Errorf("the program has ended, and runs: %q", left)
			}
			host.let(true)
		}()
	})
	rec.notify = func(e event.Event) {
		if e.StepOutput != nil {
			cut()
		}
	}
	run.Plan(t.Context())
	run.Apply(t.Context())
	if exit := run.Close(); exit != 0 || !strings.Contains(rec.dump(), "of this nothing is lost") {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
	host.tidy()
}

// A client whose clock is ahead, or behind, does not decide whose journals are kept.
func TestJournalsAreOrderedByTheHost(t *testing.T) {
	host := newLocalHost(t)
	host.directory(".provision")
	for n := range 9 {
		name := fmt.Sprintf(".provision/journal.29990101-00000%d-abcd-1-1", n)
		host.write(name, "run x\n")
		old := time.Now().Add(-time.Hour + time.Duration(n)*time.Second)
		if err := os.Chtimes(host.path(name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if exit, rec := applied(t, host, stepList{script(t, "one", "echo fine")}); exit != 0 {
		t.Fatalf("exit %d\n%s", exit, rec.dump())
	}
	left, _ := filepath.Glob(host.path(".provision/journal.*"))
	own, _ := filepath.Glob(host.path(".provision/journal.20*"))
	if len(left) != 5 || len(own) != 1 || !host.exists(".provision/journal.29990101-000008-abcd-1-1") {
		t.Errorf("%q", left)
	}
}

// Interrupts while the link is down are kept, end what they are meant to end, and say what is known.
func TestInterruptsDuringAnOutage(t *testing.T) {
	for _, twice := range []bool{false, true} {
		t.Run(fmt.Sprint("twice ", twice), func(t *testing.T) {
			host := newLocalHost(t)
			rec := &recorder{}
			run := newRun(host, rec, stepList{held(t, "slow"), script(t, "next", "touch \"$HOME/next\"")})
			stop := make(chan struct{})
			run.Stop = stop
			ctx, cancel := context.WithCancel(t.Context())
			rec.notify = func(e event.Event) {
				switch {
				case e.StepOutput != nil && strings.Contains(e.StepOutput.Text, "begun"):
					host.let(false)
					close(stop) // before the first attempt to come back
					go host.cut()
				case e.HostRetry != nil && e.HostRetry.Attempt == 3 && twice:
					cancel()
				case e.HostRetry != nil && e.HostRetry.Attempt == 3:
					host.let(true)
					time.AfterFunc(time.Second, func() { host.write("go", "") })
				}
			}
			run.Plan(ctx)
			began := time.Now()
			run.Apply(ctx)
			exit, said := run.Close(), rec.dump()
			if exit != 130 || host.exists("next") || twice != strings.Contains(said, "may still be running") || time.Since(began) > 15*time.Second {
				t.Errorf("exit %d after %s\n%s", exit, time.Since(began), said)
			}
			cancel()
			host.write("go", "")
			for end := time.Now().Add(10 * time.Second); len(running("run-"+run.ID)) > 0 && time.Now().Before(end); {
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
}

// An interrupt does not wait for what the host is looking at.
func TestInterruptWhilePlanning(t *testing.T) {
	host := newLocalHost(t)
	rec := &recorder{}
	run := newRun(host, rec, stepList{step(t, "command", "slow", map[string]cty.Value{"script": str("true"), "unless": str(lasting(4572))})})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Second, cancel)
	began := time.Now()
	run.Plan(ctx)
	if exit := run.Close(); exit != 130 || time.Since(began) > 5*time.Second {
		t.Errorf("exit %d after %s\n%s", exit, time.Since(began), rec.dump())
	}
	for _, f := range running(lasting(4572)) {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// A second interrupt while a step is only looked at removes all of the run, and what the step would have done is not in doubt.
func TestSecondInterruptWhileAStepLooks(t *testing.T) {
	host := newLocalHost(t)
	list := stepList{
		step(t, "file", "secret", map[string]cty.Value{"path": str(host.path("secret")), "content": str("hush").Mark(steps.Sensitive)}),
		step(t, "command", "looks", map[string]cty.Value{"script": str("touch \"$HOME/ran\""), "unless": str("[ ! -e \"$HOME/secret\" ] || { touch \"$HOME/looking\"; " + lasting(4573) + "; }; false")}),
	}
	rec := &recorder{}
	run := newRun(host, rec, list)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for !host.exists("looking") && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
		cancel()
	}()
	run.Plan(ctx)
	run.Apply(ctx)
	if exit := run.Close(); exit != 130 || host.exists("ran") || !strings.Contains(rec.dump(), "nothing is running there") {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
	ended(t, lasting(4573))
	host.tidy()
	unstaged(t)
	if left, _ := filepath.Glob(host.path(".provision/begun/*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// Another run that has its turn between two programs of one run is told of.
func TestAnotherRunInBetween(t *testing.T) {
	host := newLocalHost(t)
	rec := &recorder{}
	s := story{t, host}
	run := newRun(host, rec, s)
	between := sync.OnceFunc(func() {
		other := newRun(host, &recorder{}, stepList{script(t, "other", "echo fine")})
		other.Owner, other.LockWait = "bob@desk", time.Minute
		other.Plan(context.Background())
		other.Apply(context.Background())
		if exit := other.Close(); exit != 0 {
			t.Errorf("the other: exit %d", exit)
		}
	})
	rec.notify = func(e event.Event) {
		// The plan of what waits is made between the two programs.
		if e.PlanStep != nil && e.PlanStep.Addr == "step.file.late" && e.PlanStep.Action == steps.Create {
			between()
		}
	}
	run.Plan(t.Context())
	run.Apply(t.Context())
	if exit := run.Close(); exit != 0 || !strings.Contains(rec.dump(), "another run had its turn on the host between two programs of this one: bob@desk") {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
	host.tidy()
}

// A file that a killed program was writing does not stay beside its target, even if the next run has nothing to do.
func TestAHalfWrittenFileIsSwept(t *testing.T) {
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			host.directory("etc")
			list := stepList{step(t, "file", "secret", map[string]cty.Value{
				"path": str(host.path("etc/secret")), "content": str("hush\n").Mark(steps.Sensitive),
				"validate": str("true %s; pid=$(cut -d' ' -f1 " + host.path(".provision/run") + "/run-*/pid); kill -9 $(grep -lsx \"PPid:[[:space:]]*$pid\" /proc/[0-9]*/status | cut -d/ -f3) $pid"),
			})}
			exit, rec := applied(t, host, list)
			left, _ := filepath.Glob(host.path("etc/.provision.*"))
			if exit != 1 || len(left) != 1 {
				t.Fatalf("exit %d, %q\n%s", exit, left, rec.dump())
			}
			host.write("etc/secret", "hush\n")
			list = stepList{file(t, host, "etc/secret", "hush\n")}
			if exit, rec := applied(t, host, list); exit != 0 || strings.Contains(rec.dump(), " changed ") {
				t.Fatalf("exit %d\n%s", exit, rec.dump())
			}
			host.tidy()
			if left, _ := filepath.Glob(host.path(".provision/writing.*")); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

// A program is for the boot that it was planned in: after another one the host is planned anew, and nothing that was not looked at
// since is said to be as wanted.
func TestAPlanIsForOneBoot(t *testing.T) {
	host := newLocalHost(t)
	host.write("kept", "x\n")
	rec := &recorder{}
	run := newRun(host, rec, stepList{file(t, host, "kept", "x\n"), script(t, "bare", "echo x >>\"$HOME/once\"")})
	run.Plan(t.Context())
	run.hosts[0].boot = "another-boot"
	_ = os.Remove(host.path("kept")) // it was lost with the power
	run.Apply(t.Context())
	if exit := run.Close(); exit != 0 || !host.exists("kept") || host.read("once") != "x\n" {
		t.Errorf("exit %d\n%s", exit, rec.dump())
	}
	host.tidy()
}

// mute is a host that lets everybody in and hangs up as soon as a session begins.
type mute struct {
	*localHost
	logins atomic.Int64
}

func (m *mute) Dial(context.Context, string) (Conn, error) {
	m.logins.Add(1)
	return muteConn{}, nil
}

type muteConn struct{ Conn }

func (muteConn) Start(context.Context, string) (*Process, error) {
	return nil, fmt.Errorf("%w: it hung up", ErrUnreachable)
}

func (muteConn) Close() error { return nil }

// Such a host is not logged in to again and again: sshd counts that, and may ban this address.
func TestHostThatHangsUpAtTheSessionIsLeftAlone(t *testing.T) {
	m := &mute{localHost: newLocalHost(t)}
	rec := &recorder{}
	run := commandRun(m, rec, "web1")
	run.Reconnect = time.Minute
	began := time.Now()
	run.Exec(t.Context(), &Command{Argv: []string{"true"}})
	if exit := run.Close(); exit != 3 || m.logins.Load() > maxEntered+1 || time.Since(began) > 20*time.Second {
		t.Errorf("exit %d, %d logins in %s\n%s", exit, m.logins.Load(), time.Since(began), rec.dump())
	}
}

// A process may die after it has made the file with which it wants the lock, and before it has written it.
func TestAnEmptyClaimOfTheLockGoes(t *testing.T) {
	for name, shell := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, shell...)
			list := stepList{script(t, "one", "true")}
			host.directory(".provision")
			host.directory(".provision/run")
			dead, alive := host.path(".provision/run/lock.4194301"), host.path(fmt.Sprintf(".provision/run/lock.%d", os.Getpid()))
			for _, file := range []string{dead, alive} {
				if err := os.WriteFile(file, nil, 0o666); err != nil {
					t.Fatal(err)
				}
				_ = os.Chown(file, testUID, testUID)
			}
			if exit, rec := applied(t, host, list); exit != 0 {
				t.Fatal(rec.dump())
			}
			if _, err := os.Stat(dead); err == nil {
				t.Error("the claim of a process that is gone is left")
			}
			if _, err := os.Stat(alive); err != nil {
				t.Errorf("the claim of a process that is just about to write it: %v", err)
			}
		})
	}
}

// What a program has printed stays while its client reads it, though another run has its turn; not for a client that is gone, nor for one
// that has read nothing for long.
func TestWhatAClientStillReadsStays(t *testing.T) {
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			stat, err := os.ReadFile("/proc/self/stat")
			if err != nil {
				t.Fatal(err)
			}
			began := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')'):]))[20]
			host.directory(".provision")
			host.directory(".provision/run")
			for name, reader := range map[string]string{
				"read":  fmt.Sprintf("%d.%s.%s", os.Getpid(), began, bootOf(t)),
				"idle":  fmt.Sprintf("%d.%s.%s", os.Getpid(), began, bootOf(t)),
				"alone": "4194300.1." + bootOf(t),
			} {
				host.directory(".provision/run/run-" + name)
				for file, text := range map[string]string{"pid": fmt.Sprintf("4194301 1 %s program\n", bootOf(t)), "done": "", "reader." + reader: ".", "out.1.1": "printed\n"} {
					host.write(".provision/run/run-"+name+"/"+file, text)
				}
				if name == "idle" {
					long := time.Now().Add(-10 * time.Minute)
					if err := os.Chtimes(host.path(".provision/run/run-idle/reader."+reader), long, long); err != nil {
						t.Fatal(err)
					}
				}
			}
			if exit, rec := applied(t, host, stepList{script(t, "one", "true")}); exit != 0 {
				t.Fatal(rec.dump())
			}
			if !host.exists(".provision/run/run-read/out.1.1") || host.exists(".provision/run/run-alone") || host.exists(".provision/run/run-idle") {
				left, _ := filepath.Glob(host.path(".provision/run/*"))
				t.Errorf("left: %q", left)
			}
		})
	}
}
