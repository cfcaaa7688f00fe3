package testhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// mirrorVariable names the Debian mirror on machines that are not Debian themselves.
const mirrorVariable = "PROVISION_TEST_MIRROR"

// An aptConfig says how this machine reaches Debian's packages.
type aptConfig struct {
	mirror  string // of the main archive, for debootstrap
	sources string // sources.list for a host
	conf    string // apt.conf for a host: the machine's proxy and its attitude to dates
	proxy   string // for http, "" without
}

// machineApt takes the machine's own mirrors and proxy, for another suite perhaps: a test host must not reach out to where its
// machine does not.
func machineApt(ctx context.Context, suite string) (aptConfig, error) {
	if mirror := os.Getenv(mirrorVariable); mirror != "" {
		return aptFrom(strings.TrimSuffix(mirror, "/")+"/ "+suite+" main", "", suite)
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return aptConfig{}, err
	}
	if !regexp.MustCompile(`(?m)^ID="?debian"?$`).Match(release) {
		return aptConfig{}, fmt.Errorf("this machine is not Debian, so its mirror does not serve for test hosts: set %s to the URL of a Debian mirror", mirrorVariable)
	}
	targets, err := command(ctx, nil, nil, "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
	if err != nil {
		return aptConfig{}, err
	}
	dump, err := command(ctx, nil, nil, "apt-config", "dump")
	if err != nil {
		return aptConfig{}, err
	}
	return aptFrom(targets, dump, suite)
}

// aptFrom makes a configuration for suite from lines "URI RELEASE COMPONENT" and the output of apt-config dump.
func aptFrom(targets, dump, suite string) (aptConfig, error) {
	// Backports and third parties are not Debian as it is installed. A mirror is known by its last directories, which a snapshot
	// of a day ends with that day, since third parties use Debian's names of releases and components too.
	pockets := regexp.MustCompile(`^(https?://\S+/debian(?:-security)?/(?:\d{8}T\d{6}Z/)?) [a-z]+(-updates|-security)? main$`)
	var c aptConfig
	seen := map[string]bool{}
	for line := range strings.Lines(targets) {
		m := pockets.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || seen[m[2]] {
			continue
		}
		uri, pocket := m[1], m[2]
		seen[pocket] = true
		if pocket == "" {
			c.mirror = uri
		}
		c.sources += fmt.Sprintf("deb %s %s%s main\n", uri, suite, pocket)
	}
	if c.mirror == "" {
		return aptConfig{}, errors.New("apt on this machine has no http source of Debian's main archive: add one, or set " + mirrorVariable + " to the URL of a mirror")
	}
	c.conf = strings.Join(regexp.MustCompile(`(?m)^Acquire::(?:https?::Proxy|Check-)[^\n]*\n`).FindAllString(dump, -1), "")
	if m := regexp.MustCompile(`(?m)^Acquire::http::Proxy "(http[^"]+)";$`).FindStringSubmatch(dump); m != nil {
		c.proxy = m[1]
	}
	return c, nil
}

// aptScript gives a host's apt the machine's sources.
const aptScript = `
printf '%s' "$APT_SOURCES" >/etc/apt/sources.list
printf '%s' "$APT_CONF" >/etc/apt/apt.conf.d/90machine
`

// aptOf is the environment of aptScript for a suite.
func aptOf(suite string) func(context.Context, engine) ([]string, error) {
	return func(ctx context.Context, _ engine) ([]string, error) {
		apt, err := machineApt(ctx, suite)
		return []string{"APT_SOURCES=" + apt.sources, "APT_CONF=" + apt.conf}, err
	}
}
