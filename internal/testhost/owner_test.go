package testhost

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSweepRemovesHostsOfDeadProcesses(t *testing.T) {
	h := Debian(t) // of a living process; and there is an image
	child := exec.CommandContext(t.Context(), "sleep", "600")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	start, err := startTime(child.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	own, err := self()
	if err != nil {
		t.Fatal(err)
	}
	ofChild := owner{own.namespace, child.Process.Pid, start}
	name := namePrefix + "stale-" + randomHex(4)
	t.Cleanup(func() { _, _ = exec.Command(h.docker.client, "rm", "--force", "--volumes", name).CombinedOutput() })
	if _, err := h.docker.run(t.Context(), nil, "create", "--name", name, "--label", ownerLabel+"="+ofChild.String(), debian().tag()); err != nil {
		t.Fatal(err)
	}
	if _, err := (&Host{Name: name}).newState(ofChild); err != nil {
		t.Fatal(err)
	}
	exists := func() bool {
		_, err := h.docker.run(t.Context(), nil, "inspect", name)
		return err == nil
	}

	if err := sweep(t.Context(), h.docker); err != nil || !exists() {
		t.Fatalf("a living process lost its host (error %v)", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if err := sweep(t.Context(), h.docker); err != nil || exists() {
		t.Errorf("the host of a dead process is still there (error %v)", err)
	}
	if _, err := os.Stat(filepath.Join(stateDir(name), "id_ed25519")); !os.IsNotExist(err) {
		t.Errorf("its key is still there: %v", err)
	}
	h.Run(t, "true")
}

func TestOwnerOfAReusedPidIsDead(t *testing.T) {
	own, err := self()
	if err != nil {
		t.Skip("needs /proc:", err)
	}
	back, err := parseOwner(own.String())
	if err != nil || back != own || back.dead() {
		t.Errorf("this process: %+v, %v", back, err)
	}
	own.start += "0"
	if !own.dead() {
		t.Error("a process with another start time counts as the owner")
	}
	own.namespace = "pid:[1]"
	if own.dead() {
		t.Error("a process of another pid namespace counts as dead, but cannot be seen from here")
	}
}

// verdict records how unavailable ended a test.
type verdict struct {
	testing.TB
	how string
}

func (v *verdict) Helper()                   {}
func (v *verdict) Skipf(string, ...any)      { v.how = "skip" }
func (v *verdict) Fatalf(f string, _ ...any) { v.how = "fail" }

func TestWithoutHostsCIFailsAndOthersSkip(t *testing.T) {
	for fail, want := range map[bool]string{true: "fail", false: "skip"} {
		v := &verdict{TB: t}
		unavailable(v, fail, os.ErrNotExist)
		if v.how != want {
			t.Errorf("demanded %v: %s, want %s", fail, v.how, want)
		}
	}
}

func TestAptOfTheMachineForAnotherSuite(t *testing.T) {
	targets := `https://deb.vendor.test/apt/ nodistro main
https://vendor.test/debian/12/prod/ trixie main
http://mirror.test/debian/ trixie main
http://mirror.test/debian/ trixie contrib
http://mirror.test/debian/ trixie-backports main
http://mirror.test/debian/ trixie-updates main
http://security.test/debian-security/20260101T000000Z/ trixie-security main
file:/srv/debian trixie main
`
	dump := "APT::Get::Assume-Yes \"1\";\nAcquire::http::Proxy \"http://proxy.test:3142\";\nAcquire::Check-Date \"false\";\nAcquire::Languages \"none\";\n"
	c, err := aptFrom(targets, dump, "bookworm")
	want := aptConfig{
		mirror: "http://mirror.test/debian/",
		sources: `deb http://mirror.test/debian/ bookworm main
deb http://mirror.test/debian/ bookworm-updates main
deb http://security.test/debian-security/20260101T000000Z/ bookworm-security main
`,
		conf:  "Acquire::http::Proxy \"http://proxy.test:3142\";\nAcquire::Check-Date \"false\";\n",
		proxy: "http://proxy.test:3142",
	}
	if err != nil || c != want {
		t.Errorf("got %+v, %v\nwant %+v", c, err, want)
	}
	if _, err := aptFrom("file:/srv/debian trixie main\n", "", "bookworm"); err == nil || !strings.Contains(err.Error(), mirrorVariable) {
		t.Errorf("without a mirror: %v", err)
	}
}
