package kinds

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestComposeProjectIsReadAsComposeDoes reads projects whose variables have defaults, are set in a file, or exist on the host alone.
func TestComposeProjectIsReadAsComposeDoes(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		args  []string // compose files
		env   string   // env_file
		want  composeProject
		err   string
	}{
		{
			name: "defaults", files: map[string]string{"compose.yaml": `name: ${N:-shop}
services:
  web:
    image: nginx:${TAG-1}
    ports: ["${PORT:-8000}:80", "${OTHER:-127.0.0.1:81}:81"]
    stop_grace_period: ${GRACE:-10s}
    init: ${INIT:-true}
    cpus: ${CPUS:-0.5}
    mem_limit: ${MEM:-64m}
    env_file: ["${ENVS:-.envs}/web"]
    volumes: ["${CONF:-./conf}:/conf", "${DATA:-data}:/data"]
    healthcheck: { test: [CMD, x], interval: "${EVERY:-5s}" }
volumes: { data: {} }
`},
			want: composeProject{Name: "shop", Env: []string{".envs/web"}, Secret: []string{".envs/web"}, Mounts: []composeMount{{"web", "conf"}}, Keep: []string{".envs/web", "conf"}},
		},
		{
			name: "on the host alone", files: map[string]string{"compose.yaml": `name: shop
services:
  web:
    image: nginx:$TAG
    ports: ["${PORT}:80", "${ADDRESS}:81"]
    stop_grace_period: ${GRACE:?must be set}
    init: $INIT
    deploy: { replicas: $N, resources: { limits: { memory: $MEM, cpus: "${CPUS}" } } }
    env_file: ["$ENVS/web", { path: extra, required: false }]
    volumes: ["$CONF/x:/conf", "./fixed:/fixed", "./$CONF:/other"]
`},
			want: composeProject{Name: "shop", Secret: []string{"extra"}, Mounts: []composeMount{{"web", "fixed"}}, Keep: []string{"extra", "fixed"}},
		},
		{
			name: "name on the host", files: map[string]string{"compose.yaml": "name: a-${N}\nservices: { web: { image: nginx } }\n"},
			want: composeProject{OnHost: "N"},
		},
		{
			name:  "name and files by variables",
			files: map[string]string{".env": "COMPOSE_PROJECT_NAME=shop\nCOMPOSE_FILE=a.yml,sub/b.yml\nCOMPOSE_PATH_SEPARATOR=,\nCOMPOSE_PROFILES=x\n", "a.yml": "name: other\nservices: { web: { image: nginx } }\n", "sub/b.yml": "services: { job: { image: nginx, profiles: [x], volumes: [\"./c:/c\"] } }\n"},
			want:  composeProject{Name: "shop", Files: []string{"a.yml", "sub/b.yml"}, Mounts: []composeMount{{"job", "c"}}, Keep: []string{"a.yml", "sub/b.yml", "c"}},
		},
		{
			name: "first file in a directory", args: []string{"deploy/prod.yml"},
			files: map[string]string{"deploy/.env": "DIR=conf\n", ".env": "DIR=wrong\n", "deploy/prod.yml": "services: { web: { image: nginx, volumes: [\"./$DIR:/c\"], env_file: web.env } }\n"},
			want:  composeProject{Files: []string{"deploy/prod.yml"}, Mounts: []composeMount{{"web", "deploy/conf"}}, Env: []string{"deploy/web.env"}, Secret: []string{"deploy/web.env"}, Keep: []string{"deploy/prod.yml", "deploy/web.env", "deploy/conf"}},
		},
		{name: "known and required", files: map[string]string{".env": "A=1\n", "compose.yaml": "services: { web: { image: \"nginx:${TAG:?set it}\" } }\n"}, err: `error while interpolating services.web.image: required variable TAG is missing a value: set it`},
		{name: "wrong whatever the host knows", files: map[string]string{"compose.yaml": "services: { web: { image: \"nginx:$TAG\", ports: [\"$PORT:80\", \"80:x\"] } }\n"}, err: "Invalid containerPort: x"},
		{name: "wrong default", files: map[string]string{"compose.yaml": "services: { web: { image: \"nginx\", stop_grace_period: \"${G:-ten}\" } }\n"}, err: "decoding failed due to the following error(s):\n\n'services[web].stop_grace_period' time: invalid duration \"ten\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range test.files {
				name = filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			p, err := loadProject(t.Context(), dir, test.args, nil, test.env)
			if err != nil || test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Fatalf("the error is %v, want %s", err, test.err)
				}
				return
			}
			if test.want.Files == nil {
				test.want.Files = []string{"compose.yaml"}
				test.want.Keep = append([]string{"compose.yaml"}, test.want.Keep...)
			}
			test.want.Keep = append([]string{".dockerignore", ".env"}, test.want.Keep...)
			p.Shape = nil // see TestComposeShape
			if d := cmp.Diff(&test.want, p, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
