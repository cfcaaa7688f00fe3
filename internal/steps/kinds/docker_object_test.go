package kinds

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestDockerObjects makes, compares and removes a network and a volume of the Docker engine of this machine.
func TestDockerObjects(t *testing.T) {
	if os.Getenv("PROVISION_DOCKER") != "1" {
		t.Skip("takes the Docker engine of this machine: set PROVISION_DOCKER=1")
	}
	if os.Getuid() != 0 || exec.Command("docker", "info").Run() != nil {
		lack(t, "a Docker engine, and root")
		return
	}
	name := fmt.Sprintf("provision-test-%d", os.Getpid())
	t.Cleanup(func() {
		_ = exec.Command("docker", "network", "rm", name).Run()
		_ = exec.Command("docker", "volume", "rm", name).Run()
	})
	docker := func(args ...string) string {
		out, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for _, sh := range availableShells(t, "") {
		h := &host{shell: sh, work: t.TempDir()}
		settled := func(kind, args string) {
			t.Helper()
			if got := h.settled(t, stepOf(t, kind, fmt.Sprintf("name = %q\n%s\n", name, args))); got != "" {
				t.Errorf("%v: %s, %s: %s", sh, kind, args, got)
			}
		}
		settled("docker_volume", `labels = { a = "it's" }`)
		if got := docker("volume", "inspect", "--format", "{{.Labels.a}}", name); got != "it's" {
			t.Errorf("%v: the label is %q", sh, got)
		}
		if got := h.settled(t, stepOf(t, "docker_volume", fmt.Sprintf("name = %q\nlabels = { a = \"other\" }\n", name))); !strings.Contains(got, "label a is it's in place of other") {
			t.Errorf("%v: a volume with another label: %q", sh, got)
		}
		settled("docker_volume", `state = "absent"`)
		if exec.Command("docker", "volume", "inspect", name).Run() == nil {
			t.Errorf("%v: the volume is there", sh)
		}

		settled("docker_network", "subnet = \"10.231.201.0/24\"\ninternal = true")
		id := docker("network", "inspect", "--format", "{{.Id}}", name)
		settled("docker_network", "subnet = \"10.231.202.0/24\"\ngateway = \"10.231.202.9\"\noptions = { \"com.docker.network.driver.mtu\" = \"1400\" }")
		if got := docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", name); got != "10.231.202.9" {
			t.Errorf("%v: the network has %q", sh, got)
		}
		// The beginning of an id is no name.
		probe := h.probe(t, stepOf(t, "docker_network", fmt.Sprintf("name = %q\n", docker("network", "inspect", "--format", "{{.Id}}", name)[:12])), false)
		if network, _ := probe.Get("network"); network != "no" {
			t.Errorf("%v: the beginning of an id: %+v", sh, probe)
		}
		if id == docker("network", "inspect", "--format", "{{.Id}}", name) {
			t.Errorf("%v: the network was not made anew", sh)
		}
		settled("docker_network", `state = "absent"`)
	}
}
