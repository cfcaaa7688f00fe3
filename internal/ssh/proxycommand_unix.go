//go:build unix

package ssh

import (
	"os/exec"
	"syscall"
)

// ownGroup gives the command a process group, so that an interrupt at the terminal does not cut the connection and all of the
// command can be ended.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// ownSession gives the command a session of its own, so that it has no terminal either.
func ownSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
