//go:build acceptance

package acceptance

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/shell"
	"provision/internal/testhost"
)

// logged makes sudo keep what passes through it, as a careful administrator may, in the clear.
const logged = `
mkdir -p /var/log/sudo-io
echo 'Defaults log_input, log_output, iolog_dir=/var/log/sudo-io' >/etc/sudoers.d/io`

// sampler copies the arguments and environments of all processes, and everything that a run keeps while it runs, into /var/log/samples.
const sampler = `mkdir -p /var/log/samples; while :; do
	for p in /proc/[0-9]*; do cat $p/cmdline; echo; done >>/var/log/samples/arguments 2>/dev/null
	for p in /proc/[0-9]*; do tr '\0' ' ' <$p/environ; echo; done >>/var/log/samples/environments 2>/dev/null
	cat /run/provision/lock /run/provision/run-*/* /var/lib/provision/*  >>/var/log/samples/state 2>/dev/null
	busctl --no-pager get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager Environment >>/var/log/samples/bus 2>/dev/null
	systemctl show 'provision-*' >>/var/log/samples/bus 2>/dev/null
done`

func TestSecretsStayWhereTheyBelong(t *testing.T) {
	t.Parallel()
	h := testhost.Fresh(t, testhost.AsAdmin(), testhost.Edit(logged))
	h.Run(t, "systemd-run --quiet --unit=sampler sh -c '"+strings.ReplaceAll(sampler, "'", `'\''`)+"'")

	// No part of one is in another, and none is a word that something else may print.
	secrets := map[string]string{
		"env_file": "S3cretEnvFile-kq81", "content": "S3cretContent-zp42", "env": `S3cret "Vari'able" & <mw> $73 100%`, "stdin": "S3cretStdin-xv64",
		"hash": "$6$saltsalt$S3cretHash.vt55", "template": "S3cretTemplate-jb96",
		"printed": "S3cretPrinted-hd27",
	}
	steps := `
variable "secrets" {
  type      = map(string)
  sensitive = true
}

step "env_file" "app" {
  path   = "/etc/app.env"
  values = { TOKEN = var.secrets.env_file }
}

step "file" "content" {
  path    = "/etc/secret.conf"
  content = "password=${var.secrets.content}\n"
}

step "file" "template" {
  path     = "/etc/template.conf"
  template = "secret.tmpl"
}

step "command" "env" {
  env     = { TOKEN = var.secrets.env, PRINTED = var.secrets.printed }
  script  = "printf %s \"$TOKEN\" >/etc/from-env; echo \"it is $PRINTED\"; sleep 2"
  creates = "/etc/from-env"
}

step "command" "stdin" {
  stdin   = var.secrets.stdin
  script  = "cat >/etc/from-stdin; sleep 2"
  creates = "/etc/from-stdin"
}

step "user" "app" {
  name          = "bicycle"
  password_hash = var.secrets.hash
}

step "command" "fails" {
  env    = { PRINTED = var.secrets.printed }
  script = "echo \"no access with $PRINTED\" >&2; exit 1"
}
`
	b := newBook(t, h, steps)
	b.write("secret.tmpl", "key=${var.secrets.template}\n")
	var vars strings.Builder
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		fmt.Fprintf(&vars, "  %s = %q\n", name, secrets[name])
	}
	vault := filepath.Join(t.TempDir(), "vault.hcl") // outside the playbook, in which nothing of it may be found afterwards
	if err := os.WriteFile(vault, []byte("secrets = {\n"+vars.String()+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	said := map[string]string{}
	tell := func(args ...string) {
		out, _ := b.command(append(args, "--var-file", vault)...).CombinedOutput()
		said[strings.Join(args, " ")] = string(out)
	}
	keep := func(name string, args ...string) { // of what is kept, without the variables
		out, _ := b.command(args...).CombinedOutput()
		said[name] = string(out)
	}
	// First every step fails in its operation, since the places that they write to take nothing.
	h.Run(t, "mkdir -p /etc/barred && mount -t tmpfs -o ro tmpfs /etc/barred")
	barred := strings.NewReplacer(`"/etc/`, `"/etc/barred/`, ">/etc/", ">/etc/barred/", `"bicycle"`, "\"bicycle\"\n  home          = \"/etc/barred/home\"").Replace(steps)
	b.steps(regexp.MustCompile(`(?m)^step .*\{$`).ReplaceAllString(barred, "$0\n  continue_on_error = true"))
	tell("apply", ".", "--yes", "-v", "--report", "failed.html", "--junit", "failed.xml")
	if out := said["apply . --yes -v --report failed.html --junit failed.xml"]; !strings.Contains(out, "7 failed") {
		t.Fatalf("not every step failed:\n%s", out)
	}
	h.Run(t, "umount /etc/barred && rmdir /etc/barred; ! getent passwd bicycle || userdel bicycle")

	b.steps(steps)
	plan := b.plan("--var-file", vault)
	tell("plan", ".", "--markdown")
	tell("plan", ".")
	tell("plan", ".", "--out", "saved.plan")
	keep("show", "show", "saved.plan")
	keep("show --json", "show", "--json", "saved.plan")
	applied := b.apply("--var-file", vault)
	if plan.exit != 2 || applied.exit != 1 || applied.end("step.command.fails").Status != "failed" {
		t.Fatalf("plan %d, apply %d\n%s\n%s", plan.exit, applied.exit, plan.dump(), applied.dump())
	}
	said["plan --json"], said["apply --json"] = plan.stdout+plan.stderr, applied.stdout+applied.stderr
	tell("apply", ".", "--yes", "-v", "--report", "second.html", "--junit", "second.xml")
	tell("apply", ".", "--yes", "--quiet")
	tell("validate", ".", "--json")
	keep("runs last --json", "runs", "last", "--json")
	keep("runs last -v --report", "runs", "last", "-v", "--report", "third.html", "--junit", "third.xml")
	b.steps(`step "file" "content" {
  path    = "/etc/secret.conf"
  content = "an old secret goes\n"
}
`)
	next := b.plan()
	said["a later plan"] = next.stdout + next.stderr
	h.Run(t, "systemctl stop sampler")
	tidy(t, h)

	for where, out := range said {
		if !strings.HasPrefix(where, "validate") && !strings.Contains(out, "step.") {
			t.Errorf("%s says nothing of the steps:\n%s", where, out)
		}
	}
	for name, secret := range secrets {
		for how, form := range formsOf(secret) {
			for where, out := range said {
				if strings.Contains(out, form) {
					t.Errorf("the secret %s is in the output of %s, %s", name, where, how)
				}
			}
			err := filepath.WalkDir(b.dir, func(path string, entry fs.DirEntry, err error) error {
				if err != nil || !entry.Type().IsRegular() {
					return err
				}
				content, err := os.ReadFile(path)
				if bytes.Contains(content, []byte(form)) {
					t.Errorf("the secret %s is in %s, %s", name, path, how)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
	for _, report := range []string{"failed.html", "failed.xml", "second.html", "third.xml", "saved.plan"} {
		if _, err := os.Stat(b.path(report)); err != nil {
			t.Error(err)
		}
	}
	onHost(t, h, secrets)
}

// formsOf are the notations in which a secret is looked for.
func formsOf(secret string) map[string]string {
	text, _ := json.Marshal(secret)
	return map[string]string{
		"plain": secret, "in base64": base64.StdEncoding.EncodeToString([]byte(secret)), "in base64 for URLs": base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"in hexadecimal": hex.EncodeToString([]byte(secret)), "in upper-case hexadecimal": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"as a query": url.QueryEscape(secret), "as a path": url.PathEscape(secret), "in JSON": strings.Trim(string(text), `"`),
		"in sh": strings.ReplaceAll(secret, "'", `'\''`), "in HTML": html.EscapeString(secret),
	}
}

// onHost looks for each secret wherever the host may have kept it.
func onHost(t *testing.T, h *testhost.Host, secrets map[string]string) {
	t.Helper()
	h.Run(t, `for f in $(find /var/log/sudo-io -type f); do zcat -f "$f" >>/var/log/samples/sudo; done
journalctl --no-pager -o export >/var/log/samples/journal`)
	// The nets are in the water: what must be in each of them is.
	h.Run(t, `cd /var/log/samples && grep -aq 'NONCE=provision-' sudo && grep -aq sshd journal && grep -aq 'program' arguments && grep -aq PATH= environments &&
grep -aq '^begin ' state && grep -aq Id=provision- bus`)
	destinations := map[string][]string{
		"env_file": {"/etc/app.env"}, "content": {"/etc/secret.conf"}, "template": {"/etc/template.conf"}, "stdin": {"/etc/from-stdin"},
		"hash": {"/etc/shadow"},
		// The environment of the command that was given it is one of its destinations.
		"env": {"/etc/from-env", "/var/log/samples/environments"},
	}
	for name, secret := range secrets {
		if name == "printed" {
			continue // a command that prints its secret gives it away there itself
		}
		var patterns strings.Builder
		for _, form := range formsOf(secret) {
			patterns.WriteString(" -e " + shell.Quote(form))
		}
		script := fmt.Sprintf(`grep -rlaF%[1]s / --exclude-dir=proc --exclude-dir=sys --exclude-dir=journal 2>/dev/null; grep -laF%[1]s -r /run /tmp /dev/shm 2>/dev/null; true`, patterns.String())
		found := slices.Compact(slices.Sorted(strings.Lines(h.Run(t, script))))
		for i := range found {
			found[i] = strings.TrimSpace(found[i])
		}
		if diff := cmp.Diff(destinations[name], found); diff != "" {
			t.Errorf("the secret %s is elsewhere than where it belongs (-want +got):\n%s", name, diff)
		}
	}
}
