//go:build linux && !amd64 && !arm64

package sim

func legacyCalls() []call { return nil }
