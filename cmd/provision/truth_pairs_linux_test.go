package main

import (
	"fmt"
	"os"
	"regexp"
	"sync"
	"testing"

	"provision/internal/truth"
)

// truthPairs is how many of the pairs TestTruthPairs plays where PROVISION_TRUTH_PAIRS does not ask for all of them.
const truthPairs = 120

// TestTruthPairs plays pairs of steps about one place, and compares what the plan of both says of the second with the plan of it alone
// once the first has been applied.
func TestTruthPairs(t *testing.T) {
	if dir := os.Getenv(truthWorker); dir != "" {
		playPairs(t, dir)
		return
	}
	needNamespaces(t)
	const workers = 2
	var wg sync.WaitGroup
	for n := range workers {
		dir := t.TempDir()
		wg.Go(func() {
			cmd := truthProcess(dir, "-test.run=^TestTruthPairs$", "-test.timeout=0", "-test.v")
			cmd.Env = append(cmd.Env, fmt.Sprintf("PROVISION_TRUTH_WORKERS=%d/%d", n, workers))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("worker %d: %v\n%s", n, err, out)
			}
		})
	}
	wg.Wait()
}

func playPairs(t *testing.T, dir string) {
	lab := truthLab(t, dir)
	var n, workers int
	if _, err := fmt.Sscanf(os.Getenv("PROVISION_TRUTH_WORKERS"), "%d/%d", &n, &workers); err != nil {
		t.Fatal(err)
	}
	pairs := truth.Pairs()
	wanted := os.Getenv("PROVISION_TRUTH_PAIRS")
	every := max(1, len(pairs)/truthPairs)
	if wanted != "" {
		every = 1
	}
	named := regexp.MustCompile(wanted)
	// A step of another size than that of the list comes to all of it.
	for i, p := range pairs {
		if i%workers != n || wanted == "" && (i*7919)%len(pairs)%every != 0 || wanted != "all" && !named.MatchString(p.String()) {
			continue
		}
		why, err := truth.CheckPair(lab, inProcess(t, dir), p)
		switch {
		case err != nil:
			t.Errorf("%s: %v", p, err)
		case why != "":
			t.Error(why)
		}
	}
}
