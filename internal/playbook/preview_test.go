package playbook

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"provision/internal/steps"
)

// A small text that comes from a local file is shown as a diff, as one that stands in the playbook; other files by their sums.
func TestSourceIsShownAsContentIs(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		diff    bool
	}{
		"text":    {"x\n", true},
		"empty":   {"", true},
		"limit":   {strings.Repeat("x", steps.PreviewLimit), true},
		"large":   {strings.Repeat("x", steps.PreviewLimit+1), false},
		"binary":  {"x\x00", false},
		"latin-1": {"caf\xe9\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{
				"x":        c.content,
				"site.hcl": "step \"file\" \"x\" {\n  path   = \"/etc/x\"\n  source = \"x\"\n}\n",
			} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			pb, diags := Load(t.Context(), dir, Options{})
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			list, diags := pb.Steps(pb.Inventory().Sandbox("box"), debian(), nil)
			if diags.HasErrors() || len(list) != 1 {
				t.Fatal(list, diags)
			}
			change, err := list[0].Step.Plan(debian(), steps.Observe("type file", "sum 0", "|content", "|:old", "|.", "owner root"))
			if err != nil || len(change.Diff) != 1 {
				t.Fatal(change, err)
			}
			sum := sha256.Sum256([]byte(c.content))
			want := steps.Attr{Name: "content", Before: "sha256 0", After: "sha256 " + hex.EncodeToString(sum[:])}
			if c.diff {
				want.Before, want.After = "old", c.content
			}
			if change.Diff[0] != want {
				t.Errorf("content: %.40q, %.40q; want %.40q, %.40q", change.Diff[0].Before, change.Diff[0].After, want.Before, want.After)
			}
		})
	}
}
