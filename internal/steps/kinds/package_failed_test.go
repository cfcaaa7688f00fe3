package kinds

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"provision/internal/shell"
)

// A host where an earlier run left postgres half configured, which apt tries again whenever it installs something.
const aptWithBrokenPackage = `case $* in
*Status-Abbrev*) printf '%s\n' 'ii |bash' 'iF |postgres' ;;
*) printf '%s\n' 'ii |bash|amd64|5.2' 'iF |postgres|amd64|15' ;;
esac`

// TestAptFailureHasItsOwnReason: what is told is what failed in this run, not what an earlier one left, and dpkg's words
// where the state of the package shows nothing. The words are those of apt 2.6 and dpkg 1.21.
func TestAptFailureHasItsOwnReason(t *testing.T) {
	for _, c := range []struct {
		name, said, call string
		want, not        string
	}{
		{
			name: "unknown name beside a broken package",
			said: `E: Unable to locate package nosuch`,
			call: "nosuch", want: "No repository of this host has nosuch", not: "postgres",
		},
		{
			name: "another package owns the file",
			said: "dpkg: error processing archive /var/cache/apt/archives/vim_2%3a9.0_amd64.deb (--unpack):\n trying to overwrite '/usr/bin/vi', which is also in package nvi 1.8\nE: Sub-process /usr/bin/dpkg returned an error code (1)",
			call: "vim", want: "dpkg could not finish: vim: trying to overwrite '/usr/bin/vi', which is also in package nvi 1.8;", not: "postgres",
		},
		{
			name: "failing preinst, in German",
			said: "dpkg: Fehler beim Bearbeiten des Archivs /srv/./vim_9.0_all.deb (--unpack):\n »neues vim-Skript des Paketes pre-installation«-Unterprozess gab den Fehlerwert 1 zurück\nE: Sub-process /usr/bin/dpkg returned an error code (1)",
			call: "vim", want: "vim: »neues vim-Skript", not: "postgres",
		},
		{
			name: "the broken package fails again",
			said: "dpkg: error processing package postgres:amd64 (--configure):\n installed postgres package post-installation script subprocess returned error exit status 3\nE: Sub-process /usr/bin/dpkg returned an error code (1)",
			call: "", want: "postgres is unpacked, but its post-installation script failed;", not: "postgres: ",
		},
		{
			name: "nobody told why",
			said: "",
			call: "vim", want: "postgres is unpacked, but its post-installation script failed;",
		},
	} {
		for _, sh := range availableShells(t, "") {
			t.Run(c.name+"/"+strings.Join(sh, " "), func(t *testing.T) {
				dir := t.TempDir()
				h := &host{shell: sh, work: filepath.Join(dir, "work")}
				if err := os.Mkdir(h.work, 0o755); err != nil {
					t.Fatal(err)
				}
				for name, text := range map[string]string{
					"dpkg-query": aptWithBrokenPackage,
					"apt-get":    "cat <<'END' >&2\n" + c.said + "\nEND\nexit 100",
					"apt-cache":  "exit 0",
					"apt-mark":   "exit 0",
				} {
					if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
						t.Fatal(err)
					}
				}
				r := h.fragment(t, "PATH="+dir+":$PATH\nF_PACKAGE_MANAGER=apt F_UID=0\n"+shell.Strip(packageQuerySource)+shell.Strip(packageListsSource)+shell.Strip(packageChangeSource)+
					"lock_holder() { return 1; }\nas_login() { \"$@\"; }\napt_get install || package_failed "+c.call, nil, nil, false)
				if r.exit == 0 || !strings.Contains(r.stderr, c.want) {
					t.Fatalf("exit %d, stderr %q; it must fail and say %q", r.exit, r.stderr, c.want)
				}
				told := r.stderr[strings.LastIndex(strings.TrimSpace(r.stderr), "\n")+1:]
				if c.not != "" && strings.Contains(told, c.not) {
					t.Fatalf("the last line is %q, which must not say %q", told, c.not)
				}
			})
		}
	}
}
