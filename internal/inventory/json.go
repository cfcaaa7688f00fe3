package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ParseJSON reads what a command prints: a list whose items are names, or objects with name and,
// as wanted, address, port, user, groups and vars; an object from names to addresses or to
// such objects without the name; or groups in the form of Ansible's dynamic inventories (--list).
func ParseJSON(data []byte) (*Imported, error) {
	var anything json.RawMessage
	if err := json.Unmarshal(data, &anything); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	im := &Imported{}
	var list []json.RawMessage
	if json.Unmarshal(data, &list) == nil {
		for i, item := range list {
			if err := im.addJSON("", item); err != nil {
				return nil, fmt.Errorf("host %d of the list: %w", i+1, err)
			}
		}
		return im, nil
	}
	object, err := members(data)
	if err != nil {
		return nil, errors.New("a list or an object in JSON is required")
	}
	if isDynamic(object) {
		err := im.addDynamic(object)
		im.finish()
		return im, err
	}
	slices.SortFunc(object, func(a, b member) int { return strings.Compare(a.name, b.name) })
	for _, m := range object {
		if err := im.addJSON(m.name, m.value); err != nil {
			return nil, fmt.Errorf("host %q: %w", m.name, err)
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
	for what, text := range map[string]string{"address": h.Address, "user": h.User} {
		if strings.HasPrefix(text, "-") {
			return fmt.Errorf("the %s begins with a dash", what)
		}
	}
	if im.byName[h.Name] != nil {
		return fmt.Errorf("%q is there twice", h.Name)
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
	if absent(h.Vars) {
		return nil
	}
	return im.addVars(im.Vars[h.Name], "", h.Vars)
}
