//go:build acceptance

package acceptance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"provision/internal/testhost"
)

func TestMain(m *testing.M) { testhost.Main(m) }

// binary returns the path of the command, which is built once. The file has no name any more, so that nothing is left of it when the
// tests end in whatever way; the open descriptor is its path. PROVISION_BINARY names one to test in its place, such as a release.
var binary = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("PROVISION_BINARY"); given != "" {
		return given, nil
	}
	dir, err := os.MkdirTemp("", "provision-acceptance-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "provision")
	if out, err := exec.Command("go", "build", "-o", path, "provision/cmd/provision").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the command: %w\n%s", err, out)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	descriptors.Store(path, file)
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd()), nil
})

// descriptors keeps the garbage collector from closing the binary.
var descriptors sync.Map
