package kinds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"provision/internal/steps"
)

// sentPlace is sh that sets sent: the list of what a compose step sent to a directory. It lies where the engine has its
// journals, out of reach of whoever may write to the directory. Two projects in one directory do not remove each other's files.
// Beside it is what compose.sh notes.
func sentPlace(dir, project string) string {
	sum := sha256.Sum256([]byte(project + " " + dir))
	return fmt.Sprintf("sent=compose/%s\nif [ \"$F_UID\" = 0 ]; then sent=/var/lib/provision/$sent; else sent=$HOME/.provision/$sent; fi\n", hex.EncodeToString(sum[:6]))
}

// drop adds what was sent once and is to go: not what a pattern names, and not what the project needs, which another
// step may bring now.
func (c *compose) drop(d *differences, obs steps.Observation) error {
	for _, p := range obs.All("dropped") {
		ignored, err := c.ignore.MatchesOrParentMatches(p)
		if err != nil {
			return err
		}
		if !ignored && !c.project.needs(p) {
			d.remove = append(d.remove, p)
		}
	}
	d.prune = obs.All("emptied")
	slices.Sort(d.prune)
	slices.Reverse(d.prune) // what is in a directory comes before it
	return nil
}

// needs tells whether the project names the file.
func (p *composeProject) needs(file string) bool {
	return slices.Contains(p.Keep, file) || slices.Contains(p.Env, file)
}

// secret tells whether a file of the project is to be kept from other eyes: because the project says what it is for, or by its
// name. An example is there to be shown.
func (p *composeProject) secret(file string) bool {
	if slices.Contains(p.Secret, file) {
		return true
	}
	base := path.Base(file)
	switch path.Ext(base) {
	case ".example", ".sample", ".template", ".dist":
		return false
	}
	return base == ".env" || strings.HasPrefix(base, ".env.") || strings.HasSuffix(base, ".env") ||
		slices.Contains(strings.Split(path.Dir(file), "/"), ".envs")
}
