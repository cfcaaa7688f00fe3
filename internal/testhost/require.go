package testhost

import (
	"fmt"
	"os"
	"runtime"
	"testing"
)

// Require skips the test, saying why, where no test host can be started: elsewhere than on Linux, without root, or without Docker.
// With PROVISION_CI=1 it fails the test instead, so that a machine that should run it all cannot pass by running nothing. It starts
// dockerd if none runs, and leaves it running.
func Require(t testing.TB) {
	t.Helper()
	require(t)
}

func require(t testing.TB) engine {
	t.Helper()
	docker, err := available(t)
	if err != nil {
		unavailable(t, os.Getenv("PROVISION_CI") == "1", err)
	}
	return docker
}

func available(t testing.TB) (engine, error) {
	if runtime.GOOS != "linux" {
		return engine{}, fmt.Errorf("they need Linux, this is %s", runtime.GOOS)
	}
	if os.Geteuid() != 0 {
		return engine{}, fmt.Errorf("they need root: containers that boot systemd, and an image made with debootstrap")
	}
	if docker, err := findEngine(t.Context()); err == nil {
		return docker, nil
	}
	return startEngine(t.Context())
}

func unavailable(t testing.TB, fail bool, reason error) {
	t.Helper()
	if fail {
		t.Fatalf("NO TEST HOSTS, and PROVISION_CI=1 demands them: %v", reason)
		return
	}
	t.Skipf("NO TEST HOSTS, this test does not run: %v", reason)
}
