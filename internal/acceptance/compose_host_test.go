//go:build acceptance

package acceptance

import (
	"strings"
	"testing"
)

// TestComposeBuildsWhatTravels builds an image from a directory with an ignore file of its own, with a build secret, in a project that
// includes and extends files: what the build needs travels, what it leaves out does not, and the plan tells what it is built from.
func TestComposeBuildsWhatTravels(t *testing.T) {
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
