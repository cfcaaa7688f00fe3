package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"provision/internal/event"
	"provision/internal/savedplan"
	"provision/internal/steps"
)

// Saved returns the plan that the run has made. It is an error if a host has no plan, and the plan of the others is returned all the
// same. Call it between Plan and Apply, or in place of Apply.
func (r *Run) Saved(s *savedplan.Sealer) (*savedplan.Plan, error) {
	plan := &savedplan.Plan{Format: savedplan.Format, Version: r.Version, Run: r.ID, Made: r.began.UTC().Truncate(time.Second), Typed: r.Playbook, Salt: r.Salt}
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
		saved := savedplan.Host{Name: h.Name, Address: h.Address, User: h.User}
		switch h.outcome {
		case "":
			saved.Facts = s.Seal(factsText(h.facts), false)
			saved.Steps, saved.Messages = h.sealed(s), h.saidInPlan()
		case event.HostSkipped:
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
func (r *Run) portable() (*event.Selection, error) {
	if r.Selection == nil {
		return nil, nil
	}
	was := r.Selection
	s := &event.Selection{Limit: was.Limit, Shard: was.Shard, Tags: was.Tags, SkipTags: was.SkipTags, Secret: slices.Clone(was.Secret), Vars: map[string]string{}}
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
func (h *hostRun) share(saved []savedplan.Step, plan *savedplan.Plan, table map[string]int) error {
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
			var held event.PlanStep
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
func (h *hostRun) sealed(s *savedplan.Sealer) []savedplan.Step {
	owed := h.subscriptions()
	var list []savedplan.Step
	for i := range h.planned {
		if !h.planned[i].Check && !h.planned[i].Message() {
			list = append(list, h.sealedStep(s, i, owed))
		}
	}
	return list
}

func (h *hostRun) sealedStep(s *savedplan.Sealer, i int, owed map[string][]string) savedplan.Step {
	p := &h.planned[i]
	if p.Step == nil || p.Skip || p.Loan != nil || len(p.Waits) > 0 {
		return savedplan.Step{}
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
	saved := savedplan.Step{Change: s.Seal(change.String(), secret)}
	if e.probe != "" {
		saved.Probe = s.Seal(e.runAs+"\n"+e.probe, false)
		saved.State = s.Seal(strconv.Itoa(p.obs.Exit)+"\n"+p.obs.State(), secret)
	}
	return saved
}

// sealedData holds to what data has found, unless that is known later.
func (h *hostRun) sealedData(s *savedplan.Sealer, p *Planned) savedplan.Step {
	saved := savedplan.Step{Probe: s.Seal(h.runAs(&p.Instance)+"\n"+p.Step.Probe(), false)}
	if p.Err == nil && p.Change.Action == steps.NoOp {
		secret := results(h.facts, p, p.obs, steps.Result{}, false).ContainsMarked()
		saved.State = s.Seal(strconv.Itoa(p.obs.Exit)+"\n"+p.obs.State(), secret)
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
