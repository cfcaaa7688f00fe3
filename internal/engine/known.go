package engine

import (
	"maps"
	"sync/atomic"
	"time"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/steps"
)

// known is what is known of a host: what the playbook says for it, what the host answered, and the plan that both make.
type known struct {
	facts *steps.Facts // nil until the host has answered
	state HostState
	boot  string            // id of the boot in which it was planned
	real  map[string]string // of paths that steps need and bring: without symbolic links

	instances    []steps.Instance
	constant     bool                         // nothing in instances depends on facts or results: they are what they are
	asked        map[string]string            // by address: the probe that was answered
	observations map[string]steps.Observation // by address
	results      map[string]cty.Value         // by address: what later steps may refer to
	planned      []Planned

	borrowed map[string]*loan // by address: the steps that another host runs for this one
	taken    map[string]bool  // by address: of these, those that have run there
}

func nothingKnown(borrowed map[string]*loan) known {
	return known{
		results: map[string]cty.Value{}, observations: map[string]steps.Observation{}, asked: map[string]string{}, borrowed: borrowed, taken: map[string]bool{},
	}
}

// invalidate takes back what is known of the steps from an index on, and where links lead: they are looked at and planned anew.
func (k *known) invalidate(from int) {
	stays := map[string]bool{}
	for i := range k.planned[:min(from, len(k.planned))] {
		stays[k.planned[i].Addr] = true
	}
	maps.DeleteFunc(k.asked, func(addr, _ string) bool { return !stays[addr] })
	maps.DeleteFunc(k.observations, func(addr string, _ steps.Observation) bool { return !stays[addr] })
	maps.DeleteFunc(k.results, func(addr string, _ cty.Value) bool { return !stays[addr] })
	k.real = nil
}

// turns are the turns of a host in the run, and how far it has come in them.
type turns struct {
	slots    chan struct{} // of the hosts that have their turn; this one holds one
	active   time.Time     // when its turn began; zero while it waits for one
	worked   time.Duration // in its turns before
	programs int           // sent so far
	last     string        // the id of the last of them that ran
	wish     atomic.Int32  // a wish: what the user wants of the program that runs
	verified bool          // it was looked at again for the saved plan
}
