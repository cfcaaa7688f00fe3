package seccomp

import "golang.org/x/sys/unix"

// Arch is the architecture of this program's system calls; 0 if nobody has seen to those of this one.
const Arch = unix.AUDIT_ARCH_AARCH64
