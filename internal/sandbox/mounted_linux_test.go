package sandbox_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func owners(info fs.FileInfo) string {
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprint(st.Uid, ":", st.Gid)
}

// onMachine returns a command that runs holdArg on a machine with mounts of its own: prepare, a script, runs as root in
// a private mount namespace first, with $d an empty directory. then is what stands before the command line, such as a
// change of user.
//
// It also returns the directory, open to all, in which the sandbox's temporary files will be.
func onMachine(t *testing.T, prepare, then, script, layers string) (cmd *exec.Cmd, tmp string) {
	t.Helper()
	if os.Geteuid() != 0 {
		cannot(t, "it needs root")
	}
	if _, err := exec.LookPath("unshare"); err != nil {
		cannot(t, "there is no unshare(1)")
	}
	// Below /var/tmp, since /tmp is a fresh one in the sandbox, and readable by all.
	dir := tempDirIn(t, "/var/tmp")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// go test keeps the executable where only its user may read it.
	self := filepath.Join(dir, "self")
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, program, 0o755); err != nil {
		t.Fatal(err)
	}
	text := "set -e\nd=" + dir + "\n" + prepare + "\nexec " + then + " \"$@\"\n"
	cmd = exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", text, "sh", self, holdArg, script, layers)
	tmp = tempDirIn(t, "/var/tmp")
	if err := os.Chmod(tmp, 0o1777); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	return cmd, tmp
}

func TestMountsOfTheMachine(t *testing.T) {
	cmd, _ := onMachine(t, `
mkdir $d/data $d/fixed $d/masked $d/store
echo secret >$d/masked/key; chmod 755 $d/masked
mount -t tmpfs data $d/data; echo data >$d/data/file; mkdir $d/data/sub
mount -t tmpfs sub $d/data/sub; echo sub >$d/data/sub/file
mount -t tmpfs fixed $d/fixed; echo fixed >$d/fixed/file; mount -o remount,ro $d/fixed
mount -t tmpfs mask $d/masked; mount -o remount,ro $d/masked
mkdir $d/masked2; echo secret >$d/masked2/key; mount -t mqueue q $d/masked2
mkdir $d/up $d/work $d/run; mount -t tmpfs up $d/up; mkdir $d/up/u $d/up/w
mkdir -p /run/provision-sandbox-test; mount -t tmpfs run /run; mkdir /run/resolver; echo nameserver 127.0.0.77 >/run/resolver/stub.conf
rmdir /run/provision-sandbox-test 2>/dev/null || true
mount -t overlay etc -o lowerdir=/etc,upperdir=$d/up/u,workdir=$d/up/w /etc; ln -sf ../run/resolver/stub.conf /etc/resolv.conf
echo '127.0.0.1 localhost outside' >$d/hosts; touch /etc/hosts; mount --bind $d/hosts /etc/hosts
`, "", `d=$(echo /var/tmp/provision-sandbox-test-*/data); d=${d%/data}
cat $d/data/file $d/data/sub/file $d/fixed/file
echo new >>$d/data/file; echo new >>$d/data/sub/file; cat $d/data/file $d/data/sub/file | grep -c new
echo new 2>/dev/null >>$d/fixed/file || echo fixed is read-only
ls -A $d/masked $d/masked2 | grep key || echo nothing comes to light
grep -c nameserver.127.0.0.77 /etc/resolv.conf; readlink /etc/resolv.conf
ls /run; echo 127.0.0.2 other >>/etc/hosts && grep -c -e outside -e other /etc/hosts
`, "")
	h := holdSandbox(t, cmd)
	want := strings.TrimLeft(`
data
sub
fixed
2
fixed is read-only
nothing comes to light
1
../run/resolver/stub.conf
lock
resolver
2
`, "\n")
	if h.output != want {
		t.Errorf("got:\n%s\nwant:\n%s\nnotes: %s", h.output, want, h.notes)
	}
}

// asNobody runs what follows as a user without any right, subordinate ids or not.
const asNobody = "setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/var/tmp"

// giveIDs gives that user subordinate ids.
const giveIDs = "echo nobody:200000:65536 >$d/ids; chmod 644 $d/ids; mount --bind $d/ids /etc/subuid; mount --bind $d/ids /etc/subgid"

func TestWithoutRoot(t *testing.T) {
	for _, program := range []string{"newuidmap", "setpriv", "apt-get"} {
		if _, err := exec.LookPath(program); err != nil {
			cannot(t, "the machine has no "+program)
		}
	}
	cmd, tmp := onMachine(t, giveIDs+`
mount -t tmpfs fixed /srv; echo fixed >/srv/file; mount -o remount,ro /srv
`, asNobody, changes+`
cat /srv/file; echo x 2>/dev/null >/srv/file || echo srv is read-only
su bob -c id\ -un
stat -c '%U %G %a' /etc/shadow /usr/bin/su
`+installPackage, "")
	before := takeSnapshot(t)
	h := holdSandbox(t, cmd)
	if _, after, ok := strings.Cut(h.output, "\npid:["); !ok || !strings.Contains(after, `]
fixed
srv is read-only
bob
root shadow 640
root root 4755
installed 1.0
`) {
		t.Errorf("got:\n%s", h.output)
	}
	h.stdin.Close()
	if err := h.cmd.Wait(); err != nil {
		t.Error(err)
	}
	compareSnapshots(t, before, takeSnapshot(t))
	expectEmpty(t, tmp)
}

// What is on disk belongs to subordinate ids, and only the sandbox's own root can remove it.
func TestWithoutRootNothingIsLeftOnDiskWhenTheParentIsKilled(t *testing.T) {
	for _, program := range []string{"newuidmap", "setpriv"} {
		if _, err := exec.LookPath(program); err != nil {
			cannot(t, "the machine has no "+program)
		}
	}
	layers := tempDirIn(t, "/var/tmp")
	if err := os.Chmod(layers, 0o1777); err != nil {
		t.Fatal(err)
	}
	cmd, tmp := onMachine(t, giveIDs, asNobody, changes, layers)
	h := holdSandbox(t, cmd)
	if n := filesNamed(t, layers, "provision-sandbox-test"); n != 2 {
		t.Errorf("%d of 2 files are below %s", n, layers)
	}
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(h.output)
	expectGone(t, lines[len(lines)-1], tmp)
	expectEmpty(t, layers)
}

// oneID asks whose files are, by every call that tells, of files made, given away, moved, packed and linked.
const oneID = `
cd /root
mkdir d; echo x >d/f; chown bob:wheely d/f; chown 12:34 d; ln -s f d/l; chown -h 56:78 d/l; chmod 4755 d/f
stat -c '%U:%G %a %n' d/f; stat -c '%u:%g %n' d d/l /etc/hosts
ls -l d | awk 'NR > 1 { print $3, $4, $9 }'
mv d e; tar -cf e.tar e; rm -r e; tar -xpf e.tar; stat -c '%u:%g' e e/l; find e -user bob
chown 0:0 e; stat -c '%u:%g' e
perl -e 'my @s = stat("e/f"); print getpwuid($s[4]) . "\n"'
chown bob /root/missing 2>/dev/null || echo missing is an error
su bob -c 'echo home >~/made'; stat -c %U ~bob/made
stat -L -c %F /proc/self/fd/0 /dev/stdin </dev/null | uniq
stat -c '%U %G %a' /etc/shadow
`

func TestWithoutSubordinateIDsFilesHaveOwners(t *testing.T) {
	for _, program := range []string{"setpriv", "apt-get"} {
		if _, err := exec.LookPath(program); err != nil {
			cannot(t, "the machine has no "+program)
		}
	}
	const none = ": >$d/ids; mount --bind $d/ids /etc/subuid; mount --bind $d/ids /etc/subgid"
	cmd, tmp := onMachine(t, "touch /etc/subuid /etc/subgid;"+none, asNobody, changes+oneID+installPackage, "")
	before := takeSnapshot(t)
	h := holdSandbox(t, cmd)
	_, after, _ := strings.Cut(h.output, "\npid:[")
	_, after, _ = strings.Cut(after, "]\n")
	const want = `bob:wheely 4755 d/f
12:34 d
56:78 d/l
0:0 /etc/hosts
bob wheely f
56 78 l
12:34
56:78
e/f
0:0
bob
missing is an error
bob
character special file
root shadow 640
installed 1.0
`
	if after != want {
		t.Errorf("got:\n%s\nwant:\n%s\nnotes: %s", after, want, h.notes)
	}
	h.stdin.Close()
	if err := h.cmd.Wait(); err != nil {
		t.Error(err)
	}
	compareSnapshots(t, before, takeSnapshot(t))
	expectEmpty(t, tmp)
}

func TestWithoutSubordinateIDsANoteSaysWhatIsMissing(t *testing.T) {
	if _, err := exec.LookPath("setpriv"); err != nil {
		cannot(t, "the machine has no setpriv")
	}
	const noIDs = "touch /etc/subuid /etc/subgid; : >$d/ids; mount --bind $d/ids /etc/subuid; mount --bind $d/ids /etc/subgid"
	for _, c := range []struct {
		name, prepare, as string
		want              []string
	}{
		{"none", noIDs, asNobody, []string{
			`add the line \"nobody:100000:65536\" to /etc/subuid`, `add the line \"nobody:100000:65536\" to /etc/subgid`,
		}},
		{"no account", noIDs, strings.ReplaceAll(asNobody, "65534", "12345"), []string{`add the line \"12345:100000:65536\" to /etc/subuid`}},
		{"no newuidmap", ":", asNobody + " PATH=/nonexistent", []string{"apt install uidmap"}},
		{"too few", "touch /etc/subuid; echo nobody:100000:1000 >$d/ids; chmod 644 $d/ids; mount --bind $d/ids /etc/subuid", asNobody, []string{"to /etc/subuid"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd, _ := onMachine(t, c.prepare, c.as, "chown 5:6 /etc/passwd && stat -c %u:%g /etc/passwd", "")
			h := holdSandbox(t, cmd)
			if h.output != "5:6\n" {
				t.Errorf("got: %s", h.output)
			}
			for _, want := range append(c.want, "it has one account") {
				if !strings.Contains(h.notes, want) {
					t.Errorf("the notes do not say %q: %s", want, h.notes)
				}
			}
		})
	}
}

func TestWithoutUserNamespacesTheErrorSaysWhatIsMissing(t *testing.T) {
	if _, err := exec.LookPath("setpriv"); err != nil {
		cannot(t, "the machine has no setpriv")
	}
	cmd, tmp := onMachine(t, "echo 0 >$d/zero; chmod 644 $d/zero; mount --bind $d/zero /proc/sys/user/max_user_namespaces", asNobody, "true", "")
	out, err := cmd.CombinedOutput()
	expectEmpty(t, tmp)
	if want := "sudo sysctl user.max_user_namespaces=15000"; err == nil || !strings.Contains(string(out), want) {
		t.Errorf("error %v: %s", err, out)
	}
}
