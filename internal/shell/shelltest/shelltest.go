// Package shelltest runs shells of this machine as the /bin/sh of a host, for tests and benchmarks.
package shelltest

import (
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// Nobody is the user that scripts run as where the tests are root, so that hosts keep their state in a home directory of their own.
const Nobody = 65534

// Command starts a shell by its words, such as "busybox", "sh", or as /bin/sh if there are none. Where the machine allows it, the shell is
// /bin/sh to whatever it starts too: on a host there is no other. The command, its environment and directory are for the caller to complete.
func Command(words ...string) *exec.Cmd {
	if len(words) == 0 {
		words = []string{"/bin/sh"}
	}
	switch {
	case os.Getuid() != 0:
		return exec.Command(words[0], words[1:]...)
	case words[0] == "/bin/sh" || !Everywhere():
		cmd := exec.Command(words[0], words[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: Nobody, Gid: Nobody}}
		return cmd
	}
	path, err := exec.LookPath(words[0])
	if err != nil {
		path = words[0]
	}
	return exec.Command("unshare", append([]string{
		"--mount", "--propagation", "private", "sh", "-c",
		`mount --bind "$0" /bin/sh && exec setpriv --reuid=65534 --regid=65534 --clear-groups "$0" "$@"`, path,
	}, words[1:]...)...)
}

// Everywhere tells whether Command can make a shell the /bin/sh of what it starts.
var Everywhere = sync.OnceValue(func() bool {
	return os.Getuid() == 0 &&
		exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", "mount --bind /bin/true /bin/sh && setpriv --version").Run() == nil
})
