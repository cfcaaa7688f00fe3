package inventory

import (
	"github.com/zclconf/go-cty/cty"
)

// Imported is what an inventory from elsewhere says. Addresses and settings that it leaves out stay
// empty.
type Imported struct {
	Hosts  []*Host
	Groups []ImportedGroup
}

// An ImportedGroup names members that are hosts of the same inventory, and groups inside it.
type ImportedGroup struct {
	Name     string
	Hosts    []string
	Children []string
	Vars     cty.Value // an object
}

// group returns the group with a name and makes it if it is new.
func (im *Imported) group(name string) *ImportedGroup {
	for i := range im.Groups {
		if im.Groups[i].Name == name {
			return &im.Groups[i]
		}
	}
	im.Groups = append(im.Groups, ImportedGroup{Name: name, Vars: cty.EmptyObjectVal})
	return &im.Groups[len(im.Groups)-1]
}

// host returns the host with a name and makes it if it is new.
func (im *Imported) host(name string) *Host {
	for _, h := range im.Hosts {
		if h.Name == name {
			return h
		}
	}
	h := &Host{Name: name, Vars: cty.EmptyObjectVal}
	im.Hosts = append(im.Hosts, h)
	return h
}
