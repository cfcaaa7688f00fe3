package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"provision/internal/sandbox"
	"provision/internal/ssh/sshd"
	"provision/internal/ssh/sshtest"
)

func TestMain(m *testing.M) {
	sandbox.MaybeChild()
	testscript.Main(m, map[string]func(){"provision": main})
}

// raceOptions keep the race detector from sleeping for a second at the end of every command.
const raceOptions = "atexit_sleep_ms=10"

// trySandbox tells why no sandbox can be started on this machine, and why one has root's account alone.
var trySandbox = sync.OnceValues(func() (oneAccount, possible error) {
	box, err := sandbox.Start(context.Background(), sandbox.Options{})
	if err != nil {
		return err, err
	}
	for _, note := range box.Notes {
		if strings.HasPrefix(note, "it has one account: ") {
			oneAccount = errors.New(note)
		}
	}
	return oneAccount, box.Close()
})

func sandboxPossible() error {
	_, err := trySandbox()
	return err
}

// needSandbox skips a test where there can be none, unless PROVISION_CI=1 says that there must.
func needSandbox(t *testing.T) {
	t.Helper()
	switch err := sandboxPossible(); {
	case err != nil && os.Getenv("PROVISION_CI") == "1":
		t.Fatalf("PROVISION_CI=1 and no sandbox can be started: %v", err)
	case err != nil:
		t.Skipf("NOT TESTED, no sandbox can be started here: %v", err)
	}
}

// TestScripts runs testdata/*.txtar. Beside testscript's own commands they have those of commands below, and the conditions
// [sandbox]: a sandbox can be started here; and [accounts]: it has other accounts than root's. With PROVISION_CI=1 both must hold.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Condition: func(name string) (bool, error) {
			oneAccount, err := trySandbox()
			what := "no sandbox can be started here"
			switch name {
			case "sandbox":
			case "accounts":
				what, err = "no other account than root in a sandbox", oneAccount
			default:
				return false, fmt.Errorf("there is no condition %s", name)
			}
			if err != nil && os.Getenv("PROVISION_CI") == "1" {
				return false, fmt.Errorf("PROVISION_CI=1 and %s: %w", what, err)
			}
			if err != nil {
				t.Logf("NOT TESTED, %s: %v", what, err)
			}
			return err == nil, nil
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", raceOptions)
			env.Setenv("EXAMPLES", filepath.Join(root, "examples"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			return os.MkdirAll(env.Getenv("HOME"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":     status,
			"sandbox":    startSandbox,
			"insandbox":  inSandbox,
			"interrupt":  interrupt,
			"eventlines": eventLines,
			"closedport": closedPort,
			"terminal":   onTerminal,
			"noescapes":  noEscapes,
			"sshd":       func(ts *testscript.TestScript, _ bool, args []string) { startSSHD(t, ts, args) },
		},
	})
}

// status NUMBER COMMAND... runs a command that has to exit with a status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status NUMBER COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// sshd NAME [posing OTHER | password WORD] starts an SSH server with the rights of this process. Playbooks reach it by the variables
// NAME_port, NAME_identity and NAME_known_hosts. With "posing OTHER" its known_hosts file says that OTHER, a server
// started before, had this server's key.
func startSSHD(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) != 1 && (len(args) != 3 || args[1] != "posing" && args[1] != "password") {
		ts.Fatalf("usage: sshd NAME [posing OTHER | password WORD]")
	}
	s := sshtest.NewServer(t, func(c *sshd.Config) {
		if len(args) == 3 && args[1] == "password" {
			c.PublicKey = nil
			c.Password = func(_, password string) error {
				if password != args[2] {
					return errors.New("wrong password")
				}
				return nil
			}
		}
	})
	if len(args) == 3 && args[1] == "posing" {
		port, err := strconv.Atoi(ts.Getenv("PROVISION_VAR_" + args[2] + "_port"))
		ts.Check(err)
		s.Pin(t, port)
	}
	set(ts, args[0]+"_", s.Port, s.Identity, s.KnownHosts)
}

// set makes a server known to playbooks.
func set(ts *testscript.TestScript, prefix string, port int, identity, knownHosts string) {
	ts.Setenv("PROVISION_VAR_"+prefix+"port", strconv.Itoa(port))
	ts.Setenv("PROVISION_VAR_"+prefix+"identity", identity)
	ts.Setenv("PROVISION_VAR_"+prefix+"known_hosts", knownHosts)
}
