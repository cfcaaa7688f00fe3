//go:build acceptance

package acceptance

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
		"env_file": "S3cretEnvFile-kq81", "content": "S3cretContent-zp42", "env": "S3cretVariable-mw73", "stdin": "S3cretStdin-xv64",
		"hash": "$6$saltsalt$S3cretHash.vt55", "template": "S3cretTemplate-jb96",
		"printed": "S3cretPrinted-hd27",
	}
	b := newBook(t, h, `
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
`)
	b.write("secret.tmpl", "key=${var.secrets.template}\n")
	var vars strings.Builder
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		fmt.Fprintf(&vars, "  %s = %q\n", name, secrets[name])
	}
	vault := filepath.Join(t.TempDir(), "vault.hcl") // outside the playbook, in which nothing of it may be found afterwards
	if err := os.WriteFile(vault, []byte("secrets = {\n"+vars.String()+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	plan := b.plan("--var-file", vault)
	applied := b.apply("--var-file", vault)
	if plan.exit != 2 || applied.exit != 1 || applied.end("step.command.fails").Status != "failed" {
		t.Fatalf("plan %d, apply %d\n%s\n%s", plan.exit, applied.exit, plan.dump(), applied.dump())
	}
	text := b.command("apply", ".", "--yes", "-v", "--var-file", vault)
	said, _ := text.CombinedOutput()
	b.steps(`step "file" "content" {
  path    = "/etc/secret.conf"
  content = "an old secret goes\n"
}
`)
	next := b.plan()
	h.Run(t, "systemctl stop sampler")
	tidy(t, h)

	for name, secret := range secrets {
		for where, out := range map[string]string{
			"plan": plan.stdout + plan.stderr, "apply --json": applied.stdout + applied.stderr, "apply -v": string(said), "a later plan": next.stdout + next.stderr,
		} {
			if strings.Contains(out, secret) {
				t.Errorf("the secret %s is in the output of %s", name, where)
			}
		}
		err := filepath.WalkDir(b.dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("the secret %s is in %s", name, path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	onHost(t, h, secrets)
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
		script := fmt.Sprintf(`grep -rlaF -e '%s' / --exclude-dir=proc --exclude-dir=sys --exclude-dir=journal 2>/dev/null; grep -laF -e '%s' -r /run /tmp /dev/shm 2>/dev/null; true`, secret, secret)
		found := slices.Compact(slices.Sorted(strings.Lines(h.Run(t, script))))
		for i := range found {
			found[i] = strings.TrimSpace(found[i])
		}
		if diff := cmp.Diff(destinations[name], found); diff != "" {
			t.Errorf("the secret %s is elsewhere than where it belongs (-want +got):\n%s", name, diff)
		}
	}
}
