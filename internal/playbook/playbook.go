// Package playbook is the language: it reads HCL, checks everything that can be known without a
// host, and turns a playbook into resolved steps, host by host.
//
// Loading parses once and links every expression to what it refers to. Evaluating is pure: the
// same host, facts and results of earlier steps give the same steps, whoever asks and however
// often. What is not known yet is an unknown value of cty, and the names of what it waits for
// travel beside it.
package playbook

import (
	"context"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/inventory"
	"provision/internal/steps"
	"provision/internal/steps/kinds"
)

// Options say what a playbook may use from outside its files. Values of variables win in this
// order, the last first: Environ (PROVISION_VAR_name), provision.vars.hcl, *.auto.vars.hcl in
// the order of their names, the test block if Test is set, VarFiles in order, Vars.
type Options struct {
	Vars     map[string]string // --var NAME=VALUE; text as it is for a string, an HCL expression for other types
	VarFiles []string          // --var-file, in order
	Environ  []string          // "NAME=VALUE", for env() and PROVISION_VAR_name
	Test     bool              // the playbook is tested: its test block gives values to variables
	Ask      bool              // run the programs of secrets that are not given; otherwise such variables are unknown
	Shipped  fs.FS             // modules with source = "provision/NAME"; each is a directory at its root
}

// A Playbook is a loaded playbook. Its methods may be called from several goroutines.
type Playbook struct {
	root      *module
	plays     []*play
	checks    []*check
	test      Test
	inv       *inventory.Inventory
	vars      map[string]cty.Value // of the root module; cty.NilVal for one in error
	given     map[string]given     // values of the root module's variables that come from outside of its files
	vague     bool                 // something in the description of hosts is in error: what they have is not known
	kinds     map[string]*kindInfo
	data      map[string]*kindInfo
	message   *kindInfo
	environ   map[string]string
	shipped   fs.FS
	local     *localFiles
	disk      *steps.Disk
	secrets   *secrets
	ask       bool     // run the programs of secrets
	near      bool     // nothing is fetched from elsewhere
	scripts   sync.Map // text → error of shell.Check
	templates sync.Map // templateKey → parsed template

	mu      sync.Mutex
	files   map[string]*hcl.File
	loading collector
	ctx     context.Context // while loading, which may run git and the commands of inventories
	whole   context.Context // as long as the playbook is used: it ends the programs that decrypt files
	lossy   hcl.Diagnostics // warnings of files whose values SOPS may have changed; guarded by local.mu
}

// A Play is a list of steps for some of the hosts.
type Play struct {
	Name    string // "" for the play that steps outside of every play form
	Hosts   []string
	Become  bool // said by the play itself, before hosts and steps have their say
	Rollout Rollout
	Range   hcl.Range
}

// Load reads the playbook at path: a .hcl or .hcl.json file, or a directory whose *.hcl and
// *.hcl.json files, those of variables apart, are one playbook. The playbook is not nil even if
// there are errors, so that Files serves for printing them; nothing else may be asked then. ctx
// ends the programs that a playbook may run: git for modules, the commands of inventories and secrets, and sops and gpg for decrypt.
func Load(ctx context.Context, path string, o Options) (*Playbook, hcl.Diagnostics) {
	pb := &Playbook{
		ctx:     ctx,
		whole:   ctx,
		kinds:   kindIndex(kinds.All()),
		data:    kindIndex(kinds.Data()),
		message: newKindInfo(kinds.Message),
		environ: environMap(o.Environ),
		shipped: o.Shipped,
		local:   newLocalFiles(),
		disk:    steps.NewDisk(ctx),
		secrets: newSecrets(),
		ask:     o.Ask,
		files:   map[string]*hcl.File{},
	}
	pb.load(path, o)
	pb.ctx = nil
	if pb.inv == nil {
		pb.inv, _ = inventory.New(nil)
	}
	return pb, pb.loading.sorted()
}

func (pb *Playbook) load(path string, o Options) {
	src, ok := pb.openRoot(path)
	if !ok {
		return
	}
	pb.root = pb.readModule(src, nil)
	pb.link(pb.root)
	// What is in error counts as unknown from here on, so that all mistakes are found at once.
	pb.loadVars(src, o)
	pb.loadHosts()
	pb.loadPlays()
}

// Inventory returns the hosts.
func (pb *Playbook) Inventory() *inventory.Inventory { return pb.inv }

// Plays returns the plays in order, with the hosts that each selects.
func (pb *Playbook) Plays() []Play {
	list := make([]Play, len(pb.plays))
	for i, p := range pb.plays {
		list[i] = Play{Name: p.name, Rollout: p.rollout, Range: p.rng}
		if p.becomeStatic != nil {
			list[i].Become = *p.becomeStatic
		}
		for _, h := range pb.inv.Hosts() {
			if p.selects(h) {
				list[i].Hosts = append(list[i].Hosts, h.Name)
			}
		}
	}
	return list
}

// Tags returns every tag that is written as a constant, sorted, for completion.
func (pb *Playbook) Tags() []string {
	tags := map[string]bool{}
	var visit func(m *module)
	visit = func(m *module) {
		for _, it := range m.items {
			for _, t := range constantStrings(it.meta.tags) {
				tags[t] = true
			}
			if it.module != nil {
				visit(it.module)
			}
		}
	}
	if pb.root != nil {
		visit(pb.root)
	}
	for _, p := range pb.plays {
		for _, t := range constantStrings(p.meta.tags) {
			tags[t] = true
		}
	}
	return slices.Sorted(maps.Keys(tags))
}

// Files returns the sources by the names that diagnostics use, for printing them. Values of sensitive
// variables are blotted out in them.
func (pb *Playbook) Files() map[string]*hcl.File {
	pb.mu.Lock()
	defer pb.mu.Unlock()
	return maps.Clone(pb.files)
}

// Secrets returns every sensitive string met so far, sorted, the empty one apart. More may
// come with each call of Steps.
func (pb *Playbook) Secrets() []string {
	list := append(pb.secrets.list(), pb.disk.Secrets()...)
	slices.Sort(list)
	return slices.Compact(list)
}

// Format returns HCL source in its canonical form. Source that does not parse comes back
// formatted as far as its tokens go.
func Format(src []byte) []byte { return hclwrite.Format(src) }

// kindInfo is a kind with the parts that checking needs, worked out once.
type kindInfo struct {
	*steps.Kind
	args       steps.Args
	names      []string
	events     []string
	outputs    map[string]cty.Type
	outputType cty.Type
	secret     []string // arguments whose every value is a secret
}

func kindIndex(list []*steps.Kind) map[string]*kindInfo {
	index := map[string]*kindInfo{}
	for _, k := range list {
		index[k.Name] = newKindInfo(k)
	}
	return index
}

func newKindInfo(k *steps.Kind) *kindInfo {
	step, args := k.New()
	info := &kindInfo{Kind: k, args: args, outputs: map[string]cty.Type{}}
	if k.Block == steps.StepBlock {
		info.outputs["changed"] = cty.Bool
	}
	for _, a := range args {
		info.names = append(info.names, a.Name)
	}
	for _, o := range k.Outputs {
		info.outputs[o.Name] = o.Type
	}
	info.outputType = cty.Object(info.outputs)
	if h, ok := step.(steps.Handler); ok {
		info.events = h.Events()
	}
	return info
}
