package playbook

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/hashicorp/hcl/v2"

	"provision/internal/inventory"
	"provision/internal/steps"
)

// evalUnused evaluates the local values and outputs of a module and of those inside it, so that
// their mistakes are found even where nothing uses them.
func (s *scope) evalUnused() {
	runs := func(it *item) bool { return it.play == nil || it.play.selects(s.run.host) }
	for _, l := range s.mod.locals {
		if l.closure != nil && !slices.ContainsFunc(l.closure.items, func(it *item) bool { return !runs(it) || !it.usable() }) {
			s.local(l.name)
		}
	}
	for _, it := range s.mod.items {
		if it.isStep() || !it.usable() || !runs(it) {
			continue
		}
		for _, child := range s.modules(it) {
			if !child.moduleState().skip {
				for name := range child.mod.outputs {
					child.output(name)
				}
				child.evalUnused()
			}
		}
	}
}

// Validate checks everything that can be known without asking a host: every step of every host,
// with the facts unknown. Each mistake is reported once, with the names of the hosts where it
// is not one of all. It may be asked after Load found errors too, for those that Load could not see.
func (pb *Playbook) Validate() hcl.Diagnostics {
	if pb.root == nil || len(pb.plays)+len(pb.checks) == 0 {
		return nil
	}
	hosts := pb.inv.Hosts()
	if len(hosts) == 0 {
		hosts = []*inventory.Host{pb.inv.Sandbox("sandbox")}
	}
	found := make([]hcl.Diagnostics, len(hosts))
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(runtime.GOMAXPROCS(0), len(hosts)) {
		wg.Go(func() {
			for i := range next {
				_, found[i] = pb.resolve(&run{host: hosts[i], facts: (*steps.Facts)(nil).Value()}, true)
			}
		})
	}
	for i := range hosts {
		next <- i
	}
	close(next)
	wg.Wait()
	return mergeHosts(hosts, found)
}

// mergeHosts joins what was found for each host.
func mergeHosts(hosts []*inventory.Host, found []hcl.Diagnostics) hcl.Diagnostics {
	var all collector
	where := map[diagKey][]string{}
	for i, diags := range found {
		all.add(diags...)
		for _, d := range diags {
			where[keyOf(d)] = append(where[keyOf(d)], hosts[i].Name)
		}
	}
	for i, d := range all.diags {
		names := where[keyOf(d)]
		if len(names) == len(hosts) {
			continue
		}
		text := listing(names, "and")
		if len(names) > 3 {
			text = fmt.Sprintf("%s, %s and %d more", names[0], names[1], len(names)-2)
		}
		c := *d
		c.Detail += fmt.Sprintf(" (This is so for %s.)", text)
		all.diags[i] = &c
	}
	return all.sorted()
}

// checkVariables evaluates the variables that no step uses too, for their types and validations.
func (s *scope) checkVariables() {
	for _, v := range s.mod.varOrder {
		s.variable(v.name)
	}
}
