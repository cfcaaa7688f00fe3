package kinds

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"provision/internal/steps"
)

// composeBase is an image with nothing but busybox, made of what is on this machine.
const composeBase = "provision-test-compose-base"

const composeBaseScript = `set -e
docker image inspect ` + composeBase + ` >/dev/null 2>&1 && exit
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
mkdir -p "$d/bin" "$d/tmp"
cp "$(command -v busybox)" "$d/bin/busybox"
for lib in $(ldd "$d/bin/busybox" | grep -o '/[^ ]*'); do
	mkdir -p "$d${lib%/*}"
	cp -L "$lib" "$d$lib"
done
for name in sh sleep cat true; do ln -s busybox "$d/bin/$name"; done
tar -C "$d" -c . | docker import - ` + composeBase + ` >/dev/null
`

// TestComposeDeploys deploys a project to the Docker engine of this machine: builds, waits for health, notices what changed, and
// goes back to what ran before when a release fails.
func TestComposeDeploys(t *testing.T) {
	if os.Getenv("PROVISION_DOCKER") != "1" {
		t.Skip("takes minutes, and the Docker engine of this machine: set PROVISION_DOCKER=1")
	}
	if os.Getuid() != 0 || exec.Command("docker", "info").Run() != nil || exec.Command("docker-compose", "version").Run() != nil && exec.Command("docker", "compose", "version").Run() != nil {
		lack(t, "compose needs root, a Docker engine and compose")
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	h := &host{shell: []string{"dash"}, work: filepath.Join(dir, "work")}
	local := filepath.Join(dir, "local")
	for _, d := range []string{h.work, local} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if r := h.script(t, composeBaseScript, nil); r.exit != 0 {
		t.Fatal(r.stderr)
	}
	project := "provisiontest" + strings.ToLower(filepath.Base(filepath.Dir(dir)))
	project = notInCompose.ReplaceAllString(project, "")
	t.Cleanup(func() {
		h.script(t, `for c in $(docker ps -a -q --filter label=com.docker.compose.project=`+project+`); do docker rm -f "$c"; done
docker network rm `+project+`_default; docker image rm -f `+project+`-web
HOME=`+h.work+` F_UID=$(id -u)
`+sentPlace(h.work+"/app", project)+`rm -f "$sent" "$sent".* && rmdir "${sent%/*}" "${sent%/*/*}"`, nil)
	})
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(local, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	release := func() (steps.Step, steps.Change) {
		t.Helper()
		step, args := composeKind.New()
		if problems := decodeInto(t, composeKind, step, args, `
source   = "`+local+`"
dir      = "`+h.work+`/app"
project  = "`+project+`"
wait     = "40s"
rollback = true
`, "args"); problems != "" {
			t.Fatal(problems)
		}
		obs := h.probe(t, step, true)
		if obs.Exit != 0 {
			t.Fatalf("probe: %s", obs.Stderr)
		}
		change, err := step.Plan(&steps.Facts{Salt: "salt"}, obs)
		if err != nil {
			t.Fatal(err)
		}
		return step, change
	}
	settled := func(step steps.Step) {
		t.Helper()
		obs := h.probe(t, step, false)
		change, err := step.Plan(&steps.Facts{Salt: "salt"}, obs)
		if err != nil || change.Action != steps.NoOp {
			var b strings.Builder
			renderChange(&b, change)
			t.Fatalf("did not converge (%v); state:\n%s\n%s\nplan:\n%s", err, obs.Stdout, obs.Stderr, b.String())
		}
	}
	told := func(change steps.Change, names ...string) {
		t.Helper()
		var is []string
		for _, a := range change.Diff {
			is = append(is, a.Name)
		}
		if change.Action != steps.Update || !slices.Equal(is, names) {
			t.Errorf("the plan is %s of %q, want %q: %v", change.Action, is, names, change.Diff)
		}
	}
	seen := func(path, want string) {
		t.Helper()
		r := h.script(t, `docker exec "$(docker ps -q --filter label=com.docker.compose.project=`+project+` --filter label=com.docker.compose.service=web)" cat `+path, nil)
		if r.stdout != want {
			t.Errorf("%s in the container is %q, want %q; %s", path, r.stdout, want, r.stderr)
		}
	}

	write("docker-compose.yml", `version: "2.4"
services:
  web:
    build: .
    image: `+project+`-web
    command: ["/bin/sh", "/run.sh"]
    volumes: ["./web.conf:/web.conf:ro"]
    env_file: [web.env]
    healthcheck: { test: ["CMD", "/bin/cat", "/tmp/ready"], interval: 1s, retries: 20 }
  once:
    image: `+composeBase+`
    command: ["/bin/true"]
    depends_on: [web]
`)
	write("Dockerfile", "FROM "+composeBase+"\nCOPY run.sh /run.sh\nCOPY release /release\n")
	write("web.env", "COLOUR=red\n")
	write("notes", "of the first release")
	write("run.sh", "trap 'exit 0' TERM\necho $COLOUR >/colour\nsleep 1\n: >/tmp/ready\nwhile :; do sleep 1; done\n")
	write("release", "1")
	write("web.conf", "first\n")

	step, change := release()
	if change.Action != steps.Create {
		t.Errorf("the first plan is %s", change.Action)
	}
	if err := h.apply(t, change.Ops); err != nil {
		t.Fatal(err)
	}
	settled(step)
	seen("/release", "1")
	seen("/colour", "red\n")
	if r := h.script(t, "cd app && stat -c %a web.env && ls", nil); r.stdout != "600\nDockerfile\ndocker-compose.yml\nnotes\nrelease\nrun.sh\nweb.conf\nweb.env\n" {
		t.Errorf("the first release left\n%s%s", r.stdout, r.stderr)
	}

	write("web.env", "COLOUR=blue\n")
	step, change = release()
	told(change, "web.env", "service web", "services.web.environment.COLOUR", "service once")
	if text := fmt.Sprint(change.Diff); !change.Diff[0].Sensitive || !change.Diff[2].Sensitive || strings.Contains(text, "blue") || strings.Contains(text, "red") {
		t.Errorf("the plan for another secret: %v", change.Diff)
	}
	if err := h.apply(t, change.Ops); err != nil {
		t.Fatal(err)
	}
	settled(step)
	seen("/colour", "blue\n")

	write("release", "2")
	write("web.conf", "second\n")
	step, change = release()
	told(change, "release", "web.conf", "service web", "service once")
	if err := h.apply(t, change.Ops); err != nil {
		t.Fatal(err)
	}
	settled(step)
	seen("/release", "2")
	seen("/web.conf", "second\n")

	// Somebody stops a container by hand.
	if r := h.script(t, "docker kill $(docker ps -q --filter label=com.docker.compose.project="+project+")", nil); r.exit != 0 {
		t.Fatal(r.stderr)
	}
	step, change = release()
	told(change, "service web", "service once")
	if change.Diff[0].Before != "failed" || change.Diff[1].Before != "ended with 0" {
		t.Errorf("the plan after a kill: %v", change.Diff)
	}
	if err := h.apply(t, change.Ops); err != nil {
		t.Fatal(err)
	}
	settled(step)

	good := step
	write("release", "3")
	if err := os.Remove(filepath.Join(local, "notes")); err != nil {
		t.Fatal(err)
	}
	write("run.sh", "echo this release is broken >&2\nexit 3\n")
	_, change = release()
	err := h.apply(t, change.Ops)
	if err == nil || !strings.Contains(err.Error(), "this release is broken") || !strings.Contains(err.Error(), "was rolled back") {
		t.Fatalf("the broken release: %v", err)
	}
	settled(good)
	seen("/release", "2")
	seen("/colour", "blue\n")
	if r := h.script(t, "cat app/notes", nil); r.stdout != "of the first release" {
		t.Errorf("a file that the broken release had dropped did not come back: %s", r.stderr)
	}
}
