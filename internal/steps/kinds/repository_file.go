package kinds

import (
	_ "embed"
	"fmt"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed repository.sh
var repositoryScriptSource string

//go:embed repository_probe.sh
var repositoryProbeSource string

func (r *repository) armored() bool {
	return strings.HasPrefix(strings.TrimSpace(r.SignedBy), "-----BEGIN PGP PUBLIC KEY BLOCK-----")
}

// keyPath is the file of the key on the host; "" for none.
func (r *repository) keyPath() string {
	if r.SignedBy == "" || strings.HasPrefix(r.SignedBy, "/") {
		return r.SignedBy
	}
	return "/etc/apt/keyrings/" + r.Name + ".asc"
}

// key is the content of the key file when the key is given as text.
func (r *repository) key() string { return strings.TrimSpace(r.SignedBy) + "\n" }

// planLine is the plan for apk, whose repositories are lines of one file.
func (r *repository) planLine(obs steps.Observation) steps.Change {
	there, _ := obs.Get("line")
	wanted := yesNo(r.State == "present" && r.Enabled)
	if there == wanted {
		return steps.Change{Action: steps.NoOp}
	}
	change := steps.Change{
		Action: steps.Create, Diff: []steps.Attr{{Name: "line", BeforeMissing: true, After: r.BaseURL}},
		Ops: []steps.Op{steps.Run{Script: shell.Strip(repositoryScriptSource) + "apk_repository " + shell.Words(r.BaseURL, wanted) + "\n"}},
	}
	if wanted == "no" {
		change.Action = steps.Delete
		change.Diff = []steps.Attr{{Name: "line", Before: r.BaseURL, AfterMissing: true}}
		change.Dangers = []string{"removes repository " + r.BaseURL}
	}
	return change
}

// content is the file of the repository for a family of package managers.
func (r *repository) content(manager string) string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			b.WriteString(key + value + "\n")
		}
	}
	flag := func(yes bool) string { return map[bool]string{true: "1", false: "0"}[yes] }
	if manager == "apt" {
		types := r.Types
		if len(types) == 0 {
			types = []string{"deb"}
		}
		line("Types: ", strings.Join(types, " "))
		line("URIs: ", strings.Join(r.URIs, " "))
		line("Suites: ", strings.Join(r.Suites, " "))
		line("Components: ", strings.Join(r.Components, " "))
		line("Architectures: ", strings.Join(r.Architectures, " "))
		line("Signed-By: ", r.keyPath())
		if !r.Enabled {
			line("Enabled: ", "no")
		}
		if !r.GPGCheck {
			line("Trusted: ", "yes")
		}
		return b.String()
	}
	if manager == "apk" {
		return r.BaseURL + "\n"
	}
	description := r.Description
	if description == "" {
		description = r.Name
	}
	b.WriteString("[" + r.Name + "]\n")
	line("name=", description)
	line("baseurl=", r.BaseURL)
	line("mirrorlist=", r.MirrorList)
	line("metalink=", r.Metalink)
	line("enabled=", flag(r.Enabled))
	line("gpgcheck=", flag(r.GPGCheck))
	line("gpgkey=", r.GPGKey)
	return b.String()
}

func (r *repository) path(manager string) string {
	switch manager {
	case "apt":
		return "/etc/apt/sources.list.d/" + r.Name + ".sources"
	case "apk":
		return "/etc/apk/repositories"
	case "zypper":
		return "/etc/zypp/repos.d/" + r.Name + ".repo"
	}
	return "/etc/yum.repos.d/" + r.Name + ".repo"
}

// script makes the files in a private directory, tries them, and puts them in place.
func (r *repository) script(manager string) string {
	var b strings.Builder
	b.WriteString(shell.Strip(packageQuerySource) + shell.Strip(packageListsSource) + shell.Strip(packageChangeSource) + shell.Strip(repositoryScriptSource))
	fmt.Fprintf(&b, "name=%s file=%s enabled=%s\n", shell.Quote(r.Name), shell.Quote(r.path(manager)), yesNo(r.Enabled))
	b.WriteString("t=$(mktemp -d) || exit 1\ntrap 'rm -rf -- \"$t\"' EXIT\nmkdir \"$t/repos\" || exit 1\n")
	fetches := r.URL != "" && manager != "apt" || manager == "apt" && strings.HasPrefix(r.SignedBy, "https://")
	if fetches {
		b.WriteString(kit.FetchScript())
	}
	if manager == "apt" && r.SignedBy != "" {
		key := r.keyPath()
		switch {
		case strings.HasPrefix(r.SignedBy, "/"):
			fmt.Fprintf(&b, "[ -e %s ] || fail %s\n", shell.Quote(key), shell.Quote(key+" is not there; an earlier step has to bring it"))
		case r.armored():
			fmt.Fprintf(&b, "{ %s\n} >\"$t/key\" || exit 1\n", shell.Printf([]byte(r.key())))
		default:
			fmt.Fprintf(&b, "[ -e %s ] || {\n%s}\n", shell.Quote(key), kit.FetchInto(r.SignedBy, `"$t/key"`, 120))
		}
	}
	base := r.path(manager)
	base = base[strings.LastIndexByte(base, '/')+1:]
	into := "\"$t/repos/" + base + "\""
	if r.URL != "" && manager != "apt" {
		b.WriteString(kit.FetchInto(r.URL, into, 120) + kit.VerifySum(r.SHA256, into))
		fmt.Fprintf(&b, "grep -q '^\\[' %s || fail %s\n", into, shell.Quote(r.URL+" is no .repo file"))
	} else {
		fmt.Fprintf(&b, "{ %s\n} >%s || exit 1\n", shell.Printf([]byte(r.content(manager))), into)
	}
	if manager == "apt" && r.Enabled {
		b.WriteString("whole_apt " + into + "\n")
	}
	if manager == "apt" && r.SignedBy != "" {
		fmt.Fprintf(&b, "apt_key %s || exit 1\n", shell.Quote(r.keyPath()))
	}
	b.WriteString("try_repository " + into + "\ninstall_repository " + into + "\n")
	return b.String()
}
