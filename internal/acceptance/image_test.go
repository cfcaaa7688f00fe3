//go:build acceptance

package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"provision/internal/testhost"
)

// makeArchives writes the archives of one image, each under the name of its form, with sh in a host: the image app:1.2 with two layers and
// an environment, and the same layers with another.
const makeArchives = `set -e
mkdir -p /root/archives /root/build
cd /root/build
echo 1 >release
printf 'FROM test/busybox\nENV A=b\nCOPY release /release\nVOLUME /v\nHEALTHCHECK CMD true\nLABEL a="b c"\nCMD ["cat", "/release"]\n' >Dockerfile
docker build -q -t app:1.2 . >/dev/null
printf 'FROM app:1.2\nENV A=c\n' | docker build -q -t changed:1 - >/dev/null
docker tag app:1.2 r.example.org:5000/me/app:2
tar -c release | docker import --platform linux/arm64 - other:1 >/dev/null
cd /root/archives
export PODMAN_IGNORE_CGROUPSV1_WARNING=1
docker save app:1.2 >docker.tar
docker save app:1.2 | gzip >docker.tar.gz
docker save app:1.2 r.example.org:5000/me/app:2 >two-names.tar
docker tag changed:1 app:1.2
docker save app:1.2 >changed.tar
docker save other:1 >platform.tar
podman tag "$(podman load -q -i docker.tar | sed "s/.*: //")" localhost/app:1.2
podman save -q --format docker-archive -o podman.tar localhost/app:1.2
podman save -q --format oci-archive -o podman-oci.tar localhost/app:1.2
skopeo copy -q docker-archive:docker.tar docker-archive:skopeo.tar:app:1.2
skopeo copy -q docker-archive:docker.tar docker-archive:skopeo-nameless.tar
skopeo copy -q docker-archive:docker.tar oci-archive:skopeo-oci.tar:app:1.2
skopeo copy -q docker-archive:changed.tar oci-archive:skopeo-oci-changed.tar:app:1.2
# Without the last layer, whose file has the release.
mkdir thin
tar -xf docker.tar -C thin
find thin/blobs -type f | while read -r f; do if tar -tf "$f" 2>/dev/null | grep -qx release; then rm "$f"; fi; done
tar -C thin -cf thin.tar .
docker image prune -af >/dev/null
rm -r thin /var/lib/docker/podman
`

// TestImageOfEveryArchive loads one image from archives that docker, podman and skopeo wrote, into an engine with its own store and one with
// that of containerd: loaded once, there is nothing to do, and what happens to it by hand is seen and mended.
func TestImageOfEveryArchive(t *testing.T) {
	h := testhost.Fresh(t, testhost.Images())
	h.Run(t, makeArchives)
	b := newBook(t, h, "")
	for _, name := range strings.Fields(h.Run(t, "ls /root/archives")) {
		b.write(name, h.Run(t, "cat /root/archives/"+name))
	}
	olderArchive(t, b)
	load := func(archive, args string) {
		b.steps(fmt.Sprintf("step \"docker_image\" \"app\" {\n  load = %q\n%s\n}\n", archive, args))
	}
	settled := func() {
		t.Helper()
		b.applied()
		b.converged()
	}
	says := func(o outcome, exit int, text string) {
		t.Helper()
		if o.exit != exit || !strings.Contains(o.stdout+o.stderr, text) {
			t.Errorf("exit %d, want %d and %q\n%s", o.exit, exit, text, o.dump())
		}
	}
	runs := func(name, want string) {
		t.Helper()
		if got := h.Run(t, "docker run --rm --network none "+name+" sh -c 'echo $A $(cat /release)'"); got != want+"\n" {
			t.Errorf("%s prints %q, want %q", name, got, want)
		}
	}
	for _, store := range []string{"overlay2", "containerd"} {
		h.Run(t, "mkdir -p /etc/docker; echo '{\"features\":{\"containerd-snapshotter\":"+fmt.Sprint(store == "containerd")+"}}' >/etc/docker/daemon.json; systemctl restart docker")
		for _, c := range []struct{ archive, args, name string }{
			{"older.tar", "name = \"app:1.2\"", "app:1.2"},
			{"docker.tar", "", "app:1.2"},
			{"docker.tar.gz", "", "app:1.2"},
			{"two-names.tar", "", "r.example.org:5000/me/app:2"},
			{"podman.tar", "", "localhost/app:1.2"},
			{"podman.tar", "name = \"app\"", "app:latest"},
			{"podman-oci.tar", "", "localhost/app:1.2"},
			{"skopeo.tar", "", "app:1.2"},
			{"skopeo-nameless.tar", "name = \"app:1.2\"", "app:1.2"},
			{"skopeo-oci.tar", "", "app:1.2"},
		} {
			t.Run(store+"/"+c.archive, func(t *testing.T) {
				h.Run(t, "docker image prune -af >/dev/null; docker images -aq | sort -u | xargs -r docker rmi -f >/dev/null; [ -z \"$(docker images -aq)\" ]")
				load(c.archive, c.args)
				if store == "overlay2" && strings.Contains(c.archive, "oci") {
					says(b.plan(), 1, "OCI layout alone")
					return
				}
				settled()
				runs(c.name, "b 1")
			})
		}

		t.Run(store+"/by hand", func(t *testing.T) {
			load("two-names.tar", "")
			settled()
			h.Run(t, "docker image rm app:1.2")
			says(b.plan(), 2, "without the name")
			settled()
			h.Run(t, "docker image rm app:1.2 r.example.org:5000/me/app:2; [ -z \"$(docker images -q)\" ]")
			says(b.plan(), 2, "from two-names.tar")
			settled()
			load("changed.tar", "") // the same layers
			says(b.plan(), 2, "another configuration")
			settled()
			runs("app:1.2", "c 1")
			if store == "containerd" {
				// The name of an OCI archive is stored in a form that is not found again: what is found is the other image.
				load("skopeo-oci.tar", "")
				settled()
				runs("app:1.2", "b 1")
				load("skopeo-oci-changed.tar", "")
				settled()
				runs("app:1.2", "c 1")
			}
			// An engine that lacks a layer has no use for an archive without it, and says so or not.
			h.Run(t, "docker images -aq | sort -u | xargs -r docker rmi -f >/dev/null; docker builder prune -af >/dev/null; tar -C /root/build -c Dockerfile | docker import - app:1.2")
			before := h.Run(t, "docker image inspect --format '{{.Id}}' app:1.2")
			load("thin.tar", "")
			says(b.apply(), 1, "docker load")
			if after := h.Run(t, "docker image inspect --format '{{.Id}}' app:1.2"); after != before {
				t.Errorf("the name has moved from %s to %s", before, after)
			}
			h.Run(t, "! docker images | grep provision-meanwhile")
			h.Run(t, "docker rmi -f app:1.2")
			load("platform.tar", "")
			says(b.plan(), 1, "an image for linux/arm64, and this host is linux/amd64")
			load("platform.tar", "platform = \"linux/arm64\"")
			settled()
		})
	}
}

// olderArchive has the engine of this machine, which may be older than that of the host, write an archive too.
func olderArchive(t *testing.T, b *book) {
	t.Helper()
	docker := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	id := strings.TrimSpace(strings.TrimPrefix(docker("load", "--quiet", "--input", b.path("skopeo-nameless.tar")), "Loaded image ID: "))
	name := fmt.Sprintf("provision-test-archived-%d:1.2", os.Getpid())
	docker("tag", id, name)
	docker("save", "--output", b.path("older.tar"), name)
	docker("image", "rm", name)
}
