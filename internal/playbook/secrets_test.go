package playbook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/google/go-cmp/cmp"
)

// A secret must not reach a diagnostic, whatever goes wrong with it, and must be known to the redactor.
func TestSecretsStayHidden(t *testing.T) {
	const secret = "hunter2-hunter2"
	for name, text := range map[string]string{
		"argument":    `step "directory" "x" { path = var.pw }`,
		"mode":        "step \"directory\" \"x\" {\n path = \"/x\"\n mode = var.pw\n}",
		"function":    "step \"command\" \"x\" {\n run = [\"x\"]\n stdin = jsondecode(var.pw)\n}",
		"for":         "step \"command\" \"x\" {\n run = [\"x\"]\n stdin = join(\"\", [for s in [var.pw] : s + 1])\n}",
		"nested for":  "locals { l = { a = var.pw } }\nstep \"command\" \"x\" {\n run = [\"x\"]\n stdin = [for k, v in local.l : v.none][0]\n}",
		"index":       "step \"command\" \"x\" {\n run = [\"x\"]\n stdin = { a = 1 }[var.pw]\n}",
		"condition":   "step \"command\" \"x\" {\n run = [\"x\"]\n when = var.pw\n}",
		"for_each":    "step \"command\" \"x\" {\n for_each = toset([var.pw])\n run = [\"x\"]\n}",
		"env":         "step \"command\" \"x\" {\n run = [\"x\"]\n env = { (var.pw) = \"x\" }\n}",
		"template":    "step \"command\" \"x\" {\n run = [\"x\"]\n stdin = templatefile(\"t.tmpl\", { x = var.pw })\n}",
		"file":        "step \"command\" \"x\" {\n run = [\"x\"]\n stdin = file(var.pw)\n}",
		"source":      "step \"file\" \"x\" {\n path = \"/x\"\n source = var.pw\n}",
		"host":        "host \"x\" {\n user = var.pw\n}",
		"port":        "host \"x\" {\n port = var.pw\n}",
		"method":      "ssh {\n become_method = var.pw\n}",
		"rollout":     "play \"x\" {\n rollout {\n batch = [var.pw]\n }\n}",
		"hosts":       "host \"x\" {}\nplay \"x\" {\n hosts = [var.pw]\n}",
		"password":    "host \"x\" {\n password = [\"" + secret + "\"]\n}",
		"module":      "module \"m\" {\n source = \"./m\"\n n = var.pw\n}",
		"validation":  "module \"m\" {\n source = \"./v\"\n n = var.pw\n}",
		"retries":     "step \"command\" \"x\" {\n run = [\"x\"]\n retries = var.pw\n}",
		"timeout":     "step \"command\" \"x\" {\n run = [\"x\"]\n timeout = var.pw\n}",
		"check":       "check \"c\" {\n http = var.pw\n}",
		"operator":    "step \"command\" \"x\" {\n run = [\"x\"]\n stdin = var.pw + 1\n}",
		"conditional": "step \"command\" \"x\" {\n run = [\"x\"]\n stdin = var.pw ? 1 : 2\n}",
	} {
		t.Run(name, func(t *testing.T) {
			write(t, map[string]string{
				"a.hcl":              "variable \"pw\" { sensitive = true }\n" + text + "\n",
				"provision.vars.hcl": "pw = \"" + secret + "\"\n",
				"t.tmpl":             "${x + 1}",
				"m/m.hcl":            "variable \"n\" { type = number }\n",
				"v/v.hcl":            "variable \"n\" {\n validation {\n condition = tonumber(var.n) > 1\n error_message = \"no: ${var.n}\"\n }\n}\n",
			})
			pb, diags := Load(t.Context(), ".", Options{})
			diags = append(diags, pb.Validate()...)
			out := printed(pb, diags)
			if !diags.HasErrors() {
				t.Fatal("no mistake was found")
			}
			if strings.Contains(out, secret) || strings.Contains(diags.Error(), secret) {
				t.Errorf("the secret shows:\n%s", out)
			}
			if name != "password" && !strings.Contains(strings.Join(pb.Secrets(), " "), secret) {
				t.Error("the secret is not known to Secrets")
			}
		})
	}
}

func TestSecretsOfTemplates(t *testing.T) {
	write(t, map[string]string{
		"a.hcl": `
variable "pw" {
  sensitive = true
  default   = "hunter2-hunter2"
}
step "file" "x" {
  path     = "/x"
  template = "t.tmpl"
}
step "file" "y" {
  path    = "/y"
  content = base64encode(templatefile("u.tmpl", { v = var.pw }))
}
`, "t.tmpl": "pw=${var.pw} on ${host.name}\n", "u.tmpl": "<${v}>",
	})
	pb := load(t, Options{})
	list, _ := pb.Steps(pb.Inventory().Sandbox("box"), nil, nil)
	data, _ := json.Marshal(list[0].Step)
	if strings.Contains(string(data), "hunter2") {
		t.Errorf("the step shows its secret: %s", data)
	}
	want := []string{"PGh1bnRlcjItaHVudGVyMj4=", "hunter2-hunter2", "pw=hunter2-hunter2 on box\n", "pw=hunter2-hunter2 on sandbox\n"}
	if diff := cmp.Diff(want, pb.Secrets()); diff != "" {
		t.Error(diff)
	}
}

func TestDecrypt(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	encrypt := func(armored bool) string {
		var b bytes.Buffer
		a := armor.NewWriter(&b)
		to := a.(interface{ Write([]byte) (int, error) })
		if !armored {
			to = &b
		}
		w, err := age.Encrypt(to, id.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte("user: app\npassword: hunter2-hunter2\n"))
		_ = w.Close()
		if armored {
			_ = a.Close()
		}
		return b.String()
	}
	files := map[string]string{
		"a.hcl": `
locals { conf = yamldecode(decrypt("s.age")) }
step "command" "x" {
  run   = ["login", nonsensitive(local.conf.user)]
  stdin = "${local.conf.password}${decrypt("t.age") == "" ? "" : "!"}"
}
`, "s.age": encrypt(true), "t.age": encrypt(false), "key": id.String() + "\n",
	}
	for _, named := range []string{"key", id.String()} {
		write(t, files)
		pb := load(t, Options{Environ: []string{"PROVISION_AGE_IDENTITY=" + named}})
		list, _ := pb.Steps(pb.Inventory().Sandbox("box"), nil, nil)
		data, _ := json.Marshal(list[0].Step)
		if !strings.Contains(string(data), `"login","app"`) || strings.Contains(string(data), "hunter2") {
			t.Errorf("the step is %s", data)
		}
	}
	other, _ := age.GenerateX25519Identity()
	write(t, files)
	pb, diags := Load(t.Context(), ".", Options{Environ: []string{"PROVISION_AGE_IDENTITY=" + other.String()}})
	if out := printed(pb, append(diags, pb.Validate()...)); !strings.Contains(out, "encrypted for other") {
		t.Errorf("a wrong key gives:\n%s", out)
	}
}

// The environment files of a compose project are secrets though no argument says so.
func TestSecretsOfProjects(t *testing.T) {
	write(t, map[string]string{
		"a.hcl":            "step \"compose\" \"app\" {\n  source = \"app\"\n  dir = \"/srv/app\"\n}\n",
		"app/compose.yaml": "services:\n  web:\n    image: nginx\n    env_file: [settings]\n",
		"app/settings":     "KEY=hunter2-hunter2\nMODE=production\nDATABASE=postgres://app:hunter3@db/app\n",
	})
	pb := load(t, Options{})
	if list, diags := pb.Steps(pb.Inventory().Sandbox("box"), nil, nil); diags.HasErrors() || len(list) != 1 {
		t.Fatalf("%d steps, %v", len(list), diags)
	}
	want := []string{"KEY=hunter2-hunter2\nMODE=production\nDATABASE=postgres://app:hunter3@db/app\n", "hunter2-hunter2", "hunter3", "postgres://app:hunter3@db/app"}
	if diff := cmp.Diff(want, pb.Secrets()); diff != "" {
		t.Error(diff)
	}
}

// Of a secret that is too short to be hidden in a text it is warned once, at its variable, or without a place.
func TestShortSecrets(t *testing.T) {
	for text, want := range map[string][]string{
		`variable "a" {
		   sensitive = true
		   default   = { x = "1", y = "2", z = "long enough" }
		 }
		 step "file" "f" {
		   path    = "/f"
		   content = var.a.x
		 }`: {"main.hcl:1: The value of var.a, or a part of it, has fewer than 4 bytes."},
		`step "file" "f" {
		   path    = "/f"
		   content = sensitive("ab")
		 }`: {"A sensitive value that comes from no variable has fewer than 4 bytes."},
		`variable "a" {
		   sensitive = true
		   default   = "four"
		 }
		 step "file" "f" {
		   path    = "/f"
		   content = var.a
		 }`: nil,
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "main.hcl")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		pb, diags := Load(t.Context(), file, Options{})
		if diags = append(diags, pb.Validate()...); diags.HasErrors() {
			t.Fatal(diags)
		}
		var got []string
		for _, d := range pb.ShortSecrets() {
			at := ""
			if d.Subject != nil {
				at = fmt.Sprintf("main.hcl:%d: ", d.Subject.Start.Line)
			}
			first, _, _ := strings.Cut(d.Detail, " It is")
			got = append(got, at+first)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", text, diff)
		}
	}
}
