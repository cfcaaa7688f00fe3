package engine

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kinds"
)

// A ledger is a listener that notes how much of a step's output had come when its end was told.
type ledger struct {
	out  map[int]*[2]strings.Builder
	ends []string
}

func (l *ledger) record(r record) error {
	if r.kind == "end" {
		out := l.of(r.number)
		l.ends = append(l.ends, fmt.Sprintf("%d %s %q %q %v", r.number, r.verdict, out[0].String(), out[1].String(), r.lost))
	}
	return nil
}

func (l *ledger) output(number, stream int, text []byte) { l.of(number)[stream-1].Write(text) }

func (l *ledger) of(number int) *[2]strings.Builder {
	if l.out == nil {
		l.out = map[int]*[2]strings.Builder{}
	}
	if l.out[number] == nil {
		l.out[number] = &[2]strings.Builder{}
	}
	return l.out[number]
}

// The program goes on while the host looks at what it has written. Here it does so between any two of the looks' commands, and
// by any number of its writes: however they fall, no step may be judged before its output is there.
func TestNoEndOvertakesItsOutput(t *testing.T) {
	var writes, want []string
	for n := 1; n <= 6; n++ {
		stdout, stderr := fmt.Sprintf("out%d\n", n), fmt.Sprintf("err%d\n", n)
		writes = append(writes,
			fmt.Sprintf(`printf '%d\n' >"$DIR/number"`, n),
			fmt.Sprintf(`printf 'begin %d step.command.c%d\n' >>"$FOLLOW_JOURNAL"`, n, n),
			fmt.Sprintf(`printf %s >>"$DIR/out.%d.1"`, shell.Quote(stdout), n),
			fmt.Sprintf(`printf %s >>"$DIR/out.%d.2"`, shell.Quote(stderr), n),
			fmt.Sprintf(`printf 'end %d failed 1 1-2 %d %d 0\n\n' >>"$FOLLOW_JOURNAL"`, n, len(stdout), len(stderr)))
		want = append(want, fmt.Sprintf("%d failed %q %q false", n, stdout, stderr))
	}
	writes = append(writes, `printf 'done failed\n' >>"$FOLLOW_JOURNAL"`, `: >"$DIR/done"`)
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			for seed := range uint64(12) {
				random := rand.New(rand.NewPCG(seed, 7))
				var steps strings.Builder
				for i, w := range writes {
					fmt.Fprintf(&steps, "%d) %s ;;\n", i, w)
				}
				var pace strings.Builder // how many writes the program makes at each opportunity
				for range 400 {
					fmt.Fprintf(&pace, " %d", random.IntN(5)*random.IntN(3))
				}
				script := `DIR=$RUN/run-x; rm -rf "$DIR"; mkdir -p "$STATE" "$DIR"; printf '%s 0 b program\n' "$$" >"$DIR/pid"; rm -f "$STATE/journal.x"
AT_WRITE=0
pace='` + pace.String() + ` '
write() { case $1 in
` + steps.String() + `esac; }
advance() {
	pace=${pace# }; advance_by=${pace%% *}; pace=${pace#* }
	while [ "${advance_by:-5}" -gt 0 ]; do write "$AT_WRITE"; AT_WRITE=$((AT_WRITE+1)); advance_by=$((${advance_by:-5}-1)); done
}
sleep() { advance; }
follow_alive() { :; }
size() { advance; SIZE=0; [ ! -s "$1" ] || SIZE=$(command wc -c <"$1"); SIZE=$((SIZE)); advance; }
eval "$(printf '%s\n' "$FRAMES" | sed 's/^frames()/real_frames()/')"
frames() { advance; real_frames "$@"; advance; }
follow x "$DIR" 0 0 0 0
mark 0 0
`
				session := openLocal(t, host)
				var b strings.Builder
				session.library(&b)
				at := strings.Index(followText(), "frames() {")
				end := strings.Index(followText()[at:], "\n}\n")
				fmt.Fprintf(&b, "%sFRAMES=%s\n%s", followText(), shell.Quote(followText()[at:at+end+2]), script)
				l := &ledger{}
				err := session.followed(t.Context(), b.String(), &position{}, l)
				session.Close()
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if got := strings.Join(l.ends, "\n"); got != strings.Join(want, "\n") {
					t.Fatalf("seed %d:\n%s\nwant\n%s", seed, got, strings.Join(want, "\n"))
				}
			}
		})
	}
}

func openLocal(t *testing.T, host *localHost) *Session {
	t.Helper()
	conn, err := host.Dial(t.Context(), "web1")
	if err != nil {
		t.Fatal(err)
	}
	session, err := OpenSession(t.Context(), conn, Become{})
	if err != nil {
		t.Fatal(err)
	}
	return session
}

// An end that comes before its output waits for it, over any number of connections; what never comes is told as lost.
func TestAnEndWaitsForItsOutput(t *testing.T) {
	frame := func(kind string, number, stream, from int, body string) string {
		return fmt.Sprintf("provision-0123 %s %d %d %d %d\n%s", kind, number, stream, from, len(body), body)
	}
	follow := func(pos *position, to listener, text string) error {
		s := floodSession(strings.NewReader(text))
		s.nonce = "provision-0123"
		return s.followed(t.Context(), "", pos, to)
	}
	pos, l := &position{}, &ledger{}
	err := follow(pos, l, frame("journal", 0, 0, 0, "begin 1 a\nend 1 changed 0 1-2 5 3 0\n\nbegin 2 b\nend 2 changed 0 1-2 4 0 0\n\ndone ok\n")+frame("out", 1, 1, 0, "12"))
	if err == nil || len(l.ends) > 0 {
		t.Fatalf("%v %q", err, l.ends)
	}
	err = follow(pos, l, frame("out", 1, 1, 2, "345")+frame("out", 1, 2, 0, "abc")+frame("out", 2, 1, 0, "no")+"provision-0123 done 0 0 0 0\nprovision-0123 0 0\n")
	want := `[1 changed "12345" "abc" false 2 changed "no" "" true]`
	if got := fmt.Sprint(l.ends); err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

// The end of a program that was told over one link is not forgotten on the next.
func TestAnEndThatCameBeforeTheLinkWasLost(t *testing.T) {
	pos, l := &position{}, &ledger{}
	journal := "begin 1 a\nend 1 changed 0 1-2 0 0 0\n\ndone ok\n"
	for i, text := range []string{
		fmt.Sprintf("provision-0123 journal 0 0 0 %d\n%s", len(journal), journal), // and nothing more
		"provision-0123 0 0\n",
	} {
		s := floodSession(strings.NewReader(text))
		s.nonce = "provision-0123"
		if err := s.followed(t.Context(), "", pos, l); (err == nil) != (i == 1) {
			t.Errorf("link %d: %v", i+1, err)
		}
	}
	if want := `[1 changed "" "" false]`; fmt.Sprint(l.ends) != want {
		t.Errorf("%s, want %s", l.ends, want)
	}
}

// joined is a source of commands whose output a later file joins.
type joined struct {
	t    *testing.T
	list []steps.Instance
	path string
}

func (j joined) Steps(_ *steps.Facts, results map[string]cty.Value) ([]steps.Instance, hcl.Diagnostics) {
	list := append([]steps.Instance(nil), j.list...)
	text := ""
	var waits []string
	for _, in := range j.list {
		if r, ok := results[in.Addr]; ok {
			text += r.GetAttr("stdout").AsString() + "\n"
		} else {
			waits = append(waits, in.Addr)
		}
	}
	file := steps.Instance{Addr: "step.file.joined", Kind: kinds.Find("file"), Waits: waits}
	if len(waits) == 0 {
		file = step(j.t, "file", "joined", map[string]cty.Value{"path": str(j.path), "content": str(text)})
	}
	return append(list, file), nil
}

// Ten quick commands, what they print joined in a later file, on a host that is busy with other things.
func TestOutputsArriveOnABusyHost(t *testing.T) {
	for range 4 {
		hog := exec.Command("/bin/sh", "-c", "while :; do :; done")
		if err := hog.Start(); err != nil {
			t.Fatal(err)
		}
		stop := time.AfterFunc(30*time.Second, func() { _ = hog.Process.Kill() })
		t.Cleanup(func() { stop.Stop(); _ = hog.Process.Kill(); _ = hog.Wait() })
	}
	want := ""
	for n := range 10 {
		want += fmt.Sprintf("value %d\n", n)
	}
	for range 4 {
		host := newLocalHost(t)
		source := joined{t: t, path: host.path("joined")}
		for n := range 10 {
			source.list = append(source.list, script(t, fmt.Sprintf("c%d", n), fmt.Sprintf("echo value %d", n)))
		}
		exit, rec := applied(t, host, source)
		if exit != 0 {
			t.Fatalf("exit %d\n%s", exit, rec.dump())
		}
		if got, _ := os.ReadFile(host.path("joined")); string(got) != want {
			t.Errorf("status 0, and the file holds %q", got)
		}
	}
}

// The reason of a failure that comes late on the other stream is not lost.
func TestStandardErrorThatComesLate(t *testing.T) {
	s := floodSession(strings.NewReader("state\n\nprovision-0123 0 1\n"))
	s.nonce = "provision-0123"
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.stderr = readStderr(r, s.nonce)
	time.AfterFunc(2500*time.Millisecond, func() {
		_, _ = w.WriteString("the reason\nprovision-0123 0\n")
		w.Close()
	})
	answers, err := s.Ask(t.Context(), "", []Fragment{{Text: "x"}})
	if err != nil || answers[0].Stderr != "the reason\n" {
		t.Errorf("%v %+v", err, answers)
	}
}

// sshd closes a channel that is silent for its ChannelTimeout, so that a step that prints nothing must not make it so.
func TestAFollowedProgramIsNeverSilentForLong(t *testing.T) {
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session := openLocal(t, newLocalHost(t, sh...))
			defer session.Close()
			var b strings.Builder
			session.library(&b)
			b.WriteString(followText())
			b.WriteString(`DIR=$RUN/run-x; mkdir -p "$STATE" "$DIR"; printf '%s 0\n' "$$" >"$DIR/pid"; : >"$STATE/journal.x"
follow_alive() { :; }
(sleep 4; printf 'done ok\n' >>"$STATE/journal.x"; : >"$DIR/done") &
follow x "$DIR" 0 0 0 0
mark 0 0
`)
			times := &readTimes{}
			session.stdout = bufio.NewReader(io.TeeReader(session.stdout, times))
			times.last = time.Now()
			if err := session.followed(t.Context(), b.String(), &position{}, &ledger{}); err != nil {
				t.Fatal(err)
			}
			if times.longest > 2500*time.Millisecond {
				t.Errorf("nothing came for %s", times.longest)
			}
		})
	}
}

// readTimes notes the longest time between two reads.
type readTimes struct {
	last    time.Time
	longest time.Duration
}

func (r *readTimes) Write(p []byte) (int, error) {
	r.longest, r.last = max(r.longest, time.Since(r.last)), time.Now()
	return len(p), nil
}
