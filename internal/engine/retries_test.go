package engine

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"
)

// Each way to fail has the same number of tries: by its status, by its time, and by what it does not bring about.
func TestEveryFailureIsRetried(t *testing.T) {
	for name, shell := range shells(t) {
		for kind, text := range map[string]string{
			"status":    `exit 3`,
			"timeout":   `sleep 60`,
			"converges": `true`,
		} {
			for tries, want := range map[int]string{2: "step.command.x changed", 5: ""} {
				if want == "" && name != "dash" {
					continue // one shell is enough to see that the tries end
				}
				t.Run(fmt.Sprint(name, " ", kind, " ", tries), func(t *testing.T) {
					t.Parallel() // most of it is waiting
					host := newLocalHost(t, shell...)
					// It succeeds in the third try.
					in := step(t, "command", "x", map[string]cty.Value{
						"script":  str(`echo try >>` + host.path("tries") + `; if [ "$(wc -l <` + host.path("tries") + `)" -ge ` + string(rune('1'+tries)) + ` ]; then touch ` + host.path("made") + `; else ` + text + `; fi`),
						"creates": str(host.path("made")),
					})
					in.Retries = 2
					if kind == "timeout" {
						in.Timeout = 1
					}
					exit, rec := applied(t, host, stepList{in})
					if want != "" {
						if diff := cmp.Diff([]string{want}, rec.verdicts()); diff != "" || exit != 0 {
							t.Errorf("%s, %s: status %d %s\n%s", name, kind, exit, diff, rec.dump())
						}
					} else if exit != 1 {
						t.Errorf("%s, %s: status %d though no try succeeds\n%s", name, kind, exit, rec.dump())
					}
					if n := strings.Count(host.read("tries"), "try"); n != 3 {
						t.Errorf("%s, %s: %d tries, want 3\n%s", name, kind, n, rec.dump())
					}
					host.tidy()
				})
			}
		}
	}
}
