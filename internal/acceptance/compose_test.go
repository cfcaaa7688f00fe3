//go:build acceptance

package acceptance

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"provision/internal/testhost"
)

// A composition is a compose project of this machine, and its host.
type composition struct {
	*book
	name string
}

// newProject writes a playbook with one compose step: files are pairs of a name and a content.
func newProject(t *testing.T, name, args string, files ...string) *composition {
	t.Helper()
	h := testhost.Debian(t, testhost.Compose())
	h.Run(t, "docker ps -aq | xargs -r docker rm -f >/dev/null; docker network prune -f >/dev/null; rm -rf /srv/* /var/lib/provision/compose")
	p := &composition{newBook(t, h, ""), name}
	p.args(args)
	p.files(files...)
	return p
}

func (p *composition) args(args string) {
	p.t.Helper()
	p.steps(fmt.Sprintf("step \"compose\" \"p\" {\n  source = \"app\"\n  dir = \"/srv/%s\"\n%s\n}\n", p.name, args))
}

func (p *composition) files(pairs ...string) {
	p.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		p.write("app/"+pairs[i], pairs[i+1])
		if err := os.Chmod(p.path("app/"+pairs[i]), 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
}

// planned fails the test unless a plan has changes in which all of these texts are.
func (p *composition) planned(texts ...string) {
	p.t.Helper()
	o := p.plan()
	if o.exit != 2 {
		p.t.Fatalf("plan: exit %d, want 2 for changes\n%s", o.exit, o.dump())
	}
	for _, text := range texts {
		if !strings.Contains(o.stdout, text) {
			p.t.Errorf("the plan does not say %q\n%s", text, o.dump())
		}
	}
}

// failed applies and fails the test unless that fails with this text.
func (p *composition) failed(text string) {
	p.t.Helper()
	if o := p.apply(); o.exit != 1 || !strings.Contains(o.stdout+o.stderr, text) {
		p.t.Fatalf("apply: exit %d, want 1 and %q\n%s", o.exit, text, o.dump())
	}
}

// sees fails the test unless sh in the container of a service prints a text.
func (p *composition) sees(service, script, want string) {
	p.t.Helper()
	got := p.host.Run(p.t, fmt.Sprintf("docker exec $(docker ps -q --filter label=com.docker.compose.project=%s --filter label=com.docker.compose.service=%s) sh -c '%s'", p.name, service, script))
	if got != want {
		p.t.Errorf("%s in %s prints %q, want %q", script, service, got, want)
	}
}

// composeTurns are the long tests of projects, of which each run takes two.
var composeTurns = []string{"owes", "fields", "sees", "travels"}

// TestComposeOwesWhatFailed changes a file whose image cannot be built: however often it is applied, the plan tells what is owed,
// until it has been built and runs. The build sees the files of the project and no others.
func TestComposeOwesWhatFailed(t *testing.T) {
	takesTurn(t, "owes", composeTurns...)
	for _, rollback := range []string{"", "rollback = true"} {
		p := newProject(t, "owed", rollback, "compose.yaml", `services:
  web:
    build: .
    init: true
    command: ["sleep", "100000"]
`, "Dockerfile", "FROM test/busybox\nCOPY . /app\n", "release", "1")
		p.applied()
		p.converged()
		p.sees("web", "ls -A /app; cat /app/release", "Dockerfile\ncompose.yaml\nrelease\n1")

		p.files("Dockerfile", "FROM test/later\nCOPY . /app\n", "release", "2")
		p.planned("release")
		p.failed("did not come up")
		if rollback == "" {
			p.planned("its images are not built yet")
			p.failed("did not come up")
		}
		p.planned()
		p.sees("web", "cat /app/release", "1")
		p.host.Run(t, "docker tag test/busybox test/later")
		p.applied()
		p.converged()
		p.sees("web", "cat /app/release", "2")
		p.host.Run(t, "docker rmi test/later; [ -z \"$(ls -d /var/lib/provision/compose/*.owed /srv/owed/.provision* 2>/dev/null)\" ]")

		// A program that was killed while it received files has left some.
		p.host.Run(t, "mkdir /srv/owed/.provision-sync.abcdef; echo x >/srv/owed/.provision-sync.abcdef/x")
		p.files("Dockerfile", "FROM test/busybox\nCOPY . /app\n")
		p.applied()
		p.converged()
		p.sees("web", "ls -A /app", "Dockerfile\ncompose.yaml\nrelease\n")
	}
}

// TestComposeJudgesWhatRuns brings up services whose hash compose cannot tell twice alike, and goes through what may happen to them.
func TestComposeJudgesWhatRuns(t *testing.T) {
	compose := `name: ${N:-judged}
services:
  web:
    image: test/busybox
    init: true
    environment: { COLOUR: "${COLOUR:-red}" }
    label_file: labels
    secrets: [token]
    configs: [{ source: motd, target: /motd }]
    volumes: ["./conf.d:/conf.d:ro", "own:/own"]
    stop_grace_period: ${GRACE:-2s}
    ports: ["${PORT:-8000}:80"]
  trap:
    image: test/busybox
    ipc: shareable
    command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]
  three: { image: test/busybox, init: true, scale: 3 }
  side: { image: test/busybox, init: true, network_mode: "service:web", pid: "service:web", ipc: "service:trap" }
  from: { image: test/busybox, init: true, volumes_from: [web], memswap_limit: -1 }
  zero: { image: test/busybox, scale: 0 }
  none: { image: test/busybox, deploy: { replicas: 0 } }
  once: { image: test/busybox, command: ["true"] }
  job: { image: test/busybox, command: ["sleep", "8"], init: true, restart: "no" }
secrets: { token: { environment: TOKEN } }
configs: { motd: { content: "hello ${NAME:-you}" } }
volumes: { own: {} }
`
	p := newProject(t, "judged", "", "compose.yaml", compose, "labels", "a=b\n", "conf.d/a.conf", "1\n", ".env", "TOKEN=hunter1\n")
	settled := func() {
		t.Helper()
		p.applied()
		p.converged()
	}
	settled()
	p.sees("web", "cat /motd /run/secrets/token", "hello youhunter1")
	p.host.Run(t, "sleep 8")
	p.converged() // the job has ended

	for _, change := range []struct {
		what  func()
		plan  string
		where string // service and script, see sees
		want  string
	}{
		{func() { p.files(".env", "TOKEN=hunter2\nNAME=me\n") }, "", "cat /run/secrets/token /motd", "hunter2hello me"},
		{func() { p.files("conf.d/a.conf", "2\n") }, "conf.d/a.conf", "cat /conf.d/a.conf", "2\n"},
		{func() { p.files(".env", "TOKEN=hunter2\nNAME=me\nCOLOUR=blue\n") }, "", "echo $COLOUR", "blue\n"},
		{func() { p.host.Run(t, "docker stop judged-trap-1; docker rm -f judged-three-1 judged-three-3") }, "1 containers", "true", ""},
	} {
		change.what()
		p.planned(change.plan)
		settled()
		p.sees("web", change.where, change.want)
	}
	p.args("state = \"stopped\"")
	settled()
	if got := p.host.Run(t, "docker ps -q"); got != "" {
		t.Errorf("it runs on: %s", got)
	}
	p.args("")
	p.planned("started")
	settled()
	p.host.Run(t, "sleep 8") // the job runs once more
	if got := p.host.Run(t, "docker ps --format '{{.Label \"com.docker.compose.service\"}}' | sort | uniq -c | tr -s ' \\n' ' '"); got != " 1 from 1 side 3 three 1 trap 1 web " {
		t.Errorf("these run: %s", got)
	}
	if got := p.host.Run(t, "docker ps -aq | wc -l; grep -rlE 'hunter|hello|blue' /var/lib/provision /run/provision || :"); got != "9\n" {
		t.Errorf("containers, and files with secrets: %s", got)
	}
	p.host.Run(t, "docker events --format '{{json .}}' >/tmp/events 2>&1 & sleep 1")
	p.converged()
	p.host.Run(t, "sleep 1; [ ! -s /tmp/events ] || { cat /tmp/events >&2; exit 1; }")
}
