package kinds

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestAlternatives runs the real update-alternatives on directories of its own, which are mounted over those of the machine.
func TestAlternatives(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		lack(t, "root, for directories mounted over those of the machine")
		return
	}
	if _, err := exec.LookPath("update-alternatives"); err != nil {
		lack(t, "update-alternatives on this machine")
		return
	}
	const enter = `mount --make-rprivate / && mount --bind "$WORK/adm" /var/lib/dpkg/alternatives && mount --bind "$WORK/alt" /etc/alternatives && exec "$@"`
	const a = `name = "x"` + "\n"
	const one = "update-alternatives --install $WORK/x x $WORK/one 10 --slave $WORK/x.1 x.1 $WORK/one.1\n"
	const two = "update-alternatives --install $WORK/x x $WORK/two 20 --slave $WORK/x.1 x.1 $WORK/two.1\n"
	const both = one + two
	const followers = "followers = { \"x.1\" = { link = \"$WORK/x.1\", path = \"$WORK/two.1\" } }\n"
	for _, c := range []struct{ name, before, args, fails, after string }{
		{"new group", "", "link = \"$WORK/x\"\npath = \"$WORK/one\"\npriority = 5\n", "", "auto x:one"},
		{"new group, manual", "", "link = \"$WORK/x\"\npath = \"$WORK/one\"\npriority = 5\nmode = \"manual\"\n", "", "manual x:one"},
		{"there", both, "link = \"$WORK/x\"\npath = \"$WORK/two\"\npriority = 20\nmode = \"auto\"\n" + followers, "", "auto x:two x.1:two.1"},
		{"better", one, "link = \"$WORK/x\"\npath = \"$WORK/two\"\npriority = 20\n" + followers, "", "auto x:two x.1:two.1"},
		{"worse", two, "link = \"$WORK/x\"\npath = \"$WORK/one\"\npriority = 20\nmode = \"manual\"\n", "", "manual x:one"},
		{"priority lowered, choice moves", both, "link = \"$WORK/x\"\npath = \"$WORK/two\"\npriority = 1\n", "", "auto x:one x.1:one.1"},
		{"priority changed, followers stay", both, "link = \"$WORK/x\"\npath = \"$WORK/two\"\npriority = 30\n", "", "auto x:two x.1:two.1"},
		{"followers go", two, "link = \"$WORK/x\"\npath = \"$WORK/two\"\npriority = 20\nfollowers = {}\n", "", "auto x:two"},
		{"chosen", both, "path = \"$WORK/one\"\nmode = \"manual\"\n", "", "manual x:one x.1:one.1"},
		{"given back", both + "update-alternatives --set x $WORK/one\n", "path = \"$WORK/one\"\nmode = \"auto\"\n", "", "auto x:two x.1:two.1"},
		{"choice of somebody stays", both + "update-alternatives --set x $WORK/one\n", "link = \"$WORK/x\"\npath = \"$WORK/two\"\npriority = 25\n", "", "manual x:one x.1:one.1"},
		{"changed by hand, auto", both + "ln -sfn $WORK/one /etc/alternatives/x\n", "path = \"$WORK/two\"\nmode = \"auto\"\n", "", "auto x:two x.1:two.1"},
		{"link removed", two + "rm $WORK/x\n", "link = \"$WORK/x\"\npath = \"$WORK/two\"\npriority = 20\n", "", "auto x:two x.1:two.1"},
		{"link elsewhere", two + "ln -sfn /bin/sh $WORK/x\n", "link = \"$WORK/x\"\npath = \"$WORK/two\"\npriority = 20\n", "", "auto x:two x.1:two.1"},
		{"follower's link removed", two + "rm $WORK/x.1\n", "link = \"$WORK/x\"\npath = \"$WORK/two\"\npriority = 20\n" + followers, "", "auto x:two x.1:two.1"},
		{"link of the group moves", two, "link = \"$WORK/y\"\npath = \"$WORK/two\"\npriority = 20\n", "", "auto x.1:two.1 y:two"},
		{"file in the way", "echo >$WORK/x\n", "link = \"$WORK/x\"\npath = \"$WORK/two\"\npriority = 20\n", "is a file in the place of the link", ""},
		{"directory in the way", "mkdir $WORK/x\n", "link = \"$WORK/x\"\npath = \"$WORK/two\"\npriority = 20\n", "is a directory in the place of the link", ""},
		{"not registered", both, "path = \"$WORK/three\"\nmode = \"manual\"\n", "is not registered in the group x; give link and priority to register it, or choose $WORK/one, $WORK/two", ""},
		{"no path", "", "link = \"$WORK/x\"\npath = \"$WORK/none\"\npriority = 20\n", "needs file $WORK/none", ""},
		{"absent, the choice", both, "path = \"$WORK/two\"\nstate = \"absent\"\n", "", "auto x:one x.1:one.1"},
		{"absent, chosen by hand", both + "update-alternatives --set x $WORK/one\n", "path = \"$WORK/one\"\nstate = \"absent\"\n", "", "auto x:two x.1:two.1"},
		{"absent, the last", two, "path = \"$WORK/two\"\nstate = \"absent\"\n", "", ""},
		{"absent, another", two, "path = \"$WORK/one\"\nstate = \"absent\"\n", "", "auto x:two x.1:two.1"},
		{"absent, all", both, "state = \"absent\"\n", "", ""},
		{"absent, no group", "", "state = \"absent\"\n", "", ""},
		{"negative and blanks", "", "link = \"$WORK/x y\"\npath = \"$WORK/w o\"\npriority = -3\n", "", "auto x y:w o"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, sh := range availableShells(t, "") {
				h := &host{shell: sh, work: t.TempDir(), enter: []string{"unshare", "-m", "sh", "-c", enter, "sh"}}
				expand := func(s string) string { return strings.ReplaceAll(s, "$WORK", h.work) }
				for _, dir := range []string{"adm", "alt"} {
					if err := os.Mkdir(h.work+"/"+dir, 0o755); err != nil {
						t.Fatal(err)
					}
				}
				for _, file := range []string{"one", "two", "three", "w o", "one.1", "two.1"} {
					if err := os.WriteFile(h.work+"/"+file, nil, 0o755); err != nil {
						t.Fatal(err)
					}
				}
				if r := h.script(t, "set -e\n"+expand(c.before), nil); r.exit != 0 {
					t.Fatal(r.stderr)
				}
				got := h.settled(t, stepOf(t, "alternatives", a+expand(c.args)))
				if c.fails != "" {
					if !strings.Contains(got, expand(c.fails)) {
						t.Errorf("%v: %q, want %q", sh, got, expand(c.fails))
					}
					continue
				}
				r := h.script(t, `cd "$WORK" || exit 1
[ ! -e adm/x ] || printf '%s' "$(head -n 1 adm/x)"
for l in x x.1 y 'x y'; do
	p=$(readlink "$l") && p=$(readlink "$p") && printf ' %s:%s' "$l" "${p##*/}"
done
exit 0`, nil)
				if got != "" || r.stdout != c.after {
					t.Errorf("%v: %s; %q, want %q\n%s", sh, got, r.stdout, c.after, r.stderr)
				}
			}
		})
	}
}
