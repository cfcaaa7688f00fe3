package inventory

import (
	"maps"
	"strconv"

	"github.com/zclconf/go-cty/cty"
)

// An Origin says where a variable of a host was written.
type Origin struct {
	Group string `json:"group,omitempty"` // whose variable it is; "" means the host's own
	File  string `json:"file,omitempty"`  // as messages name it
	Line  int    `json:"line,omitempty"`  // from 1; 0 if it is not known
}

// String is "group web, hosts.yml:12", with what is known.
func (o *Origin) String() string {
	place := o.File
	if o.Line > 0 {
		place += ":" + strconv.Itoa(o.Line)
	}
	switch {
	case o.Group == "":
		return place
	case place == "":
		return "group " + o.Group
	}
	return "group " + o.Group + ", " + place
}

// A Var is the value of a variable, and where it was written.
type Var struct {
	Value cty.Value
	From  *Origin
}

// Vars are variables by their names.
type Vars map[string]Var

// Over returns a copy of under with v's own variables over it.
func (v Vars) Over(under Vars) Vars {
	all := make(Vars, len(v)+len(under))
	maps.Copy(all, under)
	maps.Copy(all, v)
	return all
}

// SetVars gives a host its variables, once those of its groups are among them.
func (h *Host) SetVars(vars Vars) {
	h.Vars, h.From = cty.EmptyObjectVal, nil
	if len(vars) == 0 {
		return
	}
	values := make(map[string]cty.Value, len(vars))
	h.From = make(map[string]*Origin, len(vars))
	for name, v := range vars {
		values[name] = v.Value
		h.From[name] = v.From
	}
	h.Vars = cty.ObjectVal(values)
}
