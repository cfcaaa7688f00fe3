package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/scrypt"

	"provision/internal/steps"
)

// SavedFormat is the version of the format of saved plans. It grows when an older provision could not read, or would misread, a
// newer file.
const SavedFormat = 1

// A SavedPlan is a plan as it lies in a file: what people read, and what it takes to find out whether it still holds. It has no
// operations, which are computed anew when it is applied, and no secrets: what they enter into is there as a salted hash. As
// JSON it is one object whose first key is provision_plan.
type SavedPlan struct {
	Format    int        `json:"provision_plan"` // SavedFormat
	Version   string     `json:"version,omitempty"`
	Run       string     `json:"run"` // id of the run that made it
	Made      time.Time  `json:"made"`
	By        string     `json:"by,omitempty"` // who made it, and where: "ann@laptop"
	Playbook  string     `json:"playbook"`     // absolute path
	Typed     string     `json:"typed"`        // the same as the user wrote it
	Selection *Selection `json:"selection,omitempty"`

	// Salt is that of the run, and the key of all hashes; hexadecimal.
	Salt string `json:"salt"`

	// Inputs is a hash of what the playbook was computed from: its files, the values of variables, the local files that it reads.
	Inputs string `json:"inputs"`

	Shown []PlanStep  `json:"shown"` // what is shown of the steps, each only once for all hosts
	Hosts []SavedHost `json:"hosts"` // in the order of the inventory
}

// A SavedHost is the plan of one host.
type SavedHost struct {
	Name    string      `json:"name"`
	Address string      `json:"address"` // host:port as dialled
	User    string      `json:"user"`
	Facts   string      `json:"facts,omitempty"` // hash of the facts that a playbook sees; "" if no play takes the host
	Steps   []SavedStep `json:"steps,omitempty"`
}

// A SavedStep is what was planned for one step, check blocks apart: they change nothing, and the state that they look at is
// for them to judge. The hashes are "" where there is nothing to hash: nothing is looked at, or the step was not known yet.
type SavedStep struct {
	Shown  int    `json:"shown"`            // index into SavedPlan.Shown
	Probe  string `json:"probe,omitempty"`  // of what is asked on the host, and as whom
	State  string `json:"state,omitempty"`  // of the answer
	Change string `json:"change,omitempty"` // of what would run, in the observed state and in the predicted ones, with all contents
}

// Saved returns the plan that the run has made. It is an error if a host has no plan, and the plan of the others is returned all the
// same. Call it between Plan and Apply, or in place of Apply.
func (r *Run) Saved(s *Sealer) (*SavedPlan, error) {
	plan := &SavedPlan{Format: SavedFormat, Version: r.Version, Run: r.ID, Made: r.began.UTC().Truncate(time.Second), Typed: r.Playbook, Salt: r.Salt}
	plan.By, _, _ = strings.Cut(r.Owner, " since ") // without since when, and in which run
	var err error
	if plan.Playbook, err = filepath.Abs(r.Playbook); err != nil {
		return nil, err
	}
	if plan.Selection, err = r.portable(); err != nil {
		return nil, err
	}
	if r.Inputs != nil {
		plan.Inputs = s.Secret(r.Inputs())
	}
	table := map[string]int{}
	var without []string
	for _, h := range r.hosts {
		saved := SavedHost{Name: h.Name, Address: h.Address, User: h.User}
		switch h.outcome {
		case "":
			saved.Facts = s.seal(factsText(h.facts), false)
			saved.Steps = h.sealed(s)
		case HostSkipped:
		default:
			without = append(without, h.Name)
			continue
		}
		if err := h.share(saved.Steps, plan, table); err != nil {
			return nil, err
		}
		plan.Hosts = append(plan.Hosts, saved)
	}
	if len(without) > 0 {
		return plan, &UnplannedError{Hosts: without}
	}
	return plan, nil
}

// portable is the selection as it is saved: good in every directory, and without a value in which a secret would be found.
func (r *Run) portable() (*Selection, error) {
	if r.Selection == nil {
		return nil, nil
	}
	was := r.Selection
	s := &Selection{Limit: was.Limit, Shard: was.Shard, Tags: was.Tags, SkipTags: was.SkipTags, Secret: slices.Clone(was.Secret), Vars: map[string]string{}}
	for _, name := range was.VarFiles {
		path, err := filepath.Abs(name)
		if err != nil {
			return nil, err
		}
		s.VarFiles = append(s.VarFiles, path)
	}
	for _, name := range slices.Sorted(maps.Keys(was.Vars)) {
		if r.Secrets.Value(was.Vars[name]) != was.Vars[name] {
			s.Secret = append(s.Secret, name)
			continue
		}
		s.Vars[name] = was.Vars[name]
		if slices.Contains(was.Environ, name) {
			s.Environ = append(s.Environ, name)
		}
	}
	return s, nil
}

// share enters what is shown of a host's steps into the table of the plan. All secrets are known by now, whichever host brought
// them.
func (h *hostRun) share(saved []SavedStep, plan *SavedPlan, table map[string]int) error {
	n := 0
	for i := range h.planned {
		if h.planned[i].Check || h.planned[i].Message() || h.outcome != "" {
			continue
		}
		told := h.told(&h.planned[i])
		data, err := json.Marshal(&told)
		if err != nil {
			return err
		}
		at, known := table[string(data)]
		if !known {
			at = len(plan.Shown)
			table[string(data)] = at
			// As the file will hold it: there, bytes of a name that are no UTF-8 are replaced.
			var held PlanStep
			if err := json.Unmarshal(data, &held); err != nil {
				return err
			}
			plan.Shown = append(plan.Shown, held)
		}
		saved[n].Shown = at
		n++
	}
	return nil
}

// An UnplannedError names the hosts that there is no plan of.
type UnplannedError struct{ Hosts []string }

func (e *UnplannedError) Error() string {
	return "there is no plan for " + strings.Join(e.Hosts, ", ")
}

// sealed returns the hashes of the steps of a host, in their order.
func (h *hostRun) sealed(s *Sealer) []SavedStep {
	owed := h.subscriptions()
	var list []SavedStep
	for i := range h.planned {
		if !h.planned[i].Check && !h.planned[i].Message() {
			list = append(list, h.sealedStep(s, i, owed))
		}
	}
	return list
}

func (h *hostRun) sealedStep(s *Sealer, i int, owed map[string][]string) SavedStep {
	p := &h.planned[i]
	if p.Step == nil || p.Skip || p.Loan != nil || len(p.Waits) > 0 {
		return SavedStep{}
	}
	if p.Data() {
		return h.sealedData(s, p)
	}
	e := h.entry(i, owed[p.Addr])
	e.adopts = nil        // what a host remembers is no part of the change
	e.number = 0          // its place among the steps is compared for itself
	w := &programWriter{} // which leaves local files out: their sums are here
	w.entry(&e)
	var change strings.Builder
	change.WriteString(w.String())
	secret := steps.Salted(e.probe)
	for _, f := range w.staged {
		content, sensitive := contentText(f.content)
		fmt.Fprintf(&change, "\n%s %d\n%s", f.name, len(content), content)
		secret = secret || sensitive
	}
	saved := SavedStep{Change: s.seal(change.String(), secret)}
	if e.probe != "" {
		saved.Probe = s.seal(e.runAs+"\n"+e.probe, false)
		saved.State = s.seal(strconv.Itoa(p.obs.Exit)+"\n"+p.obs.State(), secret)
	}
	return saved
}

// sealedData holds to what data has found, unless that is known later.
func (h *hostRun) sealedData(s *Sealer, p *Planned) SavedStep {
	saved := SavedStep{Probe: s.seal(h.runAs(&p.Instance)+"\n"+p.Step.Probe(), false)}
	if p.Err == nil && p.Change.Action == steps.NoOp {
		secret := results(h.facts, p, p.obs, steps.Result{}, false).ContainsMarked()
		saved.State = s.seal(strconv.Itoa(p.obs.Exit)+"\n"+p.obs.State(), secret)
	}
	return saved
}

// contentText is what a content consists of, of local files their hashes, and whether a secret is in it.
func contentText(c steps.Content) (text string, secret bool) {
	switch {
	case c.Tree != nil:
		var b strings.Builder
		for _, f := range c.Tree.Files {
			fmt.Fprintf(&b, "%q %c %s %q", f.Path, f.Type, f.SHA256, f.Target)
			if f.Content != nil {
				fmt.Fprintf(&b, " %q", f.Content.Reveal())
				secret = secret || f.Content.Sensitive()
			}
			b.WriteByte('\n')
		}
		return b.String(), secret
	case c.Local != nil:
		return c.Local.SHA256, false
	}
	return c.Text.Reveal(), c.Text.Sensitive()
}

// factsText is everything that a playbook can see of the facts.
func factsText(f *steps.Facts) string {
	visible := *f
	visible.Salt, visible.BootID = "", ""
	return fmt.Sprintf("%+v", visible)
}

// A Sealer makes the hashes of saved plans. It may be used by several goroutines.
type Sealer struct {
	key  []byte
	cost int // of scrypt: its N

	mu   sync.Mutex
	slow map[string]string
}

// sealCost makes a guess at a secret take some 16 MiB and 50 ms.
const sealCost = 1 << 14

// NewSealer returns a Sealer with the salt of a run as its key.
func NewSealer(salt string) *Sealer {
	return &Sealer{key: []byte(salt), cost: sealCost, slow: map[string]string{}}
}

// Secret returns the hash of a text that holds secrets, in hexadecimal. Since its key lies beside it in the file, guessing a short
// secret has to be slow: each guess takes some 16 MiB and 50 ms.
func (s *Sealer) Secret(text string) string { return s.seal(text, true) }

func (s *Sealer) seal(text string, secret bool) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	sum := mac.Sum(nil)
	if !secret {
		return hex.EncodeToString(sum[:16])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, yes := s.slow[string(sum)]; yes {
		return known
	}
	slow, err := scrypt.Key(sum, s.key, s.cost, 8, 1, 16)
	if err != nil {
		panic(err) // its parameters are constants
	}
	sealed := hex.EncodeToString(slow)
	s.slow[string(sum)] = sealed
	return sealed
}
