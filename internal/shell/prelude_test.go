package shell

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// expect runs fragments after the prelude and compares what they print, with their status.
func expect(t *testing.T, sh []string, cases map[string]string) {
	t.Helper()
	for script, want := range cases {
		stdout, stderr, status := run(t, sh, Prelude+"\n( "+script+"\n)\nprintf '=%s' $?\n")
		if got := stdout; got != want || status != 0 {
			t.Errorf("%s:\n%q, want %q; stderr %q", script, got, want, stderr)
		}
	}
}

func TestPreludeEnvironment(t *testing.T) {
	t.Setenv("CDPATH", "/")
	t.Setenv("GREP_OPTIONS", "-v")
	forEachShell(t, func(t *testing.T, sh []string) {
		expect(t, sh, map[string]string{
			"umask":                   "0022\n=0",
			`printf '%s' "$LC_ALL"`:   "C=0",
			`printf '%s' "${CDPATH}"`: "=0",
			`env | grep -c ^GREP_OPTIONS= || printf none`: "0\nnone=0",
			`set -- a:b "c d"; printf '%s,' $*`:           "a:b,c,d,=0",
		})
	})
}

func TestPreludeFunctions(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"file": "content\n", "-dash": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	const sum = "434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53"
	forEachShell(t, func(t *testing.T, sh []string) {
		in := func(script string) string { return "cd " + Quote(dir) + "\n" + script }
		expect(t, sh, map[string]string{
			`have sh && ! have no-such-command`: "=0",
			`say key ' a  b\n %s '`:             "key  a  b\\n %s \n=0",
			"fail a b 2>&1":                     "a b\n=1",
			`account passwd root | cut -d: -f3`: "0\n=0",
			`account group no-such-group`:       "=2",
			// As where there is no getent.
			`have() { return 1; }; account passwd root | cut -d: -f3`: "0\n=0",
			`have() { return 1; }; account passwd no-such-user`:       "=2",
			`have() { return 1; }; account no-such-database root`:     "=1",
			`home_of root`:         "/root\n=0",
			`home_of no-such-user`: "=2",
			in(`path_type "$PWD/file"; e=$?; echo "$TYPE"; (exit $e)`):    "file\n=0",
			in(`path_type "$PWD"; e=$?; echo "$TYPE"; (exit $e)`):         "directory\n=0",
			in(`path_type "$PWD/link"; e=$?; echo "$TYPE"; (exit $e)`):    "symlink\n=0",
			in(`path_type "$PWD/a/b/c"; e=$?; echo "$TYPE"; (exit $e)`):   "absent\n=0",
			`path_type /dev/null; e=$?; echo "$TYPE"; (exit $e)`:          "other\n=0",
			`path_type /no-such-directory; e=$?; echo "$TYPE"; (exit $e)`: "absent\n=0",
			in(`attributes file && echo "$A_mode $A_size"`):               "640 8\n=0",
			in(`batch "$PWD/none$NL$PWD/file" "$PWD$NL$PWD/file"; BATCH_stat=$BATCH_a1$NL$BATCH_a2 BATCH_sums=$BATCH_s2; PATH=/none; echo "[$BATCH_a1$BATCH_s1]"; attributes "$PWD/file" && echo "$A_mode"; sum_of "$PWD/file"; echo "$SUM"; echo "[${IFS-unset}]"`): "[]\n640\n" + sum + "\n[unset]\n=0",
			in(`sum_of file; echo "$SUM"`):                                   sum + "\n=0",
			in(`sum_of missing 2>/dev/null`):                                 "=1",
			in(`salted_sum_of missing 2>/dev/null`):                          "=1",
			in(`SALT=con; printf 'tent\n' >t; salted_sum_of t; echo "$SUM"`): sum + "\n=0",
			in(`detail name file`):                                           "=0",
			in(`DETAIL=1; detail name file; say key value`):                  "|name\n|:content\n\n|.\nkey value\n=0",
			in(`DETAIL=1; : >empty; detail name "$PWD/empty"`):               "|name\n\n|.\n=0",
			in(`DETAIL=1; printf x >no-end; detail name no-end`):             "|name\n|:x\n|.\n=0",
		})
	})
}

// TestUnsearchable pins that what may not be seen is never told to be absent.
func TestUnsearchable(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "closed"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "closed"), 0); err != nil {
		t.Fatal(err)
	}
	for up := dir; strings.HasPrefix(up, os.TempDir()+"/"); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var as []string
	if os.Getuid() == 0 {
		if _, err := exec.LookPath("setpriv"); err != nil {
			t.Skip("NOT TESTED: root sees everything, and there is no setpriv")
		}
		as = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
	}
	forEachShell(t, func(t *testing.T, sh []string) {
		words := append(append([]string{}, as...), sh...)
		for _, path := range []string{"closed/a", "closed/a/b/c"} {
			stdout, stderr, _ := run(t, words, Prelude+"\n( path_type "+Quote(filepath.Join(dir, path))+" )\nprintf '=%s' $?\n")
			if stdout != "=1" || !strings.Contains(stderr, "closed: permission denied") {
				t.Errorf("%s: %q, stderr %q", path, stdout, stderr)
			}
		}
	})
}
