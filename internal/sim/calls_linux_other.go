//go:build linux && !amd64 && !arm64

package sim

const auditArch = 0

func legacyCalls() []call { return nil }
