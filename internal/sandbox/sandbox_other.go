//go:build !linux

package sandbox

import (
	"context"
	"fmt"
	"runtime"
)

// MaybeChild does nothing here: only on Linux does a sandbox run in children of this executable.
func MaybeChild() {}

func start(context.Context, Options) (*Sandbox, error) {
	return nil, fmt.Errorf("a sandbox needs the namespaces and overlay mounts of Linux, and this is %s: "+
		"run provision in a Linux virtual machine or container, or use a real host", runtime.GOOS)
}
