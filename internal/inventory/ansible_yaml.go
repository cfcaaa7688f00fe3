package inventory

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v4"

	"provision/internal/suggest"
)

// maxGroupDepth bounds groups inside groups.
const maxGroupDepth = 50

// ParseAnsibleYAML reads an inventory of Ansible in its YAML form: groups with hosts, vars and children. file is what
// messages call it. An error begins with the file and its line.
func ParseAnsibleYAML(file string, data []byte) (*Imported, error) {
	im := &Imported{Ansible: true}
	if err := im.readYAML(file, data); err != nil {
		return nil, err
	}
	im.finish()
	return im, nil
}

func (im *Imported) readYAML(file string, data []byte) error {
	f, root, err := readYAML(file, data)
	if err != nil || root == nil {
		return err
	}
	groups, err := f.pairs(root, "the inventory", false, 0)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.name == "plugin" && g.value.Kind == yaml.ScalarNode {
			return f.errorf(g.key, "the plugin %s of Ansible finds these hosts; let it print them: inventory \"command\" { run = [\"ansible-inventory\", \"-i\", %q, \"--list\"] }", g.value.Value, file)
		}
		if err := im.yamlGroup(f, g, 0); err != nil {
			return err
		}
	}
	return nil
}

// yamlGroup reads a group and those inside it.
func (im *Imported) yamlGroup(f *yamlFile, g pair, depth int) error {
	if depth > maxGroupDepth {
		return f.errorf(g.key, "groups go deeper than %d levels", maxGroupDepth)
	}
	if g.name != "all" {
		if err := ValidName(g.name); err != nil {
			return f.errorf(g.key, "%w", err)
		}
	}
	if g.name != "all" && g.name != "ungrouped" {
		im.group(g.name)
	}
	if isNull(g.value) {
		return nil
	}
	sections, err := f.pairs(g.value, "the group "+g.name, g.aliased, depth)
	if err != nil {
		return err
	}
	for _, section := range sections {
		switch section.name {
		case "hosts":
			err = im.yamlHosts(f, g.name, section, depth)
		case "vars":
			err = im.yamlVars(f, "the variables of "+g.name, section, func() Vars { return im.group(g.name).Vars }, g.name, depth)
		case "children":
			err = im.yamlChildren(f, g.name, section, depth)
		default:
			known := []string{"hosts", "vars", "children"}
			err = f.errorf(section.key, "the group %s has the entry %q, and only hosts, vars and children are known.%s", g.name, section.name, suggest.DidYouMean(section.name, known))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entries are those of a mapping, whose only entry may be written as plain text.
func (f *yamlFile) entries(section pair, what string, depth int) ([]pair, error) {
	n, _, err := f.follow(section.value, depth)
	if err != nil || isNull(n) {
		return nil, err
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		return []pair{{name: n.Value, key: n, value: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line}}}, nil
	}
	if n.Kind == yaml.SequenceNode {
		return nil, f.errorf(n, "%s must be a mapping: write each as NAME: with a colon and without a dash", what)
	}
	return f.pairs(section.value, what, section.aliased, depth)
}

func (im *Imported) yamlChildren(f *yamlFile, group string, section pair, depth int) error {
	children, err := f.entries(section, "the children of "+group, depth)
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := im.yamlGroup(f, child, depth+1); err != nil {
			return err
		}
		if child.name != "all" {
			im.child(group, child.name)
		}
	}
	return nil
}

func (im *Imported) yamlHosts(f *yamlFile, group string, section pair, depth int) error {
	hosts, err := f.entries(section, "the hosts of "+group, depth)
	if err != nil {
		return err
	}
	for _, h := range hosts {
		names, port, err := ansibleNames(h.name)
		if err != nil {
			return f.errorf(h.key, "%w", err)
		}
		for _, name := range names {
			at := &Origin{File: f.name, Line: h.key.Line}
			vars := im.ansibleHost(group, name, port, at)
			if err := im.yamlVars(f, "the variables of "+name, h, func() Vars { return vars }, "", depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// yamlVars adds the variables of a mapping to those of a group, or of a host, for which group is "".
func (im *Imported) yamlVars(f *yamlFile, what string, section pair, into func() Vars, group string, depth int) error {
	if n, _, err := f.follow(section.value, depth); err != nil || isNull(n) {
		return err
	}
	list, err := f.pairs(section.value, what, section.aliased, depth)
	if err != nil {
		return err
	}
	vars := into()
	for _, p := range list {
		v, err := f.value(p.value, p.aliased, depth+1)
		if err != nil {
			return err
		}
		im.set(vars, p.name, v, &Origin{Group: group, File: f.name, Line: p.key.Line})
	}
	return nil
}

// looksLikeYAML tells the two forms of an inventory apart: by the name of the file as Ansible does, and for a file without
// one of its endings by how it begins.
func looksLikeYAML(file string, data []byte) bool {
	for _, ending := range []string{".yml", ".yaml", ".json"} {
		if strings.HasSuffix(file, ending) {
			return true
		}
	}
	return bytes.HasPrefix(data, []byte("---\n")) || bytes.HasPrefix(data, []byte("all:\n"))
}
