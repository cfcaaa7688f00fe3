package engine

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"provision/internal/shell"
)

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
