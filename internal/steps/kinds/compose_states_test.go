package kinds

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/shell"
)

// TestComposeStates turns what docker and compose say, and what was noted, into the state of each service, in every shell.
func TestComposeStates(t *testing.T) {
	hashes := "cache h1\ndb h2\njob h3\nnew h4\nnginx h5\nweb h6\nworker h7\nside h9\nmigrate h10\ncron h11\nfew h12"
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
		"i side hy running - 0 no 0 sha256:7 side False",     // another hash, but what it was brought up with
		"j migrate h10 exited - 0 no 0 sha256:7 side False",  // seen running, but it is a job
		"k cron h11 exited - 0 no 0 sha256:7 side False",     // seen running
		"l halted h13 exited - 137 no 0 sha256:7 side False", // stopped by us
		"m ports h14 exited - 0 no 0 sha256:7 side False",
		"n conf h15 running - 0 no 0 sha256:7 side False",
		"o fresh hz running - 0 no 0 sha256:7 side False", // of another label than it was brought up with
		"p few h12 running - 0 no 0 sha256:7 side False",
	}, "\n")
	images := "postgres:15 sha256:newer\nnginx sha256:4\nredis sha256:1"
	var facts strings.Builder
	for _, s := range strings.Fields("cache db job new nginx web worker side migrate cron few halted ports conf fresh off") {
		facts.WriteString("services " + s + "\nscale " + s + " 1\n")
	}
	facts.WriteString(`scale web 2
scale few 3
scale off 0
shares side web
job migrate
serves ports
running migrate
running cron
halted halted
sum side S1	I1
now side S1	I1
label side hy
sum conf S2	I2
now conf S2	I3
label conf h15
sum fresh S3	I3
now fresh S3	I3
label fresh h0
part web environment.A	S4
`)
	want := `cause db postgres:15 2, now newer
count few 1 3
orphan gone
service cache up
service conf inside
service cron stopped
service db image
service few up
service fresh changed
service halted stopped
service job done
service migrate done
service new absent
service nginx unhealthy
service off none
service ports stopped
service side up
service web stopped
service worker starting
shares side web
`
	waiting := `service cache up
service conf up
service cron done
service db up
service few up
service fresh up
service gone up
service halted failed
service job done
service migrate done
service nginx unhealthy
service ports done
service side up
service web stopped
service worker starting
`
	for _, sh := range availableShells(t, "") {
		t.Run(strings.Join(sh, " "), func(t *testing.T) {
			h := &host{shell: sh, work: filepath.Join(t.TempDir(), "work")}
			h.work = t.TempDir()
			for _, c := range []struct{ hashes, facts, want string }{{hashes + "\nhalted h13\nports h14\nconf h15", facts.String(), want}, {"", "", waiting}} {
				r := h.fragment(t, shell.Strip(composeScriptSource)+"compose_states "+shell.Words(c.hashes, containers, images, c.facts), nil, nil, false)
				if d := cmp.Diff(c.want, r.stdout); d != "" || r.exit != 0 {
					t.Errorf("exit %d %s\n%s", r.exit, r.stderr, d)
				}
			}
		})
	}
}
