package playbook

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"provision/internal/inventory"
	"provision/internal/suggest"
)

// inventorySchemas are the arguments of inventory blocks, by their label.
var inventorySchemas = map[string]hcl.BodySchema{
	"ansible":    {Attributes: []hcl.AttributeSchema{{Name: "path", Required: true}, {Name: "hosts"}, {Name: "groups"}}},
	"command":    {Attributes: []hcl.AttributeSchema{{Name: "run", Required: true}, {Name: "hosts"}, {Name: "groups"}}},
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
	if patterns, ok := h.list(content.Attributes["hosts"]); ok && im != nil && err == nil {
		err = im.Keep(patterns...)
	}
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
		path, _ := h.pb.root.place.resolve(name)
		im, err := inventory.ReadAnsible(path, name)
		var missing *fs.PathError
		if errors.As(err, &missing) {
			err = explain(name, err)
		}
		return im, err
	case "command":
		words, ok := h.list(attrs["run"])
		if !ok || len(words) == 0 {
			return nil, errors.New("run must name a program and its arguments")
		}
		return h.fromCommand(words)
	default:
		file := h.localFile(attrs["path"])
		if file == "" {
			file = h.pb.environ["HOME"] + "/.ssh/config"
		}
		im, err := inventory.ReadSSHConfig(file)
		if err != nil {
			return nil, explain(file, err)
		}
		return im, nil
	}
}

// fromCommand reads the hosts that a program prints. One that follows Ansible's protocol and does not tell the variables of
// all hosts at once is asked for those of each, as Ansible does.
func (h *hostReader) fromCommand(words []string) (*inventory.Imported, error) {
	out, err := h.command(words)
	if err != nil {
		return nil, err
	}
	im, err := inventory.ParseJSON(out)
	if err != nil {
		return nil, fmt.Errorf("the command %s printed no inventory: %w", words[0], err)
	}
	list := slices.Index(words, "--list")
	if list < 1 || !im.Ansible || im.HasMeta {
		return im, nil
	}
	for _, host := range im.Hosts {
		out, err := h.command(slices.Concat(words[:list], []string{"--host", host.Name}, words[list+1:]))
		if err != nil {
			return nil, err
		}
		if err := im.AddHostVars(host.Name, out); err != nil {
			return nil, fmt.Errorf("the command %s --host %s printed no variables: %w", words[0], host.Name, err)
		}
	}
	return im, nil
}

// command runs a program of the control machine in the directory of the playbook and returns
// what it prints.
func (h *hostReader) command(words []string) ([]byte, error) {
	cmd := exec.CommandContext(h.pb.ctx, words[0], words[1:]...)
	cmd.Dir = h.pb.root.place.dir
	cmd.WaitDelay = time.Second // a child of it may hold its output open
	var stdout, stderr bounded
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch {
	case stdout.more:
		return nil, fmt.Errorf("the command %s printed more than %d MiB", words[0], maxText>>20)
	case err != nil && cmd.ProcessState == nil:
		return nil, fmt.Errorf("the command %s cannot be started: %w", words[0], err)
	case err != nil:
		text := strings.TrimSpace(stderr.String())
		if len(text) > 2000 {
			text = "…" + text[len(text)-2000:]
		}
		if text == "" {
			text = "it printed no reason"
		}
		return nil, fmt.Errorf("the command %s failed: %w; %s", words[0], err, text)
	}
	return stdout.Bytes(), nil
}

// bounded keeps the beginning of what is written.
type bounded struct {
	bytes.Buffer
	more bool // something was dropped
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxText {
		b.more = true
		return len(p), nil
	}
	return b.Buffer.Write(p)
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
	for _, text := range im.Warnings {
		h.warn(b.DefRange, text)
	}
	for _, host := range im.Hosts {
		for _, g := range host.Groups {
			h.inline[g] = b.DefRange
		}
		host.Groups = append(host.Groups, groups...)
		host.Range = b.DefRange
		vars := placed(im.Vars[host.Name], b)
		if written := h.byName[host.Name]; written != nil && slices.Contains(h.written, written) {
			refine(written, host)
			h.own[host.Name] = h.own[host.Name].Over(vars)
		} else {
			h.add(host, vars, b.DefRange)
		}
	}
	h.ansible = h.ansible || im.Ansible
	for _, g := range im.Groups {
		block := h.group(g.Name)
		if block.at == (hcl.Range{}) {
			block.at = b.DefRange
		}
		block.members = append(block.members, g.Hosts...)
		block.children = append(block.children, g.Children...)
		block.inline = placed(g.Vars, b).Over(block.inline)
		block.vars = g.Files.Over(block.vars)
	}
}

// warn tells what is read otherwise than its writer may expect.
func (h *hostReader) warn(at hcl.Range, text string) {
	h.s.run.found.add(&hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: "Not everything of the inventory is taken over", Detail: sentence(text), Subject: at.Ptr()})
}

// placed says of variables that came from no file that the block brought them.
func placed(vars inventory.Vars, b *hcl.Block) inventory.Vars {
	for _, v := range vars {
		if v.From.File == "" {
			v.From.File, v.From.Line = b.DefRange.Filename, b.DefRange.Start.Line
		}
	}
	return vars
}

// refine fills what a host block leaves out from an imported host.
func refine(written, imported *inventory.Host) {
	if written.Address == "" {
		written.Address = imported.Address
	}
	written.Settings = written.Settings.Over(imported.Settings)
	written.Groups = append(written.Groups, imported.Groups...)
}
