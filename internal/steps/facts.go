package steps

import (
	_ "embed"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

// Facts is what is known about a host before any step is planned. FactsScript gathers it.
type Facts struct {
	OSID, OSName, OSVersion string   // ID, PRETTY_NAME, VERSION_ID of os-release(5)
	OSLike                  []string // ID followed by ID_LIKE, so that "rhel" or "debian" is found in it
	Arch, Kernel, Hostname  string   // uname -m, -r, -n
	CPUs                    int
	MemoryMB                int    // MiB of physical memory
	User, Home              string // of the login
	IsRoot                  bool   // the login user is root
	PackageManager          string // yum, dnf, apt, apk, zypper, pacman or "" (Red Hat's yum 4 is dnf)
	Init                    string // systemd, openrc, sysv or ""
	SELinux                 string // enforcing, permissive, disabled

	BootID string // /proc/sys/kernel/random/boot_id
	Salt   string // of this run, for the hashes of secrets; not a fact that a playbook sees
}

// FactsScript is the sh that gathers facts. It follows shell.Prelude, sets the variables F_…
// that probes and operations use, and defines print_facts, which prints them for ParseFacts.
//
//go:embed facts.sh
var FactsScript string

// ParseFacts reads the output of print_facts. Lines that it does not know are passed over.
func ParseFacts(out string) *Facts {
	f := &Facts{SELinux: "disabled"}
	for _, line := range strings.Split(out, "\n") {
		key, value, ok := strings.Cut(line, " ")
		if !ok {
			continue
		}
		switch key {
		case "os_id":
			f.OSID = value
		case "os_name":
			f.OSName = value
		case "os_version":
			f.OSVersion = value
		case "os_like":
			f.OSLike = strings.Fields(value)
		case "arch":
			f.Arch = value
		case "kernel":
			f.Kernel = value
		case "hostname":
			f.Hostname = value
		case "cpus":
			f.CPUs, _ = strconv.Atoi(value)
		case "memory_mb":
			f.MemoryMB, _ = strconv.Atoi(value)
		case "user":
			f.User = value
		case "home":
			f.Home = value
		case "is_root":
			f.IsRoot = value == "true"
		case "package_manager":
			f.PackageManager = value
		case "init":
			f.Init = value
		case "selinux":
			f.SELinux = value
		case "boot_id":
			f.BootID = value
		}
	}
	return f
}

// FactType is the type of the object "fact" in expressions.
var FactType = cty.Object(map[string]cty.Type{
	"os": cty.Object(map[string]cty.Type{
		"id": cty.String, "name": cty.String, "version": cty.String, "like": cty.List(cty.String),
	}),
	"arch": cty.String, "kernel": cty.String, "hostname": cty.String,
	"cpus": cty.Number, "memory_mb": cty.Number,
	"user": cty.String, "home": cty.String, "is_root": cty.Bool,
	"package_manager": cty.String, "init": cty.String, "selinux": cty.String,
})

// Value returns the object "fact" for expressions; of nil facts, an unknown one.
func (f *Facts) Value() cty.Value {
	if f == nil {
		return cty.UnknownVal(FactType)
	}
	like := cty.ListValEmpty(cty.String)
	if len(f.OSLike) > 0 {
		values := make([]cty.Value, len(f.OSLike))
		for i, s := range f.OSLike {
			values[i] = cty.StringVal(s)
		}
		like = cty.ListVal(values)
	}
	return cty.ObjectVal(map[string]cty.Value{
		"os": cty.ObjectVal(map[string]cty.Value{
			"id": cty.StringVal(f.OSID), "name": cty.StringVal(f.OSName),
			"version": cty.StringVal(f.OSVersion), "like": like,
		}),
		"arch": cty.StringVal(f.Arch), "kernel": cty.StringVal(f.Kernel), "hostname": cty.StringVal(f.Hostname),
		"cpus": cty.NumberIntVal(int64(f.CPUs)), "memory_mb": cty.NumberIntVal(int64(f.MemoryMB)),
		"user": cty.StringVal(f.User), "home": cty.StringVal(f.Home), "is_root": cty.BoolVal(f.IsRoot),
		"package_manager": cty.StringVal(f.PackageManager), "init": cty.StringVal(f.Init),
		"selinux": cty.StringVal(f.SELinux),
	})
}
