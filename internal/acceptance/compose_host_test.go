//go:build acceptance

package acceptance

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestComposeBuildsWhatTravels builds an image from a directory with an ignore file of its own, with a build secret, in a project that
// includes and extends files: what the build needs travels, what it leaves out does not, and the plan tells what it is built from.
func TestComposeBuildsWhatTravels(t *testing.T) {
	takesTurn(t, "travels", composeTurns...)
	p := newProject(t, "travels", "", "compose.yaml", `include: [more/compose.yaml]
services:
  web:
    extends: { file: base.yaml, service: base }
    build: { context: api, secrets: [token] }
  late: { image: test/busybox, init: true, depends_on: { web: { condition: service_started, restart: true } } }
  job: { image: test/busybox, command: ["true"] }
  stays: { image: test/busybox, init: true }
secrets: { token: { file: token.secret } }
`, "base.yaml", "services: { base: { init: true, command: [sleep, \"1000\"], labels: { of: base } } }\n",
		"more/compose.yaml", "services: { more: { image: test/busybox, init: true, labels: { of: \"${OF}\" } } }\n", "more/.env", "OF=included\n",
		"token.secret", "hunter1", ".dockerignore", "**/kept\n*.yaml\nmore\n", "api/.dockerignore", "junk\nDockerfile\n.dockerignore\n", "api/junk", "x", "api/kept", "1",
		"api/Dockerfile", "FROM test/busybox\nCOPY . /app\nRUN --mount=type=secret,id=token test \"$(cat /run/secrets/token)\" = hunter1\n")
	p.applied()
	p.converged()
	p.sees("web", "ls -A /app; cat /app/kept", "kept\n1")
	if got := p.host.Run(t, "cd /srv/travels && ls -A . api; docker inspect travels-more-1 travels-web-1 --format '{{.Config.Labels.of}}'"); got !=
		".:\n.dockerignore\napi\nbase.yaml\ncompose.yaml\nmore\ntoken.secret\n\napi:\n.dockerignore\nDockerfile\nkept\nincluded\nbase\n" {
		t.Errorf("on the host:\n%s", got)
	}

	before := p.containers()
	p.files("api/kept", "2")
	said := p.plan().attributes()
	for name, want := range map[string]string{
		"service web": "built from another api/kept → rebuilt, recreated if the image differs", "service late": "up → started anew if web is recreated",
		"service job": "ended with 0 → runs once more", "service stays": "", "service more": "",
	} {
		if said[name] != want {
			t.Errorf("the plan says of %s %q, want %q", name, said[name], want)
		}
	}
	p.applied()
	p.converged()
	p.sees("web", "cat /app/kept", "2")
	for name, was := range before {
		is, service := p.containers()[name], strings.Fields(name)[0]
		same, started := is == was, strings.Fields(is)[0] != strings.Fields(was)[0]
		switch service {
		case "web":
			if !started {
				t.Errorf("%s is the same", name)
			}
		case "late", "job":
			// compose 2.26 makes a new container of what depends with restart, 2.40 starts the same one
			if same || started && service == "job" {
				t.Errorf("%s was to be started anew: %s → %s", name, was, is)
			}
		default:
			if !same {
				t.Errorf("%s was to stay: %s → %s", name, was, is)
			}
		}
	}
}

// TestComposeSeesTheHost goes through what a project finds on a host: networks, volumes and ports of others, and containers that somebody added.
func TestComposeSeesTheHost(t *testing.T) {
	takesTurn(t, "sees", composeTurns...)
	compose := `services:
  web:
    image: test/busybox
    init: true
    ports: ["8000:80", "127.0.0.1:8002:82"]
    networks: [front, outer]
    volumes: ["data:/data", "ours:/ours"]
  stays: { image: test/busybox, init: true }
networks: { front: {}, outer: { external: true } }
volumes: { data: {}, ours: { external: true } }
`
	p := newProject(t, "sees", "", "compose.yaml", compose)
	p.host.Run(t, "docker volume prune -af; docker run -d --name other -p 8000:80 test/busybox; systemd-run --unit=listens busybox httpd -f -p 127.0.0.1:8002")
	for _, step := range []struct{ says, mend string }{
		{"Docker has no network outer, which the project calls external", "docker network create outer"},
		{"Docker has no volume ours, which the project calls external", "docker volume create ours"},
		{"port 8000/tcp is not free (container other has it)", "docker rm -f other"},
		{"port 8002/tcp is not free (process busybox has it)", "systemctl stop listens"},
	} {
		if o := p.plan(); o.exit != 1 || !strings.Contains(o.stdout+o.stderr, step.says) {
			t.Fatalf("plan: exit %d, want 1 and %q\n%s", o.exit, step.says, o.dump())
		}
		p.host.Run(t, step.mend)
	}
	said := p.plan().attributes()
	for _, made := range []string{"network sees_front", "volume sees_data", "service web", "service stays"} {
		if !strings.HasPrefix(said[made], " → ") {
			t.Errorf("the first plan says of %s %q", made, said[made])
		}
	}
	p.applied()
	p.converged()

	// Other settings of a network, and another volume: every compose gives the service new containers.
	before := p.containers()
	p.files("compose.yaml", strings.NewReplacer("front: {}", "front: { internal: true }", "data: {}", "data: { name: moved }").Replace(compose))
	said = p.plan().attributes()
	for name, want := range map[string]string{
		"network sees_front": "has other settings → recreated", "networks.front.internal": " → true", "volume moved": " → created", "volumes.data.name": " → moved",
		"service web": "runs with what is replaced (network front, volume data) → recreated", "service stays": "",
	} {
		if said[name] != want {
			t.Errorf("the plan says of %s %q, want %q", name, said[name], want)
		}
	}
	p.applied()
	p.converged()
	if got := p.host.Run(t, "docker network inspect sees_front --format '{{.Internal}}'; docker inspect sees-web-1 --format '{{range .Mounts}}{{.Name}} {{end}}' | tr ' ' '\\n' | sort"); got != "true\n\nmoved\nours\n" {
		t.Errorf("the network and the volumes of web: %q", got)
	}
	for name, was := range p.containers() {
		if stays := strings.HasPrefix(name, "stays "); stays != (before[name] == was) {
			t.Errorf("%s: %s → %s", name, before[name], was)
		}
	}
	p.files("compose.yaml", strings.NewReplacer("front: {}", "front: { internal: true }", "data: {}", "data: { name: moved, driver_opts: { type: tmpfs, device: tmpfs } }").Replace(compose))
	if o := p.plan(); o.exit != 1 || !strings.Contains(o.stdout, "the volume moved is there, and keeps the settings") {
		t.Errorf("plan of a volume with other settings: exit %d\n%s", o.exit, o.dump())
	}
	p.files("compose.yaml", strings.NewReplacer("front: {}", "front: { internal: true }", "data: {}", "data: { name: moved }").Replace(compose))
	p.converged()

	// More containers than the files say, and fewer.
	p.host.Run(t, "cd /srv/sees && docker compose up -d --no-recreate --scale stays=3 2>&1")
	p.planned("3 containers", "removes containers of stays")
	p.applied()
	p.converged()
	p.host.Run(t, "docker ps -aq --filter label=com.docker.compose.service=stays | xargs docker rm -f")
	p.planned("service stays")
	p.applied()
	p.converged()

	plans := 5
	if given, err := strconv.Atoi(os.Getenv("PROVISION_TEST_COMPOSE_PLANS")); err == nil {
		plans = given
	}
	p.host.Run(t, "docker events --format '{{json .}}' >/tmp/events 2>&1 & sleep 1")
	for range plans {
		p.converged()
	}
	p.host.Run(t, "sleep 1; [ ! -s /tmp/events ] || { cat /tmp/events >&2; exit 1; }")

	// An engine that does not take the version of its interface that the docker command speaks.
	p.host.Run(t, "echo DOCKER_API_VERSION=1.10 >>/etc/environment")
	o := p.plan()
	p.host.Run(t, "sed -i /DOCKER_API_VERSION/d /etc/environment")
	if o.exit != 1 || !strings.Contains(o.stdout+o.stderr, "the Docker engine refuses the docker command") {
		t.Errorf("plan with an engine that refuses: exit %d\n%s", o.exit, o.dump())
	}
}
