package kinds

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/shell"
)

// TestComposeStates turns what docker and compose say into the state of each service, in every shell.
func TestComposeStates(t *testing.T) {
	hashes := "cache h1\ndb h2\njob h3\nnew h4\nnginx h5\nweb h6\nworker h7"
	containers := strings.Join([]string{
		// id, service, hash, status, health, exit, restart policy, restarts, image id, image, oneoff
		"a cache h1 running healthy 0 always 0 sha256:1 redis False",
		"b db h2 running - 0 no 0 sha256:2 postgres:15 False",
		"c job h3 exited - 0 no 0 sha256:3 job False",
		"d nginx hx running unhealthy 0 always 0 sha256:4 nginx False",
		"e web h6 running - 0 unless-stopped 0 sha256:5 web False",
		"f web h6 exited - 0 unless-stopped 0 sha256:5 web False",
		"g worker h7 running starting 0 always 0 sha256:6 worker False",
		"h gone h8 running - 0 no 0 sha256:7 gone False",
	}, "\n")
	images := "postgres:15 sha256:newer\nnginx sha256:4\nredis sha256:1"
	want := `orphan gone
service cache up
service db image
service job done
service new absent
service nginx unhealthy
service web stopped
service worker starting
`
	waiting := `service cache up
service db up
service gone up
service job done
service nginx unhealthy
service web stopped
service worker starting
`
	for _, sh := range availableShells(t, "") {
		t.Run(strings.Join(sh, " "), func(t *testing.T) {
			h := &host{shell: sh, work: filepath.Join(t.TempDir(), "work")}
			h.work = t.TempDir()
			for hashes, want := range map[string]string{hashes: want, "": waiting} {
				r := h.fragment(t, composeScript+"compose_states "+shell.Words(hashes, containers, images), nil, nil, false)
				if d := cmp.Diff(want, r.stdout); d != "" || r.exit != 0 {
					t.Errorf("exit %d %s\n%s", r.exit, r.stderr, d)
				}
			}
		})
	}
}
