package playbook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty/function"

	"provision/internal/steps"
	"provision/internal/suggest"
)

// maxDepth bounds how deep modules nest.
const maxDepth = 16

// A module is a parsed directory: the playbook itself, or what a module block names. Each block
// has a module of its own, since its expressions are linked to their surroundings.
type module struct {
	place     *place
	parent    *module // nil for the playbook itself
	depth     int
	variables map[string]*variable
	varOrder  []*variable
	locals    map[string]*local
	outputs   map[string]*output
	items     []*item // steps and module blocks in order, of all plays
	steps     map[string]*item
	data      map[string]*item
	messages  map[string]*item
	calls     map[string]*item
	kinds     map[string]*ownKind
	templates bool // a step has a template, which may refer to whatever it likes
	funcs     map[string]function.Function

	root *rootBlocks // of the playbook itself
}

// rootBlocks are the blocks that only the playbook itself may have.
type rootBlocks struct {
	ssh, hosts, groups, inventories []*hcl.Block
	rollout                         *hcl.Block
	test                            *testBlock
	plays                           []*play
	checks                          []*check
}

type local struct {
	name    string
	expr    *expression
	visited bool // while linking
	closure *closure
}

type output struct {
	name string
	expr *expression
}

// An item is a block that has its place in the order: a step, data, a message, or a module block.
type item struct {
	addr  string // within the module: step.KIND.NAME, data.KIND.NAME, message.NAME, module.NAME
	name  string
	order int
	rng   hcl.Range
	play  *play
	meta  meta

	kind    *kindInfo // of a step; nil if there is no such kind
	args    []argument
	lacking bool // arguments are missing or unknown, which is reported

	module *module // of a module block; nil if it could not be read
	inputs map[string]*expression

	uses  map[string]bool // of data: the outputs that expressions refer to
	whole bool            // of data: some expression refers to all of them

	source steps.Source
}

// word is the name of the block.
func (it *item) word() string {
	word, _, _ := strings.Cut(it.addr, ".")
	return word
}

// use notes what an expression wants to know of data.
func (it *item) use(rest hcl.Traversal) {
	name, ok := stepName(first(rest))
	if !ok {
		it.whole = true
		return
	}
	if it.uses == nil {
		it.uses = map[string]bool{}
	}
	it.uses[name] = true
}

// wanted tells which outputs of data something may refer to. What a template refers to shows only when it is rendered.
func (m *module) wanted(it *item) func(output string) bool {
	return func(output string) bool { return m.templates || it.whole || it.uses[output] }
}

// usable is false for a step of an unknown kind and for a module that could not be read.
func (it *item) usable() bool { return it.kind != nil || it.module != nil }

// isStep is true for all but modules.
func (it *item) isStep() bool { return !strings.HasPrefix(it.addr, "module.") }

type argument struct {
	name  string // as written; a check has names of its own
	words bool   // a list of words becomes text for sh
	spec  *steps.Arg
	expr  *expression
}

// readModule parses the files of a module and collects its blocks. What is in error is reported
// and left out.
func (pb *Playbook) readModule(src *source, parent *module) *module {
	m := &module{
		place: src.place, parent: parent,
		variables: map[string]*variable{}, locals: map[string]*local{}, outputs: map[string]*output{},
		steps: map[string]*item{}, data: map[string]*item{}, messages: map[string]*item{}, calls: map[string]*item{}, kinds: map[string]*ownKind{},
	}
	m.funcs = pb.functions(m.place)
	schema := moduleSchema
	if parent == nil {
		m.root = &rootBlocks{}
		schema = rootSchema
	} else {
		m.depth = parent.depth + 1
	}
	var blocks []*hcl.Block
	for _, name := range src.files {
		f := pb.parse(src.place, name)
		if f == nil {
			continue
		}
		content, diags := f.Body.Content(&schema)
		pb.loading.add(diags...)
		sortBlocks(content.Blocks)
		blocks = append(blocks, content.Blocks...)
	}
	for _, b := range blocks { // steps may stand before their kind
		if b.Type == "kind" {
			pb.readKind(m, b)
		}
	}
	for _, b := range blocks {
		pb.readBlock(m, b)
	}
	return m
}

func (pb *Playbook) readBlock(m *module, b *hcl.Block) {
	switch b.Type {
	case "variable":
		pb.readVariable(m, b)
	case "locals":
		pb.readLocals(m, b)
	case "output":
		pb.readOutput(m, b)
	case "step", "data", "message", "module":
		var p *play
		if m.root != nil {
			p = pb.openPlay(m, b)
		}
		pb.readItem(m, p, b)
	case "play":
		pb.readPlay(m, b)
	case "check":
		pb.readCheck(m, b)
	case "ssh":
		m.root.ssh = append(m.root.ssh, b)
	case "host":
		m.root.hosts = append(m.root.hosts, b)
	case "group":
		m.root.groups = append(m.root.groups, b)
	case "inventory":
		m.root.inventories = append(m.root.inventories, b)
	case "test":
		pb.readTestBlock(m, b)
	case "rollout":
		if m.root.rollout != nil {
			pb.duplicate(b, "rollout block", m.root.rollout.DefRange)
			return
		}
		m.root.rollout = b
	}
}

func (pb *Playbook) duplicate(b *hcl.Block, what string, first hcl.Range) {
	pb.loading.error(b.DefRange, "Duplicate "+what, fmt.Sprintf("It is already at %s, line %d. Remove one of them.", first.Filename, first.Start.Line))
}

// validName reports a label that cannot be used in expressions.
func (pb *Playbook) validName(b *hcl.Block, label int) bool {
	if hclsyntax.ValidIdentifier(b.Labels[label]) {
		return true
	}
	pb.loading.error(b.LabelRanges[label], "Invalid name", fmt.Sprintf("%q is no name: letters, digits, _ and - are, and no digit or dash at the beginning.", b.Labels[label]))
	return false
}

func (pb *Playbook) readLocals(m *module, b *hcl.Block) {
	attrs, diags := b.Body.JustAttributes()
	pb.loading.add(diags...)
	for _, a := range inOrder(attrs) {
		if first := m.locals[a.Name]; first != nil {
			pb.loading.error(a.NameRange, "Duplicate local value", fmt.Sprintf("local.%s is already at %s, line %d. Remove one of them.", a.Name, first.expr.Range().Filename, first.expr.Range().Start.Line))
			continue
		}
		m.locals[a.Name] = &local{name: a.Name, expr: newExpression(a.Expr)}
	}
}

func (pb *Playbook) readOutput(m *module, b *hcl.Block) {
	content, diags := b.Body.Content(&outputSchema)
	pb.loading.add(diags...)
	name := b.Labels[0]
	if !pb.validName(b, 0) {
		return
	}
	if first := m.outputs[name]; first != nil {
		pb.duplicate(b, "output", first.expr.Range())
		return
	}
	if a := content.Attributes["value"]; a != nil {
		m.outputs[name] = &output{name: name, expr: newExpression(a.Expr)}
	}
}

func (pb *Playbook) readItem(m *module, p *play, b *hcl.Block) {
	it := &item{order: len(m.items), rng: b.DefRange, play: p, source: pb.sourceLine(b.DefRange)}
	it.name = b.Labels[len(b.Labels)-1]
	if !pb.validName(b, len(b.Labels)-1) {
		return
	}
	it.addr = b.Type + "." + strings.Join(append(b.Labels[:len(b.Labels)-1:len(b.Labels)-1], it.name), ".")
	index := map[string]map[string]*item{"step": m.steps, "data": m.data, "message": m.messages, "module": m.calls}[b.Type]
	key := it.addr[strings.IndexByte(it.addr, '.')+1:]
	if first := index[key]; first != nil {
		pb.loading.error(b.DefRange, "Duplicate "+b.Type, fmt.Sprintf("%s is already at %s, line %d. Give this one another name.", it.addr, first.rng.Filename, first.rng.Start.Line))
		return
	}
	index[key] = it
	m.items = append(m.items, it)
	if b.Type == "module" {
		pb.readCall(m, it, b)
	} else {
		pb.readStep(m, it, b)
	}
}

// kindOf finds the kind that a block names, and reports one that is not there.
func (pb *Playbook) kindOf(m *module, b *hcl.Block) *kindInfo {
	switch b.Type {
	case "message":
		return pb.message
	case "data":
		kind := pb.data[b.Labels[0]]
		if kind == nil {
			hint := suggest.DidYouMean(b.Labels[0], keys(pb.data))
			if _, is := m.kind(pb, b.Labels[0]); is && hint == "" {
				hint = fmt.Sprintf(" That is a kind of step: write step %q.", b.Labels[0])
			}
			pb.loading.error(b.LabelRanges[0], "Unknown kind of data", fmt.Sprintf("There is no data %q.%s There are %s.", b.Labels[0], hint, listing(keys(pb.data), "and")))
		}
		return kind
	}
	kind, known := m.kind(pb, b.Labels[0])
	if !known {
		names := append(keys(pb.kinds), keys(m.kinds)...)
		hint := cmp.Or(m.elsewhere(b.Labels[0]), suggest.DidYouMean(b.Labels[0], names))
		if pb.data[b.Labels[0]] != nil {
			hint = fmt.Sprintf(" It is a kind of data: write data %q.", b.Labels[0])
		}
		pb.loading.error(b.LabelRanges[0], "Unknown kind of step", fmt.Sprintf("There is no kind %q.%s Run \"provision steps\" for the list.", b.Labels[0], hint))
	}
	return kind
}

// unsupported adds to the report of an argument that the block does not have which ones it has.
func (k *kindInfo) unsupported(d *hcl.Diagnostic) string {
	if k.Block != steps.StepBlock {
		for _, a := range metaSchema {
			if strings.Contains(d.Detail, fmt.Sprintf("%q", a.Name)) {
				return fmt.Sprintf(" A %s block changes nothing, so that %s has no meaning in it.", k.Block, a.Name)
			}
		}
	}
	return fmt.Sprintf(" The kind %s has %s; \"provision steps %s\" is its manual.", k.Name, listing(k.names, "and"), k.Title())
}

func (pb *Playbook) readStep(m *module, it *item, b *hcl.Block) {
	if it.kind = pb.kindOf(m, b); it.kind == nil {
		return
	}
	schema := hcl.BodySchema{}
	for _, name := range it.kind.names {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	meta := metaSchema
	switch it.kind.Block {
	case steps.DataBlock:
		meta = dataSchema
	case steps.MessageBlock:
		meta = messageSchema
	}
	for _, a := range meta {
		if it.kind.args.Get(a.Name) == nil {
			schema.Attributes = append(schema.Attributes, a)
		}
	}
	content, diags := b.Body.Content(&schema)
	for _, d := range diags {
		if d.Summary == "Unsupported argument" && !strings.Contains(d.Detail, "Did you mean") {
			d.Detail += it.kind.unsupported(d)
		}
	}
	pb.loading.add(diags...)
	var missing []string
	for i := range it.kind.args {
		spec := &it.kind.args[i]
		if a := content.Attributes[spec.Name]; a != nil {
			it.args = append(it.args, argument{name: spec.Name, spec: spec, expr: newExpression(a.Expr)})
			if slices.Contains(it.kind.secret, spec.Name) && len(a.Expr.Variables()) == 0 {
				pb.blot(a.Expr.Range())
				it.source = pb.sourceLine(b.DefRange)
			}
			delete(content.Attributes, spec.Name)
		} else if spec.Required {
			missing = append(missing, spec.Name)
		}
	}
	it.lacking = len(missing) > 0 || diags.HasErrors()
	if len(missing) > 0 {
		pb.loading.error(b.DefRange, "Missing argument", fmt.Sprintf("A step of the kind %s requires %s.", it.kind.Name, listing(missing, "and")))
	}
	it.meta = pb.readMeta(content.Attributes)
}

// sourceLine is the line of a block's header as written.
func (pb *Playbook) sourceLine(at hcl.Range) steps.Source {
	src := steps.Source{File: at.Filename, Line: at.Start.Line}
	pb.mu.Lock()
	f := pb.files[at.Filename]
	pb.mu.Unlock()
	if f == nil || at.Start.Byte > len(f.Bytes) {
		return src
	}
	begin := strings.LastIndexByte(string(f.Bytes[:at.Start.Byte]), '\n') + 1
	line, _, _ := strings.Cut(string(f.Bytes[begin:min(len(f.Bytes), at.Start.Byte+4096)]), "\n")
	src.Text = strings.TrimRight(line, "\r")
	return src
}

// inOrder returns attributes as they are written.
func inOrder(attrs hcl.Attributes) []*hcl.Attribute {
	var list []*hcl.Attribute
	for _, a := range attrs {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *hcl.Attribute) int { return a.Range.Start.Byte - b.Range.Start.Byte })
	return list
}

// sortBlocks puts blocks of mixed types into the order of the source: JSON groups them by type.
func sortBlocks(blocks hcl.Blocks) {
	slices.SortStableFunc(blocks, func(a, b *hcl.Block) int { return a.DefRange.Start.Byte - b.DefRange.Start.Byte })
}
