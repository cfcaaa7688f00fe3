//go:build acceptance

package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// beside is a project with a proxy that finds its servers by itself, as services that are updated start-first need one.
const beside = `services:
  proxy:
    image: test/haproxy
    command: [haproxy, -W, -f, /proxy.cfg]
    ports: ["8000:80"]
    volumes: ["./proxy.cfg:/proxy.cfg:ro"]
    stop_grace_period: 1s
  app:
    build: .
    command: [/app, serve]
    scale: 2
    restart: always
    depends_on: { migrate: { condition: service_completed_successfully }, db: { condition: service_started } }
    healthcheck: { test: [CMD, /app, check], interval: 1s, retries: 60 }
    stop_grace_period: 20s
    labels: { of: RELEASE }
  migrate: { build: ., command: [/app, migrate], restart: "no" }
  db: { image: test/busybox, init: true, volumes: ["data:/data"] }
  worker: { image: test/busybox, init: true, labels: { of: RELEASE }, stop_grace_period: 1s, depends_on: { app: { condition: service_started, restart: true } } }
volumes: { data: {} }
`

const besideProxy = `global
  master-worker
  log stdout format raw local0 notice
defaults
  log global
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
  retries 3
  option redispatch
resolvers docker
  nameserver docker 127.0.0.11:53
  timeout resolve 300ms
  hold valid 300ms
  hold obsolete 0s
frontend all
  bind :80
  default_backend app
backend app
  option httpchk GET /health
  server-template app 8 app:80 check inter 300ms fall 1 resolvers docker init-addr none
`

// TestComposeUpdatesBesideTheOld updates a project start-first while it is used, and breaks releases: no request fails, and the old release
// serves on where the new one is not good.
func TestComposeUpdatesBesideTheOld(t *testing.T) {
	updates, long := 2, false
	if given, err := strconv.Atoi(os.Getenv("PROVISION_TEST_COMPOSE_UPDATES")); err == nil {
		updates, long = given, true
	}
	program := filepath.Join(t.TempDir(), "served")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "./testdata/served")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	compose := func(release string) string { return strings.ReplaceAll(beside, "RELEASE", strconv.Quote(release)) }
	p := newProject(t, "beside", "update_order = \"start-first\"\nmonitor = \"4s\"\nwait = \"20s\"", "compose.yaml", compose("1"), "proxy.cfg", besideProxy,
		"Dockerfile", "FROM test/busybox\nCOPY app release /\n", "release", "1", "app", string(text))
	if err := os.Chmod(p.path("app/app"), 0o755); err != nil {
		t.Fatal(err)
	}
	p.host.Run(t, `d=$(mktemp -d)
for f in /usr/sbin/haproxy $(ldd /usr/sbin/haproxy | grep -o '/[^ ]*'); do mkdir -p "$d${f%/*}"; cp -L "$f" "$d$f"; done
tar -C "$d" -c . | docker import --change 'ENV PATH=/usr/sbin' - test/haproxy; rm -r "$d"`)
	p.applied()
	p.converged()
	p.host.Run(t, "cp /srv/beside/app /tmp/served")
	begin := func() {
		t.Helper()
		p.host.Run(t, "rm -f /tmp/stop; systemd-run --unit=load -p StandardOutput=truncate:/tmp/load /tmp/served load http://127.0.0.1:8000/ /tmp/stop")
	}
	// served ends the load, and returns how many requests each release has answered, and how many failed.
	served := func(t *testing.T) (answers map[string]int, failed int) {
		t.Helper()
		p.host.Run(t, "touch /tmp/stop; while systemctl -q is-active load; do sleep 0.2; done")
		load := p.host.Run(t, "cat /tmp/load")
		t.Log(load)
		answers = map[string]int{}
		for line := range strings.Lines(load) {
			number, answer, _ := strings.Cut(strings.TrimSpace(line), " ")
			n, err := strconv.Atoi(number)
			if release, good := strings.CutPrefix(answer, "release "); err == nil && good {
				answers[release] = n
			} else if err == nil {
				failed += n
			}
		}
		return answers, failed
	}

	apps := func() string {
		t.Helper()
		return p.host.Run(t, "docker ps -aq --no-trunc --filter label=com.docker.compose.service=app | sort")
	}
	begin()
	for n := 2; n < updates+2; n++ {
		release := strconv.Itoa(n)
		p.files("release", release, "compose.yaml", compose(release))
		if n == 2 {
			said := p.plan().attributes()
			for name, want := range map[string]string{
				"service app":     "runs an older configuration, built from another compose.yaml, release → recreated, start-first",
				"service worker":  "runs an older configuration → recreated, start-first",
				"service migrate": "built from another compose.yaml, release → rebuilt, recreated if the image differs, stop-first: runs to its end",
				"service db":      "", "service proxy": "",
			} {
				if said[name] != want {
					t.Errorf("the plan says of %s %q, want %q", name, said[name], want)
				}
			}
		}
		before := p.containers()
		if n%2 == 1 {
			// A run that is killed leaves containers of both releases. The next one ends with as many as the files say.
			killed := p.startApply()
			if n == 3 {
				killed.awaitOutput("worker-")
			} else {
				time.Sleep(time.Duration(n/2) * 400 * time.Millisecond)
			}
			p.host.Run(t, "systemctl kill --signal=KILL 'provision-*.service' || :")
			if o := killed.wait(); o.exit == 0 && n == 3 {
				t.Errorf("the run that was killed ended with 0\n%s", o.dump())
			}
		}
		p.applied()
		after := p.containers()
		if len(after) != len(before) {
			t.Errorf("update %d: %d containers, want %d: %v", n, len(after), len(before), after)
		}
		for name, was := range after {
			if stays := strings.HasPrefix(name, "db ") || strings.HasPrefix(name, "proxy "); stays != (before[name] == was) {
				t.Errorf("update %d: %s: %s → %s", n, name, before[name], was)
			}
		}
	}
	answers, failed := served(t)
	for n := range updates + 1 {
		if answers[strconv.Itoa(n+1)] == 0 {
			t.Errorf("nobody was served by release %d", n+1)
		}
	}
	if failed != 0 {
		t.Errorf("%d requests failed; the proxy says\n%s", failed, p.host.Run(t, "docker logs -t beside-proxy-1 2>/dev/null | tail -n 60"))
	}
	p.converged()

	good := strconv.Itoa(updates + 1)
	for _, bad := range []struct {
		release, says string
		lost          int // requests that may fail: those that a server was answering when it died
		long          bool
	}{
		{"dies after 1s", "this release is broken", 20, false},
		{"stuck", "the table is locked", 0, true},
		{"dies after 3s", "this release is broken", 20, true},
		{"dies after 10s", "this release is broken", 20, true},
		{"sick", "app is running, starting", 0, true},
	} {
		if bad.long && !long {
			continue
		}
		t.Run(bad.release, func(t *testing.T) {
			if bad.release == "dies after 10s" {
				// What a rollback goes back to are the files from before: they are to be good.
				p.files("release", good, "compose.yaml", compose(good))
				p.applied()
				p.args("update_order = \"start-first\"\nrollback = true\nwait = \"20s\"")
			}
			before, start := apps(), time.Now()
			begin()
			p.files("release", bad.release, "compose.yaml", compose(bad.release))
			o := p.apply()
			if said := o.stdout + o.stderr; o.exit != 1 || !strings.Contains(said, bad.says) || !strings.Contains(said, "serves on") && !strings.Contains(said, "rolled back") {
				t.Errorf("apply: exit %d\n%s", o.exit, o.dump())
			}
			if after := apps(); after != before {
				t.Errorf("the containers of app were\n%s, and are\n%s", before, after)
			}
			t.Logf("refused after %v", time.Since(start).Round(time.Second))
			if answers, failed := served(t); answers[good] == 0 || failed > bad.lost {
				t.Errorf("the old release answered %d requests, and %d failed", answers[good], failed)
			}
		})
	}
	if !long {
		return
	}
	begin()
	p.args("update_order = \"start-first\"\nmonitor = \"4s\"\nwait = \"20s\"")
	p.files("release", good, "compose.yaml", compose(good))
	p.applied()
	p.converged()
	if _, failed := served(t); failed != 0 {
		t.Errorf("%d requests failed when the good release was taken again", failed)
	}
}
