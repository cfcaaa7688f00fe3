package main

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"provision/internal/engine"
	"provision/internal/inventory"
	"provision/internal/playbook"
)

// phases groups the plays that a host may run one after the other at its own pace: consecutive ones for the same hosts, without a
// rollout of their own. seed decides the random orders that name none.
func phases(pb *playbook.Playbook, hosts []*inventory.Host, seed string) []engine.Phase {
	chosen := map[string]bool{}
	for _, h := range hosts {
		chosen[h.Name] = true
	}
	list := []engine.Phase{}
	var last []string
	for _, p := range pb.Plays() {
		names := p.Hosts
		if len(hosts) == 1 && hosts[0].Everywhere {
			names = []string{hosts[0].Name}
		}
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !chosen[name] })
		if len(names) == 0 {
			continue
		}
		written := p.Rollout.Range.Filename != ""
		if n := len(list); n > 0 && !written && list[n-1].Rollout == nil && slices.Equal(last, names) {
			list[n-1].Plays = append(list[n-1].Plays, p.Name)
			continue
		}
		last = slices.Clone(names)
		phase := engine.Phase{Plays: []string{p.Name}, Hosts: names}
		if written {
			phase.Rollout = rolloutOf(&p.Rollout, len(names), len(hosts))
			order(&p.Rollout, names, seed)
		}
		list = append(list, phase)
	}
	if rest := onlyChecked(pb, hosts, list); len(rest) > 0 {
		list = append(list, engine.Phase{Plays: []string{}, Hosts: rest})
	}
	if len(list) == 0 {
		list = append(list, engine.Phase{Hosts: []string{}}) // no host has anything to do
	}
	return list
}

// onlyChecked returns the hosts that no play takes and that a check looks at.
func onlyChecked(pb *playbook.Playbook, hosts []*inventory.Host, list []engine.Phase) []string {
	taken := map[string]bool{}
	for _, phase := range list {
		for _, name := range phase.Hosts {
			taken[name] = true
		}
	}
	var rest []string
	for _, h := range hosts {
		if taken[h.Name] {
			continue
		}
		if instances, _ := pb.Steps(h, nil, nil); len(instances) > 0 {
			rest = append(rest, h.Name)
		}
	}
	return rest
}

// rolloutOf turns shares into numbers: those of batches are of the hosts of the play, that of failures is of all hosts of the run.
// A batch is one host at least.
func rolloutOf(r *playbook.Rollout, play, fleet int) *engine.Rollout {
	o := &engine.Rollout{
		MaxFailures: r.MaxFailures.Of(fleet), UnreachableFails: r.OnUnreachable == "fail", Pause: r.Pause, Confirm: r.Confirm,
	}
	for _, b := range r.Batch {
		o.Batches = append(o.Batches, max(b.Of(play), 1))
	}
	return o
}

// order puts the hosts of a play into the order of their turns.
func order(r *playbook.Rollout, names []string, seed string) {
	switch r.Order {
	case playbook.OrderReversed:
		slices.Reverse(names)
	case playbook.OrderRandom:
		if r.Seed != "" {
			seed = r.Seed
		}
		sum := fnv.New64a()
		_, _ = sum.Write([]byte(seed))
		shuffle := rand.New(rand.NewPCG(sum.Sum64(), 0))
		shuffle.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	}
}

// describe says how a rollout of some hosts goes, in one line; "" where there is nothing to say.
func describe(p *engine.Phase, fleet int) string {
	if p.Rollout == nil || len(p.Hosts) < 2 {
		return ""
	}
	text := "Rollout"
	if name := strings.Join(p.Plays, ", "); name != "" {
		text += " of " + name
	}
	if sizes := p.Rollout.Sizes(len(p.Hosts)); len(sizes) == 1 {
		text += fmt.Sprintf(": all %d hosts at once", len(p.Hosts))
	} else {
		text += fmt.Sprintf(": %d batches (%s hosts), %s first", len(sizes), sizesText(sizes), p.Hosts[0])
	}
	if p.Rollout.Pause > 0 {
		text += fmt.Sprintf(", a pause of %s before the next", p.Rollout.Pause)
	}
	what := "fails"
	if p.Rollout.UnreachableFails {
		what = "fails or cannot be reached"
	}
	if n := p.Rollout.MaxFailures; n > 0 {
		return fmt.Sprintf("%s; no further host begins once more than %d of %d %s.", text, n, fleet, strings.Replace(what, "fails", "fail", 1))
	}
	return text + "; no further host begins once one " + what + "."
}

// sizesText writes sizes of batches, the middle of many left out.
func sizesText(sizes []int) string {
	const most = 6
	var words []string
	for i, n := range sizes {
		if len(sizes) > most && i == most-2 {
			words = append(words, "…")
		}
		if len(sizes) <= most || i < most-2 || i == len(sizes)-1 {
			words = append(words, strconv.Itoa(n))
		}
	}
	return strings.Join(words, ", ")
}
