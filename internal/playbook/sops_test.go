package playbook

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
)

// decrypts evaluates decrypt of a file, and returns what it gives, the warnings of changed values, and the diagnostics as printed.
func decrypts(t *testing.T, name string, environ ...string) (text, warned, printedDiags string) {
	t.Helper()
	write(t, map[string]string{"a.hcl": fmt.Sprintf("step \"file\" \"x\" {\n path = \"/x\"\n content = decrypt(%q)\n}\n", name)})
	pb, diags := Load(t.Context(), ".", Options{Environ: environ})
	if diags = append(diags, pb.Validate()...); diags.HasErrors() {
		return "", "", strings.Join(strings.Fields(printed(pb, diags)), " ")
	}
	for _, d := range pb.LossyFiles() {
		warned += d.Detail + "\n"
	}
	if secrets := pb.Secrets(); len(secrets) == 1 {
		text = secrets[0]
	}
	return text, warned, ""
}

// sopsFiles finds files of testdata/sops, wherever the test goes later.
func sopsFiles(t *testing.T) func(name string) string {
	t.Helper()
	dir, err := filepath.Abs("testdata/sops")
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) string { return filepath.Join(dir, name) }
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// testSOPS puts a sops before the programs of PATH: the real one that PROVISION_TEST_SOPS names, or one that prints what the real one
// has once made of the files in testdata/sops.
func testSOPS(t *testing.T) (real bool) {
	t.Helper()
	bin := t.TempDir()
	if sops := os.Getenv("PROVISION_TEST_SOPS"); sops != "" {
		if err := os.Symlink(sops, filepath.Join(bin, "sops")); err != nil {
			t.Fatal(err)
		}
		real = true
	} else {
		script := "#!/bin/sh\n[ \"$1 $2\" = '--decrypt --input-type' ] || exit 9\nfor file; do :; done\n" +
			"[ -n \"$SOPS_AGE_KEY_FILE$SOPS_AGE_KEY\" ] || { echo 'Failed to get the data key' >&2; exit 128; }\n" +
			"cat \"${file%/*}/plain.${file##*.}\"\n"
		if err := os.WriteFile(filepath.Join(bin, "sops"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("HOME", t.TempDir())
	for _, v := range []string{"SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE"} {
		t.Setenv(v, "")
		os.Unsetenv(v)
	}
	return real
}

// decrypt knows a file of SOPS by its metadata, whatever its name, and gives what sops gives. Of values that sops had changed when it
// encrypted them it is warned, without showing them.
func TestDecryptSOPS(t *testing.T) {
	real, file := testSOPS(t), sopsFiles(t)
	if !real {
		t.Log("with recorded output of sops 3.13.3; PROVISION_TEST_SOPS names a real one")
	}
	key := "PROVISION_AGE_IDENTITY=" + file("age.key")
	for name, want := range map[string][]string{
		"yaml": {"mode (line 1), file_mode (line 11): an octal", "release (line 3), nested.list[1] (line 10): a number", "day (line 4): a date", "in quotes"},
		"json": {"ratio (line 3), big (line 4): a number"},
		"ini":  {"a comment above password:"},
		"env":  nil, "txt": nil,
	} {
		text, warned, wrong := decrypts(t, file("secret."+name), key)
		if plain := readFile(t, file("plain."+name)); text != plain || wrong != "" {
			t.Errorf("%s: %q instead of %q; %s", name, text, plain, wrong)
		}
		for _, w := range want {
			if !strings.Contains(warned, w) {
				t.Errorf("%s: %q is not in the warning: %s", name, w, warned)
			}
		}
		if want == nil && warned != "" || strings.Contains(warned, "493") || strings.Contains(warned, "port") || strings.Contains(warned, "quoted") || strings.Contains(warned, "user") {
			t.Errorf("%s: it is warned of %s", name, warned)
		}
	}
	// The name of a file need not tell.
	named := filepath.Join(t.TempDir(), "prod.yaml.secrets")
	for source, to := range map[string]string{"secret.yaml": named, "plain.yaml": filepath.Join(filepath.Dir(named), "plain.secrets")} {
		if err := os.WriteFile(to, []byte(readFile(t, file(source))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if text, _, wrong := decrypts(t, named, key); !strings.Contains(text, "mode: 493") {
		t.Errorf("%q, %s", text, wrong)
	}
	if _, _, wrong := decrypts(t, file("secret.yaml")); !strings.Contains(wrong, "exit status 128: Failed to get the data key") {
		t.Errorf("without a key: %s", wrong)
	}
	if !real {
		return
	}
	broken := filepath.Join(t.TempDir(), "x.json")
	for change, want := range map[string]string{`"password": "ENC[`: "exit status 25", `"version": "3`: ""} {
		text := strings.Replace(readFile(t, file("secret.json")), change, strings.Replace(change, "ENC[", "[", 1), 1)
		if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if text, _, wrong := decrypts(t, broken, key); want != "" && !strings.Contains(wrong, want) || want == "" && text == "" {
			t.Errorf("%s: %q, %s", change, text, wrong)
		}
	}
}

func TestDecryptWithoutSOPS(t *testing.T) {
	file := sopsFiles(t)
	t.Setenv("PATH", t.TempDir())
	if _, _, wrong := decrypts(t, file("secret.yaml")); !strings.Contains(wrong, "needs the program sops, which is not installed") {
		t.Error(wrong)
	}
}

// A file of age that is cut short gives an error, wherever it was cut, and nothing of what was in it.
func TestDecryptCutShort(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	w, err := age.Encrypt(&whole, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	const chunk = 64 << 10
	if _, err := w.Write(bytes.Repeat([]byte("secret line\n"), 2*chunk/12)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "x.age")
	header := whole.Len() - 2*chunk - 2*16
	for _, length := range []int{0, 10, header / 2, header, header + 100, header + chunk + 16, header + chunk + 17, whole.Len() - 1} {
		if err := os.WriteFile(file, whole.Bytes()[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		text, _, wrong := decrypts(t, file, "PROVISION_AGE_IDENTITY="+id.String())
		if text != "" || wrong == "" || strings.Contains(wrong, "secret line") {
			t.Errorf("%d of %d bytes: %q, %s", length, whole.Len(), text[:min(len(text), 50)], wrong)
		}
	}
	if err := os.WriteFile(file, whole.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, _, wrong := decrypts(t, file, "PROVISION_AGE_IDENTITY="+id.String()); len(text) < 2*chunk-12 {
		t.Error(wrong)
	}
}

// Files of gpg are decrypted by gpg, as the entries of pass are. Where it has no terminal, its words and what to do are the error.
func TestDecryptOpenPGP(t *testing.T) {
	gpg, err := exec.LookPath("gpg")
	if err != nil {
		if os.Getenv("PROVISION_CI") == "1" {
			t.Fatal("there is no gpg: install gnupg")
		}
		t.Skip("NOT TESTED: decrypt of OpenPGP files: install gnupg")
	}
	home, err := os.MkdirTemp("/tmp", "provision-gpg-") // a socket's name is short
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	t.Setenv("GPG_TTY", "")
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--kill", "all").Run()
		os.RemoveAll(home)
	})
	run := func(stdin string, args ...string) {
		t.Helper()
		cmd := exec.Command(gpg, append([]string{"--batch", "--quiet", "--pinentry-mode", "loopback", "--trust-model", "always"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	store := filepath.Join(home, "store")
	if err := os.MkdirAll(filepath.Join(store, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	run("", "--passphrase", "", "--quick-gen-key", "tester", "default", "default", "never")
	entry := filepath.Join(store, "db/password.gpg")
	run("from the store\nuser: x\n", "--encrypt", "-r", "tester", "-o", entry)
	run("armoured\n", "--encrypt", "--armor", "-r", "tester", "-o", filepath.Join(store, "a.asc"))
	run("by passphrase\n", "--passphrase", "pass", "--no-symkey-cache", "--symmetric", "-o", filepath.Join(store, "locked.gpg"))
	for name, want := range map[string]string{"db/password.gpg": "from the store\nuser: x\n", "a.asc": "armoured\n"} {
		if text, _, wrong := decrypts(t, filepath.Join(store, name)); text != want {
			t.Errorf("%s: %q, %s", name, text, wrong)
		}
	}
	for name, want := range map[string]string{"db": "is a directory", "locked.gpg": "cannot be decrypted: gpg: exit status 2: gpg:"} {
		if text, _, wrong := decrypts(t, filepath.Join(store, name)); text != "" || !strings.Contains(wrong, want) {
			t.Errorf("%s: %q, %s", name, text, wrong)
		}
	}
	whole := readFile(t, entry)
	for length := 3; length < len(whole); length += 50 {
		cut := filepath.Join(store, "cut.gpg")
		if err := os.WriteFile(cut, []byte(whole[:length]), 0o600); err != nil {
			t.Fatal(err)
		}
		if text, _, wrong := decrypts(t, cut); text != "" || wrong == "" {
			t.Errorf("%d of %d bytes: %q, %s", length, len(whole), text, wrong)
		}
	}
}
