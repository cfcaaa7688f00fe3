package kinds

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/steps"
)

// TestComposeSendsWhatIsNeeded lists what travels of a project: what each build needs, by files of its own, and what the files refer to.
func TestComposeSendsWhatIsNeeded(t *testing.T) {
	r := newRelease(t, []string{"sh"})
	r.files(
		"compose.yaml", `include: [sub/inc.yaml, { path: [other.yaml], env_file: other.vars }]
services:
  api: { build: { context: ./api, secrets: [npm], additional_contexts: { shared: ./shared } } }
  web: { build: { context: ., dockerfile: web.docker }, extends: { file: base/base.yaml, service: b } }
  plain: { image: nginx, label_file: my.labels }
secrets: { npm: { file: ./npm.token } }
`,
		".dockerignore", "api\nsub\nbase\n*.log\n*.vars\nother.yaml\nshared\nnpm.token\nmy.labels\nsecret.txt\n",
		"api/.dockerignore", "node_modules\n!node_modules/kept\n", "api/Dockerfile", "FROM scratch\n", "api/a.log", "1", "api/node_modules/big", "1", "api/node_modules/kept", "1",
		"shared/s", "1", "npm.token", "hunter2hunter2", "my.labels", "a=b", "secret.txt", "1", "x.log", "1",
		"web.docker", "FROM scratch\n", "web.docker.dockerignore", "docs\n", "docs/d", "1", "code", "1",
		"sub/inc.yaml", "include: [deep/inc.yaml]\nservices: { i: { image: nginx } }\n", "sub/.env", "A=1\n", "sub/deep/inc.yaml", "services: { j: { image: nginx } }\n",
		"other.yaml", "services: { k: { image: nginx } }\n", "other.vars", "B=1\n",
		"base/base.yaml", "services: { b: { image: nginx, extends: { file: more/more.yaml, service: m } } }\n", "base/more/more.yaml", "services: { m: { image: nginx } }\n",
	)
	sent := func() string {
		c, _, _ := r.look()
		var names []string
		for _, f := range c.tree.Files {
			if f.Type != steps.TreeDirectory {
				names = append(names, string(f.Type)+" "+f.Path)
			}
		}
		return strings.Join(names, "\n") + "\n"
	}
	// The build of web leaves out docs alone, so that all else travels.
	want := `f .dockerignore
f api/.dockerignore
f api/Dockerfile
f api/a.log
f api/node_modules/big
f api/node_modules/kept
f base/base.yaml
f base/more/more.yaml
f code
f compose.yaml
f my.labels
s npm.token
s other.vars
f other.yaml
f secret.txt
f shared/s
s sub/.env
f sub/deep/inc.yaml
f sub/inc.yaml
f web.docker
f web.docker.dockerignore
f x.log
`
	if d := cmp.Diff(want, sent()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	// Without it the .dockerignore of the project counts outside of what is built from.
	r.files("compose.yaml", "services: { api: { build: ./api } }\n", ".dockerignore", "api\n*.log\n", "x.log", "1", "y", "1",
		"api/.dockerignore", "node_modules\n!node_modules/kept\n", "api/Dockerfile", "FROM scratch\n", "api/a.log", "1", "api/node_modules/big", "1", "api/node_modules/kept", "1")
	if d := cmp.Diff("f .dockerignore\nf api/.dockerignore\nf api/Dockerfile\nf api/a.log\nf api/node_modules/kept\nf compose.yaml\nf y\n", sent()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
