package playbook

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/suggest"
)

// A Rollout says in which order and how many at a time the hosts of a play have their turn. With a
// zero Range nothing is said: all have their turn, and the failure of one stops no other.
type Rollout struct {
	Batch         []Amount // sizes of the batches in order, the last repeated; empty: all at once
	MaxFailures   Amount   // hosts of the whole fleet that may fail; with one more no host begins. Zero: none
	OnUnreachable string   // "skip": go on without the host; "fail": it counts as failed
	Pause         time.Duration
	Confirm       bool   // ask before each batch but the first
	Order         string // one of the constants
	Seed          string // of OrderRandom; "" where none is written
	Range         hcl.Range
}

// The orders of turns.
const (
	OrderInventory = "inventory"
	OrderReversed  = "reversed"
	OrderRandom    = "random"
)

// An Amount is a number of hosts, or a share of them.
type Amount struct {
	Count   int
	Percent float64 // of all hosts of the play, if Share is set
	Share   bool
}

// Of returns the number of hosts out of total, a share rounded down.
func (a Amount) Of(total int) int {
	if a.Share {
		return int(a.Percent * float64(total) / 100)
	}
	return min(a.Count, total)
}

func (a Amount) String() string {
	if a.Share {
		return strconv.FormatFloat(a.Percent, 'f', -1, 64) + "%"
	}
	return strconv.Itoa(a.Count)
}

// parseAmount reads "3" or "25%".
func parseAmount(text string, least int) (Amount, error) {
	if share, ok := strings.CutSuffix(text, "%"); ok {
		p, err := strconv.ParseFloat(share, 64)
		if err != nil || !(p >= float64(least) && p <= 100) {
			return Amount{}, fmt.Errorf("%q is no share of the hosts: write \"25%%\", up to \"100%%\"", text)
		}
		return Amount{Percent: p, Share: true}, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > 1_000_000 {
		return Amount{}, fmt.Errorf("%q is no number of hosts: write \"2\" or \"25%%\"", text)
	}
	return Amount{Count: n}, nil
}

// readRollout reads and checks a rollout block.
func (pb *Playbook) readRollout(s *scope, b *hcl.Block) Rollout {
	r := Rollout{OnUnreachable: "skip", Order: OrderInventory, Range: b.DefRange}
	content, diags := b.Body.Content(&rolloutSchema)
	s.run.found.add(diags...)
	for _, a := range inOrder(content.Attributes) {
		e := newExpression(a.Expr)
		pb.linkStatic(s, e, "in a rollout block")
		if e.bad {
			continue
		}
		switch a.Name {
		case "batch":
			r.Batch = s.amounts(e)
		case "max_failures":
			if list := s.amountsFrom(e, 0); len(list) == 1 {
				r.MaxFailures = list[0]
			}
		case "on_unreachable":
			r.OnUnreachable = s.word(e, a.Name, r.OnUnreachable, "skip", "fail")
		case "order":
			r.Order = s.word(e, a.Name, r.Order, OrderInventory, OrderReversed, OrderRandom)
		case "seed":
			if v, ok := s.static(e, cty.String, a.Name); ok && !v.IsNull() {
				r.Seed = v.AsString()
			}
		case "pause":
			r.Pause = s.duration(e, a.Name)
		case "confirm":
			if v, ok := s.static(e, cty.Bool, a.Name); ok && !v.IsNull() {
				r.Confirm = v.True()
			}
		}
	}
	if a := content.Attributes["seed"]; a != nil && r.Order != OrderRandom {
		s.run.found.error(a.NameRange, "A seed without a random order", "The seed is for order = \"random\": add that, or leave the seed out.")
	}
	return r
}

// linkStatic links an expression of a block that is read after linking, and reports to the scope's run.
func (pb *Playbook) linkStatic(s *scope, e *expression, where string) {
	before := pb.loading
	pb.loading = collector{}
	pb.linkExpression(pb.root, e, surroundings{roots: staticRoots, where: where})
	s.run.found.add(pb.loading.diags...)
	pb.loading = before
}

func (s *scope) amounts(e *expression) []Amount { return s.amountsFrom(e, 1) }

func (s *scope) amountsFrom(e *expression, least int) []Amount {
	v, ok := s.static(e, cty.DynamicPseudoType, "rollout")
	if !ok || v.IsNull() {
		return nil
	}
	if v.Type() == cty.Number {
		v = cty.TupleVal([]cty.Value{v})
	}
	texts, ok := s.stringsOf(v, e)
	if !ok {
		return nil
	}
	var list []Amount
	for _, text := range texts {
		amount, err := parseAmount(text, least)
		if err != nil {
			s.run.found.error(e.Range(), "Invalid number of hosts", sentence(err.Error()))
			return nil
		}
		list = append(list, amount)
	}
	if len(list) == 0 {
		s.run.found.error(e.Range(), "Invalid number of hosts", "The list is empty. Leave it out for all hosts at once.")
	}
	return list
}

func (s *scope) stringsOf(v cty.Value, e *expression) ([]string, bool) {
	constant := &expression{Expression: hcl.StaticExpr(v, e.Range())}
	return s.staticStrings(constant, "rollout")
}

// word evaluates one of a few words.
func (s *scope) word(e *expression, name, otherwise string, allowed ...string) string {
	v, ok := s.static(e, cty.String, name)
	if !ok || v.IsNull() {
		return otherwise
	}
	if !slices.Contains(allowed, v.AsString()) {
		s.run.found.error(e.Range(), "Invalid value for "+name, fmt.Sprintf("%q is not one of %s.%s", v.AsString(), listing(allowed, "and"), suggest.DidYouMean(v.AsString(), allowed)))
		return otherwise
	}
	return v.AsString()
}

// duration evaluates a duration such as "30s".
func (s *scope) duration(e *expression, name string) time.Duration {
	v, ok := s.static(e, cty.String, name)
	if !ok || v.IsNull() {
		return 0
	}
	d, err := time.ParseDuration(v.AsString())
	if err != nil || d < 0 {
		s.run.found.error(e.Range(), "Invalid value for "+name, fmt.Sprintf("%q is no duration: write it as \"30s\", \"5m\" or \"1h30m\".", v.AsString()))
		return 0
	}
	return d
}
