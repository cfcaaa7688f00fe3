package savedplan

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"provision/internal/steps"
)

// Limit is the size in bytes that the file of a saved plan may have.
const Limit = 64 << 20

// savedStart is how such a file begins, and no playbook does.
var savedStart = regexp.MustCompile(`^\s*\{\s*"provision_plan"\s*:`)

// IsPlan tells from the first bytes of a file, 512 are enough, whether it is meant to be a saved plan.
func IsPlan(start []byte) bool { return savedStart.Match(start) }

// Encode returns the plan as the content of a file.
func (p *Plan) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(p); err != nil {
		return nil, err
	}
	if b.Len() > Limit {
		return nil, fmt.Errorf("the plan would take %d MiB, and %d are what a file of a plan may have; save it in parts with --limit", b.Len()>>20, Limit>>20)
	}
	return b.Bytes(), nil
}

var errNoPlan = errors.New("it is no saved plan: make one with provision plan --out FILE")

// Decode reads what Encode wrote. Whatever else the text is, it is an error: nothing of a damaged file is used.
func Decode(r io.Reader) (*Plan, error) {
	data, err := io.ReadAll(io.LimitReader(r, Limit+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > Limit:
		return nil, fmt.Errorf("it is larger than %d MiB: no plan is", Limit>>20)
	case !IsPlan(data):
		return nil, errNoPlan
	}
	// The format first: a file of another one has other fields.
	var head struct {
		Format  int    `json:"provision_plan"`
		Version string `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, damaged(err)
	}
	if head.Format != Format {
		return nil, fmt.Errorf("its format is %d, and this provision reads %d: use version %s, which made it, or make a new plan", head.Format, Format, head.Version)
	}
	plan := &Plan{}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(plan); err != nil {
		return nil, damaged(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, damaged(errors.New("there is something after its end"))
	}
	if err := plan.check(); err != nil {
		return nil, damaged(err)
	}
	return plan, nil
}

func damaged(err error) error {
	return fmt.Errorf("the saved plan is damaged: %w; make a new one", err)
}

// check finds what Encode never writes.
func (p *Plan) check() error {
	switch {
	case !isHash(p.Salt):
		return errors.New("it has no salt")
	case !isHash(p.Inputs):
		return errors.New("it does not say what it was made from")
	case !filepath.IsAbs(p.Playbook):
		return errors.New("it does not say of which playbook it is")
	case len(p.Hosts) == 0:
		return errors.New("it has no hosts")
	case strings.Contains(strings.Join(p.words(), ""), "\x00"):
		return errors.New("there is a NUL byte in its selection")
	}
	for i := range p.Shown {
		if s := &p.Shown[i]; s.Addr == "" || !knownAction(s.Action) {
			return fmt.Errorf("step %d has no address or no action", i+1)
		}
	}
	names := map[string]bool{}
	for i := range p.Hosts {
		h := &p.Hosts[i]
		if h.Name == "" || names[h.Name] {
			return fmt.Errorf("host %d has no name of its own", i+1)
		}
		names[h.Name] = true
		addrs := map[string]bool{}
		for j, s := range h.Steps {
			if s.Shown < 0 || s.Shown >= len(p.Shown) || addrs[p.Shown[s.Shown].Addr] {
				return fmt.Errorf("host %s has no step %d of its own", h.Name, j+1)
			}
			addrs[p.Shown[s.Shown].Addr] = true
			for _, hash := range []string{s.Probe, s.State, s.Change} {
				if hash != "" && !isHash(hash) {
					return fmt.Errorf("step %d of host %s has a hash that is none", j+1, h.Name)
				}
			}
		}
	}
	return nil
}

// words are what the command line had that made the plan.
func (p *Plan) words() []string {
	words := []string{p.Playbook, p.Typed}
	if s := p.Selection; s != nil {
		words = slices.Concat(words, s.Limit, []string{s.Shard}, s.Tags, s.SkipTags, s.VarFiles, s.Secret)
		for name, value := range s.Vars {
			words = append(words, name, value)
		}
	}
	return words
}

// isHash tells whether s is 16 bytes in hexadecimal, as salts and hashes are.
func isHash(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 16
}

func knownAction(a steps.Action) bool {
	switch a {
	case steps.NoOp, steps.Create, steps.Update, steps.Delete, steps.Execute, steps.Unknown:
		return true
	}
	return false
}
