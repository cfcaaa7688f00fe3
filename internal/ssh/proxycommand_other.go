//go:build !unix

package ssh

import "os/exec"

func ownGroup(*exec.Cmd) {}

func ownSession(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
