package testhost

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The commands by which a person turns a fresh CentOS 7 into a host of compose projects, as typed.
func TestMirrorServesWhatAPersonInstalls(t *testing.T) {
	site, base := Mirror(t), BaseImage(t)
	h := EL7(t)
	run := func(script string) string {
		t.Helper()
		return strings.TrimSpace(h.Run(t, "exec 2>&1; set -e; "+script))
	}
	run("sed -i -e 's,^mirrorlist=,#&,' -e 's,^#baseurl=http://mirror.centos.org/centos/$releasever," +
		"baseurl=" + site.Vault + ",' /etc/yum.repos.d/CentOS-Base.repo")
	if got := h.Status(t, "yum -q check-update"); got != 100 {
		t.Errorf("yum check-update on a fresh host exits %d, want 100 for updates", got)
	}
	run("yum -y update")
	if got := h.Status(t, "yum -q check-update"); got != 0 {
		t.Errorf("yum check-update after an update exits %d, want 0", got)
	}
	run("grep -q " + site.Host + " /etc/yum.repos.d/CentOS-Base.repo") // the update left what a person had edited

	run("yum install -y wget gcc make openssl-devel bzip2-devel expat-devel gdbm-devel readline-devel sqlite-devel zlib-devel libffi-devel git")
	if got := run("rpm -q --queryformat '%{VERSION}' sqlite-devel"); got != "3.7.17" {
		t.Errorf("sqlite-devel is %s, want CentOS 7's 3.7.17", got)
	}
	run("printf '#include <openssl/ssl.h>\nint main(void) { return !TLS_method(); }\n' >/tmp/a.c && cc -o /tmp/a /tmp/a.c -lssl -lcrypto && /tmp/a")
	for _, a := range []Archive{site.SQLite, site.Python} {
		run("cd /tmp; wget -q " + a.URL + "; echo " + a.SHA256 + " " + filepath.Base(a.URL) + " | sha256sum -c; tar zxf " + filepath.Base(a.URL))
		run("test -x /tmp/" + strings.TrimSuffix(strings.TrimSuffix(filepath.Base(a.URL), ".tar.gz"), ".tgz") + "/configure")
	}

	run("yum install -y yum-utils device-mapper-persistent-data lvm2")
	run("yum-config-manager --add-repo " + site.DockerRepo)
	run("yum install -y docker-ce docker-ce-cli containerd.io docker-buildx-plugin docker-compose-plugin")
	if h.Status(t, "systemctl is-active docker || systemctl is-enabled docker") == 0 {
		t.Error("docker runs, or would after a reboot, though nobody said so: not so with Docker's own rpms")
	}
	run("systemctl start docker; getent group docker")
	composeUp(t, h, site, base)
}

// composeUp builds and starts a project of two services from the base image; one of them installs by pip while it is built.
func composeUp(t *testing.T, h *Host, site Site, base Image) {
	t.Helper()
	image, err := os.Open(base.File)
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	load := exec.CommandContext(t.Context(), h.docker.client, "exec", "-i", h.Name, "docker", "load")
	load.Stdin = image
	if out, err := load.CombinedOutput(); err != nil {
		t.Fatalf("docker load: %v\n%s", err, out)
	}
	h.Run(t, `
mkdir -p /srv/app && cd /srv/app
cat >Dockerfile <<'END'
ARG BASE
FROM $BASE
RUN pip install --root-user-action=ignore --index-url `+site.PyPI+` --trusted-host `+site.Host+` pipenv supervisor docker-compose django gunicorn
RUN pipenv --version && supervisord --version && docker-compose version
COPY wsgi.py /app/
WORKDIR /app
CMD ["gunicorn", "-b", "0.0.0.0:8000", "wsgi"]
END
cat >wsgi.py <<'END'
import django
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"django " + django.get_version().encode()]
END
cat >nginx.Dockerfile <<'END'
ARG BASE
FROM $BASE
RUN printf 'server { listen 80; location / { proxy_pass http://app:8000; } }' >/etc/nginx/sites-enabled/default
CMD ["nginx", "-g", "daemon off;"]
END
cat >production.yml <<'END'
services:
  app:
    build: {context: ., args: {BASE: "`+base.Name+`"}}
  nginx:
    build: {context: ., dockerfile: nginx.Dockerfile, args: {BASE: "`+base.Name+`"}}
    ports: ["80:80"]
    depends_on: [app]
END
docker compose -f production.yml up --build -d --wait`)
	if got := h.Run(t, "curl -fsS --retry 20 --retry-delay 1 --retry-all-errors http://127.0.0.1/"); !strings.HasPrefix(got, "django 3.") {
		t.Errorf("the project answers %q", got)
	}
}

func TestCacheHoldsWholeThingsOnly(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the cache is root's")
	}
	name := "test-" + randomHex(6)
	t.Cleanup(func() { os.RemoveAll(filepath.Join(cacheDir, name)) })
	half := errors.New("half way")
	_, err := cached(t.Context(), name, func(work string) error {
		return errors.Join(os.WriteFile(filepath.Join(work, "file"), []byte("half"), 0o600), half)
	})
	if !errors.Is(err, half) {
		t.Errorf("error %v, want the one of filling", err)
	}
	for _, text := range []string{"whole", "never written"} {
		dir, err := cached(t.Context(), name, func(work string) error {
			return os.WriteFile(filepath.Join(work, "file"), []byte(text), 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, "file")); string(got) != "whole" {
			t.Errorf("the cache holds %q", got)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(cacheDir, name+".*")); left != nil {
		t.Errorf("left over: %q", left)
	}
}

func TestImageIsNewWhenItsBaseIs(t *testing.T) {
	base, other := recipe{name: "base", packages: []string{"dash"}}, recipe{name: "base"}
	if a, b := (recipe{name: "x", from: &base}).tag(), (recipe{name: "x", from: &other}).tag(); a == b {
		t.Errorf("images from different bases are both %s", a)
	}
	if el7().tag() == debian().tag() {
		t.Error("an EL7 host could be taken for a Debian host")
	}
}
