package kinds

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func shapeFrom(t *testing.T, files map[string]string) *composeProject {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := loadProject(t.Context(), dir, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestComposeShape compares two releases of a project: what differs is told by its place in the file and both values, a secret by its
// place alone, and a note holds no secret.
func TestComposeShape(t *testing.T) {
	first := shapeFrom(t, map[string]string{"compose.yaml": `name: shop
services:
  web:
    image: nginx:1
    command: [serve, --token=abc123]
    env_file: [web.env]
    environment: { COLOUR: red, DB_PASSWORD: hunter1, URL: "http://me:hunter2@db/", FROM: "${TOKEN}", KEPT: "1" }
    labels: { port: "8", gone: x }
    ports: ["8000:80", "53:53/udp"]
    volumes: ["./conf:/conf:ro"]
    secrets: [token]
    configs: [{ source: motd, target: /motd }]
    depends_on: [db]
    logging: { driver: json-file, options: { max-size: 10m } }
  db: { image: "postgres:${HOSTS}", mem_limit: 64m }
networks: { default: { internal: true } }
secrets: { token: { environment: TOKEN } }
configs: { motd: { content: "hello ${PORT}" } }
`, ".env": "TOKEN=hunter3\nPORT=8\n", "web.env": "A=hunter4\nB=1\n"})
	second := shapeFrom(t, map[string]string{"compose.yaml": `name: shop
services:
  web:
    image: nginx:2
    command: [serve, --token=abc124]
    env_file: [web.env]
    environment: { COLOUR: blue, DB_PASSWORD: hunter5, URL: "http://me:hunter6@db/", FROM: "${TOKEN}", KEPT: "1", NEW: "2" }
    labels: { port: "8" }
    ports: ["127.0.0.1:8001:80", "53:53/udp"]
    volumes: ["./conf:/conf", "data:/data"]
    secrets: [token]
    configs: [{ source: motd, target: /motd }]
    depends_on: []
    logging: { driver: json-file, options: { max-size: 20m } }
    init: true
  db: { image: "postgres:${HOSTS}", mem_limit: 64m }
networks: { default: {} }
volumes: { data: {} }
secrets: { token: { environment: TOKEN } }
configs: { motd: { content: "hello ${PORT}" } }
`, ".env": "TOKEN=hunter7\nPORT=9\n", "web.env": "A=hunter8\nB=1\n"})
	note := first.Shape.note("salt")
	for _, secret := range []string{"hunter", "abc123", "hello"} {
		if strings.Contains(note, secret) {
			t.Errorf("the note holds %s: %s", secret, note)
		}
	}
	n := readShapeNote(note)
	var got []string
	service := object(second.Shape["services"])["web"]
	for _, f := range append(second.Shape.since(n, "services", "web"), append(second.Shape.used(n, object(service)), append(second.Shape.since(n, "services", "db"),
		append(second.Shape.since(n, "networks", "default"), second.Shape.since(n, "volumes", "data")...)...)...)...) {
		switch {
		case f.hidden:
			got = append(got, f.path+" (hidden)")
		default:
			got = append(got, fmt.Sprintf("%s %q %q", f.path, f.before, f.after))
		}
	}
	want := []string{
		`services.web.command (hidden)`,
		`services.web.depends_on "{\"db\":{\"condition\":\"service_started\",\"required\":true}}" ""`,
		`services.web.environment.A (hidden)`,
		`services.web.environment.COLOUR "red" "blue"`,
		`services.web.environment.DB_PASSWORD (hidden)`,
		`services.web.environment.FROM (hidden)`,
		`services.web.environment.NEW "" "2"`,
		`services.web.environment.URL (hidden)`,
		`services.web.image "nginx:1" "nginx:2"`,
		`services.web.init "" "true"`,
		`services.web.labels.gone "x" ""`,
		`services.web.logging.options.max-size "10m" "20m"`,
		`services.web.ports[80/tcp].host_ip "" "127.0.0.1"`,
		`services.web.ports[80/tcp].published "8000" "8001"`,
		`services.web.volumes[/conf].read_only "true" ""`,
		`services.web.volumes[/data].source "" "data"`,
		`services.web.volumes[/data].target "" "/data"`,
		`services.web.volumes[/data].type "" "volume"`,
		`services.web.volumes[/data].volume "" "{}"`,
		`secrets.token.value (hidden)`,
		`configs.motd.content (hidden)`,
		`networks.default.internal "true" ""`,
		`volumes.data "" "{}"`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if changed := first.Shape.since(n, "services", "web"); len(changed) > 0 {
		t.Errorf("the same project differs from its note: %v", changed)
	}
}

func TestContainsValue(t *testing.T) {
	for _, c := range []struct {
		text, value string
		want        bool
	}{
		{"8080", "80", false}, {"80:80", "80", true}, {"-p 123", "123", true}, {"x123", "123", false}, {"hunter22", "hunter", true}, {"1", "1", true}, {"", "1", false},
	} {
		if got := containsValue(c.text, c.value); got != c.want {
			t.Errorf("%q in %q: %v", c.value, c.text, got)
		}
	}
}
