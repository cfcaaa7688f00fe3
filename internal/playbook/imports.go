package playbook

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"provision/internal/inventory"
	"provision/internal/suggest"
)

// inventorySchemas are the arguments of inventory blocks, by their label.
var inventorySchemas = map[string]hcl.BodySchema{
	"ansible":    {Attributes: []hcl.AttributeSchema{{Name: "path", Required: true}, {Name: "groups"}}},
	"command":    {Attributes: []hcl.AttributeSchema{{Name: "run", Required: true}, {Name: "groups"}}},
	"ssh_config": {Attributes: []hcl.AttributeSchema{{Name: "path"}, {Name: "hosts"}, {Name: "groups"}}},
}

// readInventory adds the hosts that an inventory block brings. Those of host blocks win over hosts of
// the same name: a block may refine what comes from elsewhere.
func (h *hostReader) readInventory(b *hcl.Block) {
	schema, ok := inventorySchemas[b.Labels[0]]
	if !ok {
		names := keys(inventorySchemas)
		h.pb.loading.error(b.LabelRanges[0], "Unknown kind of inventory", fmt.Sprintf("%q is none of %s.%s", b.Labels[0], listing(names, "and"), suggest.DidYouMean(b.Labels[0], names)))
		return
	}
	content, diags := b.Body.Content(&schema)
	h.pb.loading.add(diags...)
	if diags.HasErrors() {
		return
	}
	im, err := h.importFrom(b.Labels[0], content.Attributes)
	if err != nil {
		h.s.run.found.error(b.DefRange, "An inventory that cannot be read", sentence(err.Error()))
	}
	if im == nil || err != nil {
		return
	}
	groups, _ := h.list(content.Attributes["groups"])
	h.adopt(b, im, groups)
}

func (h *hostReader) importFrom(kind string, attrs hcl.Attributes) (*inventory.Imported, error) {
	switch kind {
	case "ansible":
		name := h.text(attrs["path"])
		if name == "" {
			return nil, nil
		}
		data, err := h.pb.local.read(h.pb.root.place, name)
		if err != nil {
			return nil, err
		}
		im, err := inventory.ParseAnsible(string(data))
		if err != nil {
			return nil, fmt.Errorf("%s, %w", name, err)
		}
		return im, nil
	case "command":
		words, ok := h.list(attrs["run"])
		if !ok || len(words) == 0 {
			return nil, errors.New("run must name a program and its arguments")
		}
		out, err := h.command(words)
		if err != nil {
			return nil, err
		}
		return inventory.ParseJSON(out)
	default:
		file := h.localFile(attrs["path"])
		if file == "" {
			file = h.pb.environ["HOME"] + "/.ssh/config"
		}
		im, err := inventory.ReadSSHConfig(file)
		if err != nil {
			return nil, explain(file, err)
		}
		return h.onlyMatching(im, attrs["hosts"])
	}
}

// onlyMatching keeps the hosts that patterns choose.
func (h *hostReader) onlyMatching(im *inventory.Imported, a *hcl.Attribute) (*inventory.Imported, error) {
	patterns, ok := h.list(a)
	if !ok {
		return im, nil
	}
	all, err := inventory.New(im.Hosts)
	if err != nil {
		return nil, err
	}
	im.Hosts, err = all.Select(patterns...)
	return im, err
}

// command runs a program of the control machine in the directory of the playbook and returns
// what it prints.
func (h *hostReader) command(words []string) ([]byte, error) {
	cmd := exec.CommandContext(h.pb.ctx, words[0], words[1:]...)
	cmd.Dir = h.pb.root.place.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		text := strings.TrimSpace(stderr.String())
		if len(text) > 2000 {
			text = "…" + text[len(text)-2000:]
		}
		if text == "" {
			text = "it printed no reason"
		}
		return nil, fmt.Errorf("the command %s failed: %w; %s", words[0], err, text)
	}
	return out, nil
}

// adopt makes imported hosts part of the inventory.
func (h *hostReader) adopt(b *hcl.Block, im *inventory.Imported, groups []string) {
	for _, g := range groups {
		if err := inventory.ValidName(g); err != nil {
			h.s.run.found.error(b.DefRange, "Invalid name of a group", sentence(err.Error()))
			return
		}
		h.inline[g] = b.DefRange
	}
	for _, host := range im.Hosts {
		for _, g := range host.Groups {
			h.inline[g] = b.DefRange
		}
		host.Groups = append(host.Groups, groups...)
		host.Range = b.DefRange
		if written := h.byName[host.Name]; written != nil && slices.Contains(h.written, written) {
			refine(written, host)
			continue
		}
		h.add(host, b.DefRange)
	}
	for _, g := range im.Groups {
		block := h.groups[g.Name]
		if block == nil {
			block = &groupBlock{vars: cty.EmptyObjectVal, at: b.DefRange}
			h.groups[g.Name] = block
		}
		block.hosts = append(block.hosts, g.Hosts...)
		block.children = append(block.children, g.Children...)
		block.vars = merge(block.vars, g.Vars)
	}
	h.ansible = h.ansible || b.Labels[0] == "ansible"
}

// refine fills what a host block leaves out from an imported host.
func refine(written, imported *inventory.Host) {
	if written.Address == "" {
		written.Address = imported.Address
	}
	written.Settings = written.Settings.Over(imported.Settings)
	written.Vars = merge(imported.Vars, written.Vars)
	written.Groups = append(written.Groups, imported.Groups...)
}
