package testhost

import (
	"os"
	"strings"
	"testing"
)

// EL7Image returns the name of an image with the system of [EL7] hosts, keys of its packages included, for tests that boot it by other
// means than this package. Docker keeps it. With PROVISION_TEST_CENTOS7_IMAGE it is that very image, untouched.
func EL7Image(t testing.TB) string {
	t.Helper()
	docker := require(t)
	from := el7()
	r := recipe{name: "el7-bootable", from: &from, setup: from.prepare}
	if image := os.Getenv(centos7Variable); image != "" {
		r = recipe{name: "centos7-upstream", image: image}
	} else {
		// As part of the recipe the variables are part of the image's name too.
		env, err := from.environment(t.Context(), docker)
		if err != nil {
			t.Fatalf("preparing an image: %v", err)
		}
		for _, v := range env {
			name, value, _ := strings.Cut(v, "=")
			r.setup = name + "='" + strings.ReplaceAll(value, "'", `'\''`) + "'\n" + r.setup
		}
	}
	image, err := r.ensure(t.Context(), docker)
	if err != nil {
		t.Fatalf("making an image: %v", err)
	}
	return image
}

// DebianImage returns the name of the image of [Debian] hosts, like [EL7Image].
func DebianImage(t testing.TB) string {
	t.Helper()
	docker := require(t)
	image, err := debian().ensure(t.Context(), docker)
	if err != nil {
		t.Fatalf("making an image: %v", err)
	}
	return image
}
