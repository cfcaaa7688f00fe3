package sim

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// legacyCalls are those that only old architectures have.
func legacyCalls() []call { return nil }
