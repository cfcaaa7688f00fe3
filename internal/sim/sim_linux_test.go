package sim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
)

// worker is set in the processes that TestSimulation starts, to the directory that they work in.
const worker = "PROVISION_SIM_WORKER"

// workerTask tells them what to do there.
const workerTask = "PROVISION_SIM_TASK"

// process is a test of this package once more, in namespaces of its own: TestSimulation with a task, or another that is named.
func process(dir, task string) *exec.Cmd { return processOf("/proc/self/exe", dir, task) }

// processOf is the same with another build of this test.
func processOf(exe, dir, task string) *exec.Cmd {
	test := "TestSimulation"
	if strings.HasPrefix(task, "Test") {
		test = task
	}
	cmd := exec.Command(exe, "-test.run=^"+test+"$", "-test.timeout=0", "-test.v", fmt.Sprint("-test.short=", testing.Short()))
	cmd.Env = append(os.Environ(), worker+"="+dir, workerTask+"="+task)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

// need skips where hosts cannot be made, unless PROVISION_CI=1 says that they must.
func need(t *testing.T) {
	err := errors.New("it needs root")
	if os.Getuid() == 0 {
		var out []byte
		if out, err = process(t.TempDir(), "TestLab").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	for _, shell := range []string{"/usr/bin/dash", "/usr/bin/bash", "/usr/bin/busybox", "/usr/bin/flock"} {
		if _, missing := os.Stat(shell); missing != nil && err == nil {
			err = missing
		}
	}
	switch {
	case err != nil && os.Getenv("PROVISION_CI") == "1":
		t.Fatalf("PROVISION_CI=1 and no hosts can be simulated: %v", err)
	case err != nil:
		t.Skipf("NOT TESTED, no hosts can be simulated here: %v", err)
	}
}

// TestLab tells a parent whether hosts can be made.
func TestLab(t *testing.T) {
	dir := os.Getenv(worker)
	if dir == "" {
		t.Skip("it is for the process that asks")
	}
	if _, err := NewLab(dir); err != nil {
		t.Fatal(err)
	}
}

func setting(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s is no number of at least 1", name, text)
	}
	return n
}

// A result is what a worker tells of one scene.
type result struct {
	Seed   uint64
	Faults []string
	Story  string // where it was asked for
	CPU    int64  // milliseconds, of the worker and its hosts
}

// TestSimulation plays scenes drawn at random; see docs/testing.md.
func TestSimulation(t *testing.T) {
	if dir := os.Getenv(worker); dir != "" {
		simulate(t, dir)
		return
	}
	need(t)
	seeds, workers, limit := setting(t, "PROVISION_SIM_SEEDS", 300), setting(t, "PROVISION_SIM_WORKERS", 2), 60
	switch {
	case os.Getenv("PROVISION_SIM_SEEDS") != "":
		limit = 0
	case testing.Short():
		limit = 10
	}
	first := setting(t, "PROVISION_SIM_FIRST", 1)
	if seed := setting(t, "PROVISION_SIM_SEED", 0); seed > 0 {
		first, seeds, workers = seed, 1, 1
	}
	found, played := survey(t, "/proc/self/exe", uint64(first), uint64(seeds), workers, limit, "")
	var names []string
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f := found[name]
		t.Logf("%s: in %d of %d scenes, first with seed %d: %s", name, len(f.seeds), played, f.seeds[0], f.first)
		if known[name] {
			continue
		}
		if os.Getenv("PROVISION_SIM_SHRINK") == "0" {
			t.Fail()
			continue
		}
		t.Errorf("%s: in %d of %d scenes. PROVISION_SIM_SEED=%d plays the first again.\n%s", name, len(f.seeds), played, f.seeds[0], shrunk(t, f.seeds[0], name))
	}
	t.Logf("%d scenes", played)
}

type finding struct {
	seeds []uint64
	first string
}

// survey plays the scenes of seeds, those with a kind of trouble if one is named, and gathers what was found, by name.
func survey(t *testing.T, exe string, first, seeds uint64, workers, limit int, trouble string) (map[string]*finding, int) {
	var mu sync.Mutex
	found, played := map[string]*finding{}, 0
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			for seed := first + uint64(n); seed < first+seeds; {
				dir := t.TempDir()
				out, err := processOf(exe, dir, fmt.Sprintf("seeds=%d %d %d %d %s", seed, first+seeds, workers, limit/workers, cmp.Or(trouble, "any"))).CombinedOutput()
				results := read(t, dir)
				mu.Lock()
				played += len(results)
				last := seed
				for _, r := range results {
					last = r.Seed + uint64(workers)
					for _, f := range r.Faults {
						name, _, _ := strings.Cut(f, ":")
						if found[name] == nil {
							found[name] = &finding{first: f}
						}
						if s := &found[name].seeds; !slices.Contains(*s, r.Seed) {
							*s = append(*s, r.Seed)
						}
					}
				}
				if err != nil {
					// It died in the scene after the last that it told.
					if found["crash"] == nil {
						found["crash"] = &finding{first: crash(string(out))}
					}
					found["crash"].seeds = append(found["crash"].seeds, last)
					last += uint64(workers)
					played++
				}
				mu.Unlock()
				if err == nil {
					return
				}
				seed = last
			}
		})
	}
	wg.Wait()
	for _, f := range found {
		slices.Sort(f.seeds)
	}
	return found, played
}

// crash is what is worth telling of the output of a process that died.
func crash(out string) string {
	if at := strings.Index(out, "panic:"); at >= 0 {
		out = out[at:]
	} else if at := strings.Index(out, "fatal error:"); at >= 0 {
		out = out[at:]
	}
	return out[:min(len(out), 3000)]
}

func read(t *testing.T, dir string) []result {
	data, err := os.ReadFile(filepath.Join(dir + ".results"))
	if err != nil {
		return nil
	}
	var list []result
	for line := range strings.Lines(string(data)) {
		var r result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Error(err)
		}
		list = append(list, r)
	}
	return list
}

// shrunk makes the scene of a seed as simple as it can be without losing what was found, and tells its story.
func shrunk(t *testing.T, seed uint64, name string) string {
	dir := t.TempDir()
	out, err := process(dir, fmt.Sprintf("shrink=%d %s", seed, name)).CombinedOutput()
	results := read(t, dir)
	if err != nil || len(results) != 1 {
		return fmt.Sprintf("%v\n%s\n%s", err, Draw(seed), crash(string(out)))
	}
	return results[0].Story
}

// simulate plays scenes in a process of its own.
func simulate(t *testing.T, dir string) {
	lab, work := newTestLab(t, dir)
	f, err := os.OpenFile(dir+".results", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tell := func(r result) {
		data, err := json.Marshal(r)
		if err == nil {
			_, err = f.Write(append(data, '\n'))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	task := os.Getenv(workerTask)
	if rest, yes := strings.CutPrefix(task, "shrink="); yes {
		number, name, _ := strings.Cut(rest, " ")
		seed, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		tell(result{Seed: seed, Story: shrink(t, lab, Draw(seed), work, name)})
		return
	}
	var from, to, step uint64
	var limit int64
	var trouble string
	if _, err := fmt.Sscanf(task, "seeds=%d %d %d %d %s", &from, &to, &step, &limit, &trouble); err != nil {
		t.Fatal(task, err)
	}
	trouble = strings.TrimPrefix(trouble, "any")
	for seed := from; seed < to; seed += step {
		before := cpu()
		if limit > 0 && before > limit*1000 {
			break
		}
		scene := Draw(seed)
		if !scene.with(trouble) {
			continue
		}
		v := verdict(t, lab, scene, work)
		if stories := os.Getenv("PROVISION_SIM_STORIES"); stories != "" && len(v.Faults) > 0 {
			text := strings.Join(v.Faults, "\n") + "\n" + v.Story
			if err := os.WriteFile(filepath.Join(stories, strconv.FormatUint(seed, 10)), []byte(text), 0o644); err != nil {
				t.Error(err)
			}
		}
		tell(result{Seed: seed, Faults: v.Faults, CPU: cpu() - before})
	}
}

// cpu is the time of the processor that this process and its children have had, in milliseconds.
func cpu() int64 {
	var all int64
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		_ = syscall.Getrusage(who, &u)
		all += u.Utime.Nano() + u.Stime.Nano()
	}
	return all / 1e6
}

// shrink makes a scene simpler for as long as something of a name is found in it.
func shrink(t *testing.T, lab *Lab, s *Scene, work, name string) string {
	has := func(v *Verdict) bool {
		return slices.ContainsFunc(v.Faults, func(f string) bool { return strings.HasPrefix(f, name+":") })
	}
	best := verdict(t, lab, s, work)
	if !has(best) {
		return "played again, it was not found:\n" + best.Story
	}
	end := now() + 30e9
	for again := true; again; {
		again = false
		for _, c := range s.simpler() {
			if now() > end {
				break
			}
			if v := verdict(t, lab, c, work); has(v) {
				s, best, again = c, v, true
				break
			}
		}
	}
	return strings.Join(best.Faults, "\n") + "\n" + best.Story
}

// verdict plays a scene in a bubble.
func verdict(t *testing.T, lab *Lab, s *Scene, work string) *Verdict {
	pb, host, err := s.load(work)
	if err != nil {
		t.Fatalf("%v\n%s", err, s.Text())
	}
	var v *Verdict
	synctest.Test(t, func(t *testing.T) {
		v, err = lab.play(s, pb, host)
		if err != nil {
			t.Fatal(err)
		}
	})
	return v
}

// TestUndisturbed plays all steps with nothing going wrong.
func TestUndisturbed(t *testing.T) {
	dir := os.Getenv(worker)
	if dir == "" {
		need(t)
		if out, err := process(t.TempDir(), "TestUndisturbed").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		} else if testing.Verbose() {
			t.Logf("%s", out)
		}
		return
	}
	lab, work := newTestLab(t, dir)
	for _, shell := range []string{"/usr/bin/dash", "/usr/bin/bash", "/usr/bin/busybox"} {
		s := &Scene{Shell: shell, Runs: []Trouble{{}}}
		for i := range parts {
			s.Parts = append(s.Parts, i)
		}
		began := now()
		v := verdict(t, lab, s, work)
		if len(v.Faults) > 0 {
			t.Errorf("%s\n%s", strings.Join(v.Faults, "\n"), v.Story)
		}
		var self, children syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &self)
		_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children)
		t.Logf("%s: %d ms, self %d+%d children %d+%d", shell, (now()-began)/1e6, self.Utime.Nano()/1e6, self.Stime.Nano()/1e6, children.Utime.Nano()/1e6, children.Stime.Nano()/1e6)
		if testing.Verbose() {
			t.Log(v.Story)
		}
	}
}
