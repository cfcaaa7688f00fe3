package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"go.yaml.in/yaml/v4"
)

// Bounds of what a YAML file may unfold to: aliases repeat what they name, so that a few lines can stand for more than
// any memory holds.
const (
	maxAliased   = 100_000 // nodes reached through aliases
	maxYAMLDepth = 100
)

// A yamlFile turns the nodes of one YAML file into values.
type yamlFile struct {
	name    string // for messages
	aliased int    // nodes reached through aliases
}

// readYAML parses a file; nil stands for an empty one. Nodes are kept rather than values, for their order and their lines.
func readYAML(name string, data []byte) (*yamlFile, *yaml.Node, error) {
	f := &yamlFile{name: name}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, further yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return f, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("%s is no YAML that can be read: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(&further); !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("%s holds more than one YAML document; split it", name)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return f, nil, nil
	}
	return f, doc.Content[0], nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// errorf reports a mistake at a node.
func (f *yamlFile) errorf(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s, line %d: %w", f.name, n.Line, fmt.Errorf(format, args...))
}

// follow returns what a node stands for if it is an alias.
func (f *yamlFile) follow(n *yaml.Node, depth int) (*yaml.Node, bool, error) {
	if depth > maxYAMLDepth {
		return nil, false, f.errorf(n, "the values go deeper than %d levels", maxYAMLDepth)
	}
	if n.Kind != yaml.AliasNode {
		return n, false, nil
	}
	return n.Alias, true, nil
}

// count bounds what aliases repeat.
func (f *yamlFile) count(n *yaml.Node, aliased bool) error {
	if !aliased {
		return nil
	}
	if f.aliased++; f.aliased > maxAliased {
		return f.errorf(n, "aliases unfold to more than %d values", maxAliased)
	}
	return nil
}

// A pair is an entry of a mapping. Its line is that of the key.
type pair struct {
	name    string
	key     *yaml.Node
	value   *yaml.Node
	aliased bool
}

// pairs returns the entries of a mapping in order, merge keys (<<) resolved: its own win, then those of the first that is
// merged. what is for messages.
func (f *yamlFile) pairs(n *yaml.Node, what string, aliased bool, depth int) ([]pair, error) {
	n, through, err := f.follow(n, depth)
	if err != nil {
		return nil, err
	}
	aliased = aliased || through
	if n.Kind != yaml.MappingNode {
		return nil, f.errorf(n, "%s must be a mapping, NAME: VALUE", what)
	}
	var list, merged []pair
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if err := f.count(key, aliased); err != nil {
			return nil, err
		}
		if key.ShortTag() == "!!merge" {
			if merged, err = f.merge(merged, value, what, aliased, depth+1); err != nil {
				return nil, err
			}
			continue
		}
		name, _, err := f.follow(key, depth)
		if err != nil {
			return nil, err
		}
		if name.Kind != yaml.ScalarNode {
			return nil, f.errorf(key, "the name of an entry must be plain text")
		}
		if seen[name.Value] {
			return nil, f.errorf(key, "%q is there twice in %s; remove one of them", name.Value, what)
		}
		seen[name.Value] = true
		list = append(list, pair{name: name.Value, key: key, value: value, aliased: aliased})
	}
	for _, p := range merged {
		if !seen[p.name] {
			seen[p.name] = true
			list = append(list, p)
		}
	}
	return list, nil
}

// merge adds what a merge key brings: a mapping, or a list of them.
func (f *yamlFile) merge(list []pair, n *yaml.Node, what string, aliased bool, depth int) ([]pair, error) {
	n, through, err := f.follow(n, depth)
	if err != nil {
		return nil, err
	}
	sources := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		sources = n.Content
	}
	for _, source := range sources {
		more, err := f.pairs(source, what, aliased || through, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// value turns a node into a value: mappings become objects and lists tuples.
func (f *yamlFile) value(n *yaml.Node, aliased bool, depth int) (cty.Value, error) {
	n, through, err := f.follow(n, depth)
	if err != nil {
		return cty.NilVal, err
	}
	aliased = aliased || through
	if err := f.count(n, aliased); err != nil {
		return cty.NilVal, err
	}
	switch n.Kind {
	case yaml.MappingNode:
		list, err := f.pairs(n, "the value", aliased, depth+1)
		if err != nil {
			return cty.NilVal, err
		}
		object := make(map[string]cty.Value, len(list))
		for _, p := range list {
			if object[p.name], err = f.value(p.value, p.aliased, depth+1); err != nil {
				return cty.NilVal, err
			}
		}
		return cty.ObjectVal(object), nil
	case yaml.SequenceNode:
		list := make([]cty.Value, len(n.Content))
		for i, item := range n.Content {
			if list[i], err = f.value(item, aliased, depth+1); err != nil {
				return cty.NilVal, err
			}
		}
		return cty.TupleVal(list), nil
	}
	return f.scalar(n)
}

// scalar reads a plain value as Ansible does, with YAML 1.1: yes and on are true, 0644 is octal.
func (f *yamlFile) scalar(n *yaml.Node) (cty.Value, error) {
	switch tag := n.ShortTag(); tag {
	case "!!null":
		return cty.NullVal(cty.DynamicPseudoType), nil
	case "!!bool":
		return cty.BoolVal(ansibleYes(n.Value)), nil
	case "!!int":
		return f.integer(n)
	case "!!float":
		x, err := strconv.ParseFloat(strings.ReplaceAll(n.Value, "_", ""), 64)
		if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
			return cty.StringVal(n.Value), nil
		}
		return cty.NumberFloatVal(x), nil
	case "!!str":
		if n.Style == 0 {
			switch strings.ToLower(n.Value) {
			case "yes", "on":
				return cty.True, nil
			case "no", "off":
				return cty.False, nil
			}
		}
		return cty.StringVal(n.Value), nil
	case "!!timestamp", "!!merge", "!unsafe":
		return cty.StringVal(n.Value), nil
	case "!vault", "!vault-encrypted":
		return cty.NilVal, f.errorf(n, "the value is encrypted with ansible-vault, which is not read here; %s", insteadOfVault)
	default:
		return cty.NilVal, f.errorf(n, "the tag %q is not known", tag)
	}
}

const insteadOfVault = "give it as a sensitive variable of the playbook, or encrypt it with age for decrypt()"

func (f *yamlFile) integer(n *yaml.Node) (cty.Value, error) {
	const longest = 400 // digits: more is no number that anybody wrote
	text := strings.ReplaceAll(n.Value, "_", "")
	if len(text) > longest {
		return cty.StringVal(n.Value), nil
	}
	if i, ok := new(big.Int).SetString(strings.TrimPrefix(text, "+"), 0); ok {
		return cty.NumberVal(new(big.Float).SetInt(i)), nil
	}
	return cty.StringVal(n.Value), nil
}

// yamlLiteral reads a list or a map in one line, as the values of an INI inventory may be.
func yamlLiteral(s string) (cty.Value, error) {
	f, n, err := readYAML("", []byte(s))
	if err != nil || n == nil {
		return cty.NilVal, fmt.Errorf("no literal: %w", err)
	}
	return f.value(n, false, 0)
}
