package testhost

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// mirrorLimit bounds the making of the content, which takes a minute or two on an idle machine.
	mirrorLimit = 20 * time.Minute
	dockerRepo  = "https://download.docker.com/linux/centos/docker-ce.repo"
)

//go:embed mirror
var mirrorFiles embed.FS

// A Site is a web server with what an [EL7] host can install. Its URLs are good on every test host, in containers on those, and on
// this machine.
type Site struct {
	URL        string // http://ADDRESS, no slash at the end
	Vault      string // what stands for http://mirror.centos.org/centos/7 in yum's repositories: os, updates and extras lie under it
	DockerRepo string // docker-ce.repo, for yum-config-manager --add-repo
	PyPI       string // for pip's --index-url; pip wants --trusted-host too, see Host
	Host       string // the address alone
	SQLite     Archive
	Python     Archive // 3.11
}

// An Archive is a source archive as its project publishes it, a .tar.gz with one directory and a configure in that.
type Archive struct {
	Version string
	URL     string
	SHA256  string // hexadecimal
}

// Mirror returns the web server that all tests of this process share. It is started by the first caller and removed by [Main].
// Its rpms wrap Debian's packages under the names that CentOS 7 and Docker's site have for them, and are signed; its wheels are made
// of Debian's Python packages. All that is made on first use, from Debian's mirror, and kept. With CentOS 7 itself as [EL7] host the
// rpms would be too new: then Vault and DockerRepo are the public ones.
func Mirror(t testing.TB) Site {
	t.Helper()
	docker := require(t)
	site, err := startMirror(t.Context(), docker)
	if err != nil {
		t.Fatalf("starting the mirror: %v", err)
	}
	return site
}

// serveScript makes the address part of the one file that names it. Everything else is served as it lies.
const serveScript = `
address=$(ip -4 -o address show eth0 | sed 's,.* inet \([0-9.]*\)/.*,\1,')
cd /srv
ln -s /content/[!d]* .
mkdir -p docker/linux/centos
ln -s /content/docker/linux/centos/* docker/linux/centos/
rm docker/linux/centos/docker-ce.repo
sed "s,@MIRROR@,http://$address," /content/docker/linux/centos/docker-ce.repo >docker/linux/centos/docker-ce.repo
exec busybox httpd -f -p 80 -h /srv
`

func startMirror(ctx context.Context, docker engine) (Site, error) {
	own, err := self()
	if err != nil {
		return Site{}, err
	}
	name := fmt.Sprintf("%s%d-%s-mirror", namePrefix, own.pid, own.start)
	unlock, err := lock(ctx, name)
	if err != nil {
		return Site{}, err
	}
	defer unlock()
	content, err := mirrorContent(ctx, docker)
	if err != nil {
		return Site{}, err
	}
	if _, err := docker.run(ctx, nil, "inspect", name); err != nil {
		image, err := debian().ensure(ctx, docker)
		if err != nil {
			return Site{}, err
		}
		_, err = docker.run(ctx, nil, "run", "--detach", "--pull=never", "--name", name, "--label", ownerLabel+"="+own.String(),
			"--volume", content+":/content:ro", "--tmpfs", "/srv", image, "/bin/sh", "-euc", serveScript)
		if err != nil {
			return Site{}, errors.Join(err, remove(ctx, docker, name))
		}
	}
	err = poll(ctx, time.Minute, func(ctx context.Context) error {
		_, err := docker.exec(ctx, name, nil, "curl -fsS -o /dev/null http://127.0.0.1/docker/linux/centos/docker-ce.repo")
		return err
	})
	if err != nil {
		logs, _ := docker.run(ctx, nil, "logs", name)
		return Site{}, fmt.Errorf("it does not answer: %w\n%s", err, logs)
	}
	address, err := docker.run(ctx, nil, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name)
	if err != nil {
		return Site{}, err
	}
	return newSite(strings.TrimSpace(address), content)
}

// newSite reads what there is in the content's own index.
func newSite(address, content string) (Site, error) {
	text, err := os.ReadFile(filepath.Join(content, "src/index.json"))
	if err != nil {
		return Site{}, err
	}
	var index map[string]struct{ Version, Path, SHA256 string }
	if err := json.Unmarshal(text, &index); err != nil {
		return Site{}, fmt.Errorf("the mirror's index of sources: %w", err)
	}
	url := "http://" + address
	archive := func(name string) Archive {
		a := index[name]
		return Archive{Version: a.Version, URL: url + "/" + a.Path, SHA256: a.SHA256}
	}
	site := Site{
		URL: url, Host: address, Vault: url + "/7.9.2009", DockerRepo: url + "/docker/linux/centos/docker-ce.repo", PyPI: url + "/pypi/simple",
		SQLite: archive("sqlite"), Python: archive("python"),
	}
	if os.Getenv(centos7Variable) != "" {
		site.Vault, site.DockerRepo = centos7Vault(), dockerRepo
	}
	return site, nil
}

// mirrorContent returns the directory of what the mirror serves, made now if it is not there.
func mirrorContent(ctx context.Context, docker engine) (dir string, err error) {
	tools := rpmTools()
	sum := sha256.Sum256([]byte(tools.tag() + contents(mirrorFiles) + contents(releaseFiles)))
	return cached(ctx, "mirror-"+hex.EncodeToString(sum[:6]), func(work string) error {
		ctx, cancel := context.WithTimeout(ctx, mirrorLimit)
		defer cancel()
		image, err := tools.ensure(ctx, docker)
		if err != nil {
			return err
		}
		b, err := newBox(ctx, docker, "mirror", image, mirrorFiles, "--volume", work+":/out")
		if err != nil {
			return err
		}
		defer b.remove(ctx)
		if err := b.copy(ctx, releaseFiles); err != nil {
			return err
		}
		env, err := aptOf("bookworm")(ctx, docker)
		if err != nil {
			return err
		}
		newer, err := machineApt(ctx, "trixie")
		if err != nil {
			return err
		}
		return b.exec(ctx, append(env, "TRIXIE_SOURCES="+newer.sources), aptScript+"sh -eu /mirror/build.sh")
	})
}
