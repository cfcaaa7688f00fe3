//go:build acceptance

package acceptance

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"provision/internal/testhost"
)

// TestInContainer tests a playbook of what the sandbox cannot do on the system of CentOS 7: yum, Docker, a service, a restart of the host.
func TestInContainer(t *testing.T) {
	t.Parallel()
	image, site := testhost.EL7Image(t), testhost.Mirror(t)
	b := newTrialBook(t, fmt.Sprintf(`
variable "greeting" {
  default = "of production"
}

test {
  image = %q
  vars  = { greeting = "of tests" }
}

module "centos7" {
  source  = "provision/centos7"
  baseurl = %q
}

step "user" "app" {
  name = "app"
}

# It runs a container before it is content.
module "docker" {
  source   = "provision/docker"
  baseurl  = "%s/docker/linux"
  versions = {}
  users    = ["app"]
}

step "package" "wget" {
  names = ["wget"]
}

step "file" "greeting" {
  path    = "/srv/greeting"
  owner   = "app"
  content = var.greeting
}

step "file" "unit" {
  path    = "/etc/systemd/system/greeter.service"
  content = "[Service]\nUser=app\nExecStart=/bin/sleep 86400\n[Install]\nWantedBy=multi-user.target\n"
}

step "service" "greeter" {
  name    = "greeter"
  state   = "started"
  enabled = true
}

step "reboot" "now" {
  when      = "always"
  on_change = [step.file.unit]
}

check "all" {
  script = <<-EOT
    set -e
    wget --version
    test "$(cat /srv/greeting)" = "of tests"
    systemctl is-active greeter
    docker info
  EOT
}
`, image, site.Vault, site.URL))
	r := try(t, b, "test", ".")
	name := r.await("true")
	exit, out := r.wait(4 * patience)
	if exit != 0 || !strings.Contains(out, "No changes.") || !strings.Contains(out, "check.all") {
		t.Errorf("exit %d, want 0 with an empty second plan and the check\n%s", exit, out)
	}
	r.gone(name)
}

// TestInContainerRestless names the step that would change something again.
func TestInContainerRestless(t *testing.T) {
	t.Parallel()
	image := testhost.DebianImage(t)
	b := newTrialBook(t, `
step "file" "motd" {
  path    = "/etc/motd"
  content = "one\n"
}

step "command" "spoil" {
  script  = "echo two >/etc/motd; touch /etc/spoilt"
  creates = "/etc/spoilt"
}
`)
	r := try(t, b, "test", ".", "--image", image, "--keep")
	name := r.await("test -e /etc/spoilt")
	exit, out := r.wait(patience)
	_, second, _ := strings.Cut(out, "Planning once more")
	if exit != 1 || !strings.Contains(second, "step.file.motd") || !strings.Contains(second, "-two") && !strings.Contains(second, "- two") || strings.Contains(second, "step.command.spoil") {
		t.Errorf("exit %d, want 1 and the one step with what differs\n%s", exit, out)
	}
	if !strings.Contains(out, "docker exec -it "+name) {
		t.Errorf("it does not say how to look at the container\n%s", out)
	}
	// Kept: the user's now, so that no later run takes it away.
	if got, err := exec.Command("docker", "exec", name, "cat", "/etc/motd").Output(); err != nil || string(got) != "two\n" {
		t.Errorf("the container is not as the test left it: %q, %v", got, err)
	}
	if out, err := exec.Command("docker", "rm", "-f", "-v", name).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	r.gone(name)
}

const endless = `
step "command" "endless" {
  script  = "touch /srv/begun; sleep 86400"
  creates = "/srv/never"
}
`

// TestContainerGoes sees to it that no container stays, however the command ends.
func TestContainerGoes(t *testing.T) {
	t.Parallel()
	image := testhost.DebianImage(t)
	t.Run("interrupted in a step", func(t *testing.T) {
		r := try(t, newTrialBook(t, endless), "test", ".", "--image", image)
		name := r.await("test -e /srv/begun")
		_ = r.cmd.Process.Signal(syscall.SIGINT)
		r.await("ls /run/provision/run-*/stop")
		_ = r.cmd.Process.Signal(syscall.SIGINT)
		if exit, out := r.wait(patience); exit != 130 {
			t.Errorf("exit %d, want 130\n%s", exit, out)
		}
		r.gone(name)
	})
	t.Run("interrupted while it boots", func(t *testing.T) {
		r := try(t, newTrialBook(t, endless), "test", ".", "--image", image)
		name := r.await("true")
		_ = r.cmd.Process.Signal(syscall.SIGINT)
		if exit, out := r.wait(patience); exit != 130 {
			t.Errorf("exit %d, want 130\n%s", exit, out)
		}
		r.gone(name)
	})
	t.Run("killed", func(t *testing.T) {
		b := newTrialBook(t, endless)
		killed := try(t, b, "test", ".", "--image", image)
		name := killed.await("test -e /srv/begun")
		_ = killed.cmd.Process.Kill()
		<-killed.done
		other := try(t, newTrialBook(t, endless), "test", ".", "--image", image)
		other.await("true")
		if !exists(name) {
			t.Fatal("it went away by itself, or another user's run removed it: this test shows nothing")
		}
		b.write("site.hcl", `step "directory" "x" { path = "/srv/x" }`)
		next := try(t, b, "plan", ".", "--sandbox", "--image", image)
		if exit, out := next.wait(patience); exit != 0 {
			t.Errorf("the next run: exit %d\n%s", exit, out)
		}
		next.gone(name)
	})
}

var sshCommand = regexp.MustCompile(`(?m)^ssh -p .*@127\.0\.0\.1$`)

// TestSandboxOfImage reaches a container by the ssh of this machine, by the line that provision sandbox prints.
func TestSandboxOfImage(t *testing.T) {
	t.Parallel()
	image := testhost.DebianImage(t)
	b := newTrialBook(t, "")
	r := try(t, b, "sandbox", "--image", image)
	line := ""
	for deadline := time.Now().Add(patience); line == "" && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		line = sshCommand.FindString(r.output())
	}
	if line == "" {
		t.Fatalf("it does not say how to reach it:\n%s", r.output())
	}
	name := r.await("true")
	var out bytes.Buffer
	ssh := exec.Command("sh", "-c", line+` 'id -un; pwd; systemctl is-system-running; cat; echo wrong >&2; exit 7'`)
	ssh.Stdin, ssh.Stdout = strings.NewReader("of stdin\n"), &out
	err := ssh.Run()
	if want := "root\n/root\nrunning\nof stdin\n"; out.String() != want || ssh.ProcessState.ExitCode() != 7 {
		t.Errorf("%q, %v; want %q and status 7", out.String(), err, want)
	}
	_ = r.cmd.Process.Signal(syscall.SIGINT)
	if exit, out := r.wait(patience); exit != 0 {
		t.Errorf("exit %d, want 0\n%s", exit, out)
	}
	r.gone(name)
}

// TestImageWithoutInit says what is wrong with an image, and leaves nothing.
func TestImageWithoutInit(t *testing.T) {
	t.Parallel()
	image := testhost.BaseImage(t).Name
	if out, err := exec.Command("docker", "load", "-i", testhost.BaseImage(t).File).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r := try(t, newTrialBook(t, endless), "test", ".", "--image", image)
	exit, out := r.wait(patience)
	if exit != 1 || !strings.Contains(out, "has no init") || !strings.Contains(out, "docker build") {
		t.Errorf("exit %d, want 1, the cause, and what to do\n%s", exit, out)
	}
	if left := r.containers(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDjangoInContainer is the first command of someone who tries the example: provision test, without a key or a secret prepared. It
// compiles SQLite and Python: see TestCentOS7Runbook.
func TestDjangoInContainer(t *testing.T) {
	if os.Getenv("PROVISION_CENTOS7") != "1" {
		t.Skip("LEFT OUT: it compiles SQLite and Python and takes ten minutes or more; set PROVISION_CENTOS7=1")
	}
	t.Parallel()
	image, site, base := testhost.EL7Image(t), testhost.Mirror(t), testhost.BaseImage(t)
	b := newTrialBook(t, "")
	copyTree(t, "../../examples/django-centos7/.", b.dir)
	if err := os.Remove(b.path("site.hcl")); err != nil {
		t.Fatal(err)
	}
	b.write("mirror.hcl.vars", mirrorVars(site, base))
	r := try(t, b, "test", ".", "--image", image, "--var-file", "mirror.hcl.vars")
	exit, out := r.wait(buildPatience)
	if exit != 0 || !strings.Contains(out, "No changes.") {
		t.Errorf("exit %d, want 0 and an empty second plan\n%s", exit, out)
	}
	for _, check := range []string{"check.site", "check.static", "check.secret"} {
		if !strings.Contains(out, check) {
			t.Errorf("%s did not run", check)
		}
	}
	if left := r.containers(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// mirrorVars points the example at the mirror. What it builds is not optimized, which takes a third of the time.
func mirrorVars(site testhost.Site, base testhost.Image) string {
	return fmt.Sprintf(`
vault      = %q
docker     = { baseurl = "%s/docker/linux", versions = {} }
sqlite     = { release = %q, url = %q, sha256 = %q, configure = ["CFLAGS=-O0"] }
python     = { release = %q, url = %q, sha256 = %q, configure = ["CFLAGS=-O0", "--disable-test-modules"] }
pypi       = %q
pipenv     = "latest"
base_image = { name = %q, archive = %q }
`, site.Vault, site.URL, site.SQLite.Version, site.SQLite.URL, site.SQLite.SHA256,
		site.Python.Version, site.Python.URL, site.Python.SHA256, site.PyPI, base.Name, base.File)
}
