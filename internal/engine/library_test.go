package engine

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"provision/internal/shell"
)

// A journal tells the step that its program was at, whatever the states in it look like.
func TestTheStepOfAKilledProgramIsRead(t *testing.T) {
	const state = "begin 7 a state\ndone ok\n\nend 1 2" // with an empty line
	for name, sh := range shells(t) {
		for rest, want := range map[string]string{
			"": "", "begin 2 step.file.a b[\"c d\"]\n": "cut shop%2Fx.hcl step.file.a b[\"c d\"]\ncut_owner ann@laptop since 10:31\n",
			"begin 2 two\nask 2 32\n" + state + "\n":    "cut shop%2Fx.hcl two\ncut_owner ann@laptop since 10:31\n",
			"begin 2 two\nend 2 failed 1 1-2 0 0 0\n\n": "", "begin 2 two\ndone stopped\n": "", "begin 2 tw": "",
		} {
			t.Run(name, func(t *testing.T) {
				host := newLocalHost(t, sh...)
				host.directory(".provision")
				host.write(".provision/journal.id", "run id boot ann@laptop since 10:31\nbegin 1 one\nend 1 changed 0 1.00-2.00 0 0 32\n"+state+"\n"+rest)
				host.write(".provision/last", "id running shop%2Fx.hcl\n")
				cmd := host.command("LIBRARY=" + shell.Quote(library()) + "\neval \"$LIBRARY\"\nprint_state")
				out, err := cmd.CombinedOutput()
				got := ""
				for line := range strings.Lines(string(out)) {
					if strings.HasPrefix(line, "cut") || strings.Contains(line, ": ") {
						got += line
					}
				}
				if err != nil || got != want {
					t.Errorf("%q: %v, printed %q, want %q\n%s", rest, err, got, want, out)
				}
			})
		}
	}
}

// Root is told of what the login user's own runs owe, and of nothing with a line break in its name.
func TestRootHearsOfWhatTheLoginUserOwes(t *testing.T) {
	if os.Getuid() != 0 {
		lack(t, "only root is root")
	}
	for name, sh := range shells(t) {
		t.Run(name, func(t *testing.T) {
			host := newLocalHost(t, sh...)
			host.directory(".provision")
			host.directory(".provision/pending")
			host.write(".provision/pending/abc.shop%2Fx.hcl", "")
			host.write(".provision/pending/a\nlock nobody", "")
			for login, want := range map[string]string{"ann": "login_pending abc.shop%2Fx.hcl\n", "root": ""} {
				cmd := exec.Command(sh[0], append(sh[1:], "-s")...)
				cmd.Stdin = strings.NewReader("LIBRARY=" + shell.Quote(library()) + "\neval \"$LIBRARY\"\nSTATE=/nonexistent RUN=/nonexistent LOGIN=" + login +
					" ACCOUNTS_passwd=" + shell.Quote("ann:x:1000:1000::"+host.home+":/bin/sh") + "\nprint_state")
				out, err := cmd.Output()
				got := ""
				for line := range strings.Lines(string(out)) {
					if strings.HasPrefix(line, "login_pending") || strings.HasPrefix(line, "lock") {
						got += line
					}
				}
				if err != nil || got != want {
					t.Errorf("%s: %v, printed %q, want %q\n%s", login, err, got, want, out)
				}
			}
		})
	}
}

// And whoever runs it is warned.
func TestWhatTheLoginUserOwesIsTold(t *testing.T) {
	in := script(t, "reload", "true")
	in.OnChange = map[string][]string{"": {"step.file.conf"}}
	rec := &recorder{}
	run := newRun(nil, rec, nil)
	h := &hostRun{Host: Host{Name: "web1", User: "ann"}, run: run}
	h.planned = []Planned{{Instance: in}}
	for _, test := range []struct {
		said, title string
		told        bool
	}{
		{"login_pending " + notification(&in, "") + ".site", "site", true},
		{"login_pending " + notification(&in, "") + ".other", "site", false},
		{"login_pending " + notification(&in, "") + ".site\npending " + notification(&in, "") + ".site", "site", false},
		{"", "site", false},
	} {
		rec.events = nil
		h.state = parseHostState(test.said, test.title)
		h.loginOwes()
		if told := strings.Contains(rec.dump(), "an earlier run as ann, without root, changed what this step watches"); told != test.told {
			t.Errorf("%q: told %v", test.said, told)
		}
	}
}

// TestWhoAmI pins the names that a program of the user finds: those of a login, whatever the session was made by.
func TestWhoAmI(t *testing.T) {
	if os.Getuid() != 0 {
		lack(t, "only root can become somebody else")
	}
	const show = `printf '%s:%s:%s:%s\n' "$USER" "$LOGNAME" "$SHELL" "$HOME"; env | sed -n 's/^RUN_AS=.*/exported/p'`
	root := "root:root:/bin/bash:/root\n"
	if text, err := os.ReadFile("/etc/passwd"); err == nil {
		line, _, _ := strings.Cut(string(text), "\n")
		root = "root:root:" + line[strings.LastIndex(line, ":")+1:] + ":/root\n"
	}
	for name, test := range map[string]struct {
		env   []string
		runAs string
		want  string
	}{
		"a unit of systemd":  {nil, "", root},
		"sudo":               {[]string{"USER=root", "LOGNAME=root", "HOME=/home/ann", "SHELL=/bin/zsh", "SUDO_USER=ann"}, "", root},
		"su keeps the names": {[]string{"USER=ann", "LOGNAME=ann", "HOME=/root", "SHELL=/usr/bin/fish"}, "", root},
		"another user":       {nil, "daemon", "daemon:daemon:/bin/sh:/usr/sbin\n"},
		"without a login":    {[]string{"USER=root", "SHELL=/bin/bash"}, "nobody", "nobody:nobody:/bin/sh:/nonexistent\n"},
	} {
		for kind, sh := range shells(t) {
			t.Run(name+"/"+kind, func(t *testing.T) {
				script := "NONCE= SALT= DETAIL=0\nLIBRARY=" + shell.Quote(library()) + "\neval \"$LIBRARY\"\nfragment " + shell.Words(test.runAs, "", "", show)
				cmd := exec.Command(sh[0], append(sh[1:], "-s")...)
				cmd.Stdin = strings.NewReader(script)
				cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, test.env...)
				out, err := cmd.CombinedOutput()
				if err != nil || string(out) != test.want {
					t.Errorf("%v, printed %q, want %q", err, out, test.want)
				}
			})
		}
	}
}
