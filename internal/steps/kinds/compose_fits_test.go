package kinds

import (
	"strings"
	"testing"

	"provision/internal/shell"
)

// TestComposeFits judges versions of compose as they call themselves, in every shell.
func TestComposeFits(t *testing.T) {
	for _, c := range []struct{ version, builds, want string }{
		{"2.26.1-4", "yes", ""},
		{"2.40.3-3", "yes", ""},
		{"v2.7.0", "", ""},
		{"2.6.1", "", "compose 2.6.1 is too old"},
		{"1.25.0", "", ""},
		{"1.24.1", "", "compose 1.24.1 is too old"},
		{"unknown", "", ""},
		{"5.0.1", "", ""},
		{"5.0.1", "yes", "missing command /usr/libexec/docker/cli-plugins/docker-buildx"},
	} {
		for _, sh := range availableShells(t, "") {
			h := &host{shell: sh, work: t.TempDir()}
			r := h.fragment(t, shell.Strip(composeScriptSource)+"docker() { return 1; }\ncompose_version='"+c.version+"' compose_builds="+c.builds+"\ncompose_fits\n", nil, nil, false)
			if got := r.stdout + r.stderr; !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("%v: compose %s says %q, want %q", sh, c.version, got, c.want)
			}
		}
	}
}
