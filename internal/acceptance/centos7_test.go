//go:build acceptance

package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"provision/internal/testhost"
)

// buildPatience bounds an apply that compiles SQLite and Python, on a machine that is busy with much else.
const buildPatience = 40 * time.Minute

// productionEnv is what the runbook has in .envs/.production, with characters that shells and parsers trip over.
const productionEnv = "# kept as it is\nDJANGO_SECRET_KEY=2pe8eih8oah2_2z1=7f84bzme7^bwuto7y&f(#@rgd9ux9mp\nDJANGO_ALLOWED_HOSTS=example.org\n"

// TestCentOS7Runbook applies the example django-centos7 to a fresh host, once, and then looks at everything that the runbook by hand
// would have brought about. After that, what goes wrong in the life of a server is shown by a plan and mended by an apply.
func TestCentOS7Runbook(t *testing.T) {
	t.Parallel()
	h := testhost.EL7(t)
	b := exampleBook(t, h)

	o := b.built()
	if o.exit != 0 {
		t.Fatalf("the first apply: exit %d\n%s", o.exit, o.dump())
	}
	b.converged()
	tidy(t, h)

	t.Run("system", func(t *testing.T) { checkSystem(t, h, testhost.Mirror(t)) })
	t.Run("deployment", func(t *testing.T) { checkDeployment(t, h, b) })
	if t.Failed() {
		return
	}
	t.Run("drift", func(t *testing.T) { checkDrift(t, h, b) })
	t.Run("broken release", func(t *testing.T) { checkBrokenRelease(t, h, b) })
	t.Run("supervisor", func(t *testing.T) { checkSupervised(t, h, b) })
}

// exampleBook is the example with its addresses pointing at the mirror. What it builds is neither optimized nor made for a debugger, and
// Python comes without its own tests: that takes a third of the time.
func exampleBook(t *testing.T, h *testhost.Host) *book {
	t.Helper()
	site, base := testhost.Mirror(t), testhost.BaseImage(t)
	b := newBook(t, h, "")
	if err := os.Remove(b.path("steps.hcl")); err != nil {
		t.Fatal(err)
	}
	example := "../../examples/django-centos7"
	copyTree(t, filepath.Join(example, "app"), b.path("app"))
	copyTree(t, filepath.Join(example, "server.hcl"), b.path("server.hcl"))
	quickHealth(t, b.path("app/production.yml"))
	public, err := exec.Command("ssh-keygen", "-y", "-f", h.KeyFile).Output()
	if err != nil {
		t.Fatal(err)
	}
	b.write("key.pub", string(public))
	b.write(".envs/.production", productionEnv)
	b.write("app/.env", "HTTP_PORT=80\n")
	b.write("provision.vars.hcl", fmt.Sprintf(`
authorized_key = "key.pub"
vault          = %q
docker         = { baseurl = "%s/docker/linux", versions = {} }
sqlite         = { release = %q, url = %q, sha256 = %q, configure = ["CFLAGS=-O0 -g0"] }
python         = { release = %q, url = %q, sha256 = %q, configure = ["CFLAGS=-O0 -g0", "--disable-test-modules", "--without-static-libpython"] }
pypi           = %q
pipenv         = "latest"
base_image     = { name = %q, archive = %q }
`, site.Vault, site.URL, site.SQLite.Version, site.SQLite.URL, site.SQLite.SHA256,
		site.Python.Version, site.Python.URL, site.Python.SHA256, site.PyPI, base.Name, base.File))
	return b
}

// quickHealth has Docker ask for the health of services every second: the test deploys seven times, and waits each time.
func quickHealth(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	quick := strings.ReplaceAll(string(text), "interval: 5s", "interval: 1s")
	if quick == string(text) {
		t.Fatalf("%s names no interval of 5s any more", file)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(quick, "retries: 6", "retries: 30")), 0o644); err != nil {
		t.Fatal(err)
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-R", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// built applies and waits as long as a compiler may take.
func (b *book) built() outcome {
	b.t.Helper()
	p := b.startApply()
	select {
	case <-p.done:
	case <-time.After(buildPatience):
		b.t.Fatalf("the command does not end\n%s", p.dump())
	}
	return p.out
}

// checkSystem looks for what the runbook does to the machine.
func checkSystem(t *testing.T, h *testhost.Host, site testhost.Site) {
	bicycle := *h
	bicycle.User = "bicycle"
	for _, c := range []struct{ what, script, want string }{
		{"wheel's member uses sudo", "sudo -n id -un", "root"},
		{"the system is up to date", "sudo -n yum -q check-update >/dev/null 2>&1; echo $?", "0"},
		{"SQLite is the one that was built", "/usr/local/bin/sqlite3 --version | cut -d' ' -f1", site.SQLite.Version},
		{"Python is the one that was built", "/usr/local/bin/python3 -V", "Python " + site.Python.Version},
		{"Python uses that SQLite", "/usr/local/bin/python3 -c 'import sqlite3; print(sqlite3.sqlite_version)'", site.SQLite.Version},
		{"SQLite of the system is as it was", "/usr/bin/sqlite3 --version | cut -d' ' -f1", "3.7.17"},
		{"pipenv runs", "/usr/local/bin/pipenv --version >/dev/null && echo yes", "yes"},
		{"Docker works without root", "docker ps --format '{{.Names}}' | sort", "project-nginx-1\nproject-project-1"},
		{"Docker starts at boot", "systemctl is-enabled docker", "enabled"},
		{"nothing of the build is left", "ls -d /var/tmp/provision-build 2>/dev/null || echo gone", "gone"},
	} {
		out, err := exec.Command("ssh", append(bicycle.SSHArgs(), c.script)...).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.what, got, err, c.want)
		}
	}
}

const (
	project  = "/home/bicycle/Applications/project"
	envFile  = project + "/.envs/.production"
	getPage  = "curl -fsS http://127.0.0.1/"
	getProof = "curl -fsS http://127.0.0.1/proof"
)

// checkDeployment looks at the project as its visitors and its operator do.
func checkDeployment(t *testing.T, h *testhost.Host, b *book) {
	if got := h.Run(t, "cat "+envFile); got != productionEnv {
		t.Errorf("the environment file is not byte for byte the local one: %q", got)
	}
	if got := h.Run(t, "stat -c '%a %U' "+envFile+" "+project+"/.env"); got != "600 bicycle\n600 bicycle\n" {
		t.Errorf("the environment files are %q, want 600 and bicycle's", got)
	}
	if got := h.Run(t, "docker inspect --format '{{.State.Health.Status}}' project-project-1 project-nginx-1"); got != "healthy\nhealthy\n" {
		t.Errorf("the services are %q, want them healthy", got)
	}
	if got := h.Run(t, getPage); !strings.Contains(got, "It rides.") || !strings.Contains(got, "Django") {
		t.Errorf("/ is not the page that Django makes:\n%s", got)
	}
	if got := h.Run(t, "curl -fsSI http://127.0.0.1/static/pages/style.css"); !strings.Contains(got, "Server: nginx") || !strings.Contains(got, "Content-Type: text/css") {
		t.Errorf("/static/ does not come from nginx:\n%s", got)
	}
	if got := h.Run(t, "docker exec project-nginx-1 cat /app/static/pages/style.css"); !strings.Contains(got, "bicycle") {
		t.Errorf("nginx does not have the volume of static files: %q", got)
	}
	if h.Status(t, "curl -fsS -m 3 http://127.0.0.1:8000/") == 0 {
		t.Error("gunicorn can be reached past nginx")
	}
	// The key is in its file and in the container, and nowhere else that a run leaves something.
	if left := h.Run(t, "grep -rlF '2pe8eih8oah2' /var/lib/provision /run/provision /etc /tmp /var/tmp 2>/dev/null; true"); left != "" {
		t.Errorf("the secret is in %s", left)
	}
	if out, _ := exec.Command("grep", "-rlF", "2pe8eih8oah2", b.path(".provision")).Output(); len(out) > 0 {
		t.Errorf("the secret is in %s", out)
	}
}

// checkDrift disturbs the server in one way after the other.
func checkDrift(t *testing.T, h *testhost.Host, b *book) {
	proof := h.Run(t, getProof)
	for _, c := range []struct {
		name   string
		before func()
		want   []string
		in     string // what the plan says of the first of them
	}{
		{
			"a container is killed", func() { h.Run(t, "docker kill project-project-1") },
			[]string{"module.app.step.compose.app update"},
			"service project",
		},
		{
			"a file is edited there, and another one dropped here", func() {
				h.Run(t, "echo '# by hand' >>"+project+"/project/urls.py")
				if err := os.Remove(b.path("app/pages/tests.py")); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"module.app.step.compose.app update"},
			"project/urls.py",
		},
		{
			"the secret changes", func() { b.write(".envs/.production", strings.Replace(productionEnv, "2pe8", "9xk3", 1)) },
			[]string{"module.app.step.env_file.env update", "module.app.step.compose.app run"},
			"content",
		},
	} {
		c.before()
		plan := b.plan()
		if diff := cmp.Diff(c.want, withoutChecks(plan.changes())); plan.exit != 2 || diff != "" {
			t.Fatalf("%s: the plan exits with %d, want 2 and just that (-want +got):\n%s\n%s", c.name, plan.exit, diff, plan.dump())
		}
		addr, _, _ := strings.Cut(c.want[0], " ")
		if got := fmt.Sprint(plan.planned(addr).Diff); !strings.Contains(got, c.in) {
			t.Errorf("%s: the plan of %s does not name %s: %s", c.name, addr, c.in, got)
		}
		b.applied()
		b.converged()
	}
	if h.Status(t, "test -e "+project+"/pages/tests.py") == 0 {
		t.Error("the file that the project dropped is still there")
	}
	if now := h.Run(t, getProof); now == proof {
		t.Error("the new secret is not in force")
	}
	if got := h.Run(t, getPage); strings.Contains(got, "Visit 1,") {
		t.Error("the database was lost")
	}
}

// withoutChecks leaves out the checks, which run in every plan that changes something.
func withoutChecks(list []string) []string {
	var rest []string
	for _, s := range list {
		if !strings.HasPrefix(s, "check.") {
			rest = append(rest, s)
		}
	}
	return rest
}

// checkBrokenRelease deploys what cannot start. The log must be shown, and what ran before must serve again.
func checkBrokenRelease(t *testing.T, h *testhost.Host, b *book) {
	wsgi, err := os.ReadFile(b.path("app/project/wsgi.py"))
	if err != nil {
		t.Fatal(err)
	}
	b.write("app/project/wsgi.py", string(wsgi)+"\nraise RuntimeError('the wheel came off')\n")
	o := b.apply()
	if o.exit != 1 {
		t.Fatalf("a broken release: exit %d, want 1\n%s", o.exit, o.dump())
	}
	end := o.end("module.app.step.compose.app")
	if text := o.output("module.app.step.compose.app"); !strings.Contains(text, "the wheel came off") {
		t.Errorf("the log of the broken release is not shown: %q\n%+v", text, end)
	}
	if end.Error == nil || !strings.Contains(end.Error.Message, "rolled back") {
		t.Errorf("the failure does not tell of the rollback: %+v", end.Error)
	}
	if got := h.Run(t, getPage); !strings.Contains(got, "It rides.") {
		t.Errorf("the release before does not serve again:\n%s", got)
	}
	b.write("app/project/wsgi.py", string(wsgi))
	b.applied()
	b.converged()
}

// checkSupervised has supervisor hold the project, as the runbook does.
func checkSupervised(t *testing.T, h *testhost.Host, b *book) {
	b.applied("--var", "supervised=true")
	if o := b.plan("--var", "supervised=true"); o.exit != 0 {
		t.Errorf("plan after apply: exit %d, want 0 for an empty one; changes: %v", o.exit, o.changes())
	}
	status := h.Run(t, "su - bicycle -c 'supervisorctl -c ~/etc/supervisord.conf status'")
	if !strings.Contains(status, "project") || !strings.Contains(status, "RUNNING") {
		t.Errorf("supervisor does not run the project: %q", status)
	}
	if got := h.Run(t, "ps -o user= -C supervisord; systemctl is-enabled supervisord-bicycle"); got != "bicycle\nenabled\n" {
		t.Errorf("supervisord is %q, want the user's and enabled", got)
	}
	if got := h.Run(t, getPage); !strings.Contains(got, "It rides.") {
		t.Errorf("the site does not answer:\n%s", got)
	}
}
