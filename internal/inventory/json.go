package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// ParseJSON reads what a command prints: a list whose items are names, or objects with name and,
// as wanted, address, port, user, groups and vars; or an object from names to addresses or to
// such objects without the name.
func ParseJSON(data []byte) (*Imported, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err == nil {
		im := &Imported{}
		for i, item := range list {
			if err := im.addJSON("", item); err != nil {
				return nil, fmt.Errorf("host %d of the list: %w", i+1, err)
			}
		}
		return im, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, errors.New("a list or an object in JSON is required")
	}
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	im := &Imported{}
	for _, name := range names {
		if err := im.addJSON(name, object[name]); err != nil {
			return nil, fmt.Errorf("host %q: %w", name, err)
		}
	}
	return im, nil
}

type jsonHost struct {
	Name    string          `json:"name"`
	Address string          `json:"address"`
	Port    int             `json:"port"`
	User    string          `json:"user"`
	Groups  []string        `json:"groups"`
	Vars    json.RawMessage `json:"vars"`
}

// addJSON adds one host. name is "" for an item of a list.
func (im *Imported) addJSON(name string, data json.RawMessage) error {
	h := jsonHost{Name: name}
	var text string
	switch {
	case json.Unmarshal(data, &text) == nil && name == "":
		h.Name = text
	case json.Unmarshal(data, &text) == nil:
		h.Address = text
	default:
		if err := json.Unmarshal(data, &h); err != nil {
			return errors.New("it must be a text, or an object with name, address, port, user, groups and vars")
		}
		if name != "" {
			h.Name = name
		}
	}
	if err := ValidName(h.Name); err != nil {
		return err
	}
	if h.Port < 0 || h.Port > 65535 {
		return fmt.Errorf("%d is no port", h.Port)
	}
	if len(h.Address) > 0 && h.Address[0] == '-' {
		return errors.New("the address begins with a dash")
	}
	for _, known := range im.Hosts {
		if known.Name == h.Name {
			return fmt.Errorf("%q is there twice", h.Name)
		}
	}
	host := im.host(h.Name)
	host.Address = h.Address
	host.Settings = Settings{Port: h.Port, User: h.User}
	for _, g := range h.Groups {
		if err := ValidName(g); err != nil {
			return err
		}
		host.Groups = append(host.Groups, g)
	}
	if len(h.Vars) == 0 || string(h.Vars) == "null" {
		return nil
	}
	ty, err := ctyjson.ImpliedType(h.Vars)
	if err != nil || !ty.IsObjectType() {
		return errors.New("vars must be an object")
	}
	vars, err := ctyjson.Unmarshal(h.Vars, ty)
	if err != nil {
		return errors.New("vars must be an object")
	}
	if len(ty.AttributeTypes()) == 0 {
		vars = cty.EmptyObjectVal
	}
	host.Vars = vars
	return nil
}
