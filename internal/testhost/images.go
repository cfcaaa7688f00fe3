package testhost

// Images makes hosts like those of [Compose] that also have podman and skopeo, which write other archives of images than docker does, and
// supervisor.
func Images() Option {
	return func(s *setup) {
		s.recipe = imagesHost
		// The store of containerd cannot stand on the file system of a container.
		s.flags = append(s.flags, "--volume", "/var/lib/containerd")
	}
}

func imagesHost() recipe {
	from := composeHost()
	return recipe{
		name: "images", suite: from.suite, from: &from,
		packages: []string{"podman", "skopeo", "supervisor"},
		// podman's usual driver finds nothing to stand on in a container.
		setup: `systemctl --quiet disable supervisor podman.socket
mkdir -p /etc/containers
printf '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/docker/podman"\n' >/etc/containers/storage.conf`,
		prepare: from.prepare, environment: aptOf(from.suite),
	}
}
