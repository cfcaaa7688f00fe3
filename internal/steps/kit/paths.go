package kit

import "fmt"

// ProtectedPath tells whether removing a path would take the system with it.
func ProtectedPath(p string) bool {
	switch p {
	case "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp",
		"/usr", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/local", "/usr/local/bin", "/usr/sbin", "/usr/share",
		"/var", "/var/cache", "/var/lib", "/var/log", "/var/spool", "/var/tmp":
		return true
	}
	return false
}

// NotA is the error for a path that holds something else than it should.
func NotA(path, found, wanted string) error {
	if found == "other" {
		found = "device, pipe or socket"
	}
	if found == "symlink" {
		return fmt.Errorf("%s is a symbolic link, not a %s; name the path that it leads to, or remove the link first", path, wanted)
	}
	return fmt.Errorf("%s is a %s, not a %s; move it away, or name another path", path, found, wanted)
}
