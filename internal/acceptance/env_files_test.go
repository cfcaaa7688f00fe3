//go:build acceptance

package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"provision/internal/shell"
	"provision/internal/testhost"
)

// envFileRows are the rows of the table in docs/env-files.md, without its head.
func envFileRows(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/env-files.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if !strings.HasPrefix(line, "| `X") && !strings.Contains(cells[0], "`") || len(cells) != 6 || strings.HasPrefix(line, "| file") {
			continue
		}
		cells[0], cells[5] = strings.TrimPrefix(cells[0], "| "), strings.TrimSuffix(cells[5], " |")
		rows = append(rows, cells)
	}
	if len(rows) < 25 {
		t.Fatalf("the table has %d rows", len(rows))
	}
	return rows
}

// written turns a cell into what it stands for.
func written(cell string) string {
	code, ok := strings.CutPrefix(cell, "`")
	if !ok {
		return cell
	}
	return strings.NewReplacer("⏎", "\n", "⇥", "\t", "␍", "\r", "␠", " ", "(BOM)", "\uFEFF").Replace(strings.TrimSuffix(code, "`"))
}

// TestEnvFilesAreReadAsDocumented gives each file of the table to each reader.
func TestEnvFilesAreReadAsDocumented(t *testing.T) {
	h := testhost.Debian(t, testhost.Compose())
	const print = `if [ "${X+set}" ]; then printf "[%s]" "$X"; else printf unset; fi`
	h.Run(t, "mkdir -p /srv/env; printf %s "+shell.Quote(print)+" >/srv/env/print") // systemd would expand what stands in a command
	raw := h.Status(t, "mkdir -p /srv/env; cd /srv/env; echo X=1 >f; printf 'services: { x: { image: test/busybox, env_file: [{ path: f, format: raw }] } }' >c.yml; docker compose -f c.yml config -q") == 0
	readers := []struct {
		name, script string
		column       int
	}{
		{"compose", "docker compose -p env -f c.yml run --rm -T x 2>/dev/null || printf refused", 1},
		{"docker run", "docker run --rm --network none --env-file f test/busybox sh -c " + shell.Quote(print) + " 2>/dev/null || printf refused", 2},
		{"raw", "sed -i 's/\\[f\\]/[{ path: f, format: raw }]/' c.yml; docker compose -p env -f c.yml run --rm -T x 2>/dev/null || printf refused", 2},
		{"sh", "unset X; r=$(sh -c '. ./f; '" + shell.Quote(print) + " 2>&1) || r=error; case $r in *'not found'*) printf error ;; *) printf %s \"$r\" ;; esac", 4},
		{"systemd", "systemd-run -q --pipe --wait -p EnvironmentFile=/srv/env/f sh /srv/env/print", 5},
	}
	for _, row := range envFileRows(t) {
		var script strings.Builder
		fmt.Fprintf(&script, "export HOME=/root; cd /srv/env; printf '%%s\\n' %s >f\n", shell.Quote(written(row[0])))
		fmt.Fprintf(&script, "cat >c.yml <<'END'\nservices:\n  x:\n    image: test/busybox\n    network_mode: none\n    env_file: [f]\n    command: [sh, -c, %q]\nEND\n", strings.ReplaceAll(print, "$", "$$"))
		for _, r := range readers {
			if r.name != "raw" || raw {
				fmt.Fprintf(&script, "(%s); printf '\\001'\n", r.script)
			} else {
				script.WriteString("printf '\\001'\n")
			}
		}
		got := strings.Split(h.Run(t, script.String()), "\x01")
		for i, r := range readers {
			if row[r.column] == "—" || r.name == "raw" && !raw {
				continue
			}
			want := written(row[r.column])
			switch {
			case want == "empty":
				want = "[]"
			case row[r.column][0] == '`':
				want = "[" + want + "]"
			}
			if got[i] != want {
				t.Errorf("%s: %s reads %q, and the table has %q", row[0], r.name, got[i], want)
			}
		}
	}
}

// TestEnvFilesInDockerCompose1 reads the column of docker-compose 1.29, which needs no engine to say what it gives to a container.
func TestEnvFilesInDockerCompose1(t *testing.T) {
	out, err := exec.Command("docker-compose", "version", "--short").Output()
	if err != nil || !strings.HasPrefix(string(out), "1.29.") {
		t.Skipf("this machine has no docker-compose 1.29 (%q, %v)", out, err)
	}
	dir := t.TempDir()
	for _, row := range envFileRows(t) {
		for name, text := range map[string]string{"f": written(row[0]) + "\n", "docker-compose.yml": "version: '3'\nservices: { x: { image: x, env_file: [f] } }\n"} {
			if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("sh", "-c", `docker-compose config 2>/dev/null | /usr/bin/python3 -c 'import sys, yaml; e = yaml.safe_load(sys.stdin)["services"]["x"].get("environment", {}); print("unset" if e.get("X") is None else "[" + e["X"].replace("$$", "$") + "]", end="")'`)
		cmd.Dir = dir
		got, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		want := written(row[3])
		switch {
		case want == "empty":
			want = "[]"
		case row[3][0] == '`':
			want = "[" + want + "]"
		}
		if string(got) != want {
			t.Errorf("%s: docker-compose 1.29 gives %q, and the table has %q", row[0], got, want)
		}
	}
}
