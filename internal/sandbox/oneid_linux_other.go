//go:build linux && !amd64 && !arm64

package sandbox

// auditArch of 0 says that nobody has seen to the calls of this architecture.
const auditArch = 0

func ownershipCalls() map[int]call { return nil }
