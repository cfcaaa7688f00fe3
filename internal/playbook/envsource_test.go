package playbook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Somebody who writes source = file("env") has given the secrets in place of the path. The diagnostic must not repeat them.
func TestContentInPlaceOfAPathIsNotShown(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"env":      "KEY=hunter2-hunter2\n",
		"site.hcl": "step \"env_file\" \"x\" {\n  path   = \"/etc/x.env\"\n  source = file(\"env\")\n}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pb, diags := Load(t.Context(), dir, Options{})
	diags = append(diags, pb.Validate()...)
	if !diags.HasErrors() {
		t.Fatal("content was taken for a path")
	}
	for _, d := range diags {
		if strings.Contains(d.Detail+d.Summary, "hunter2") {
			t.Errorf("the diagnostic shows the secret: %s", d.Detail)
		}
	}
}
