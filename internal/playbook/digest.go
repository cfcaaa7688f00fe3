package playbook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// Inputs returns a text that is the same as long as what the playbook was computed from so far is the same: its files wherever
// they lie, those of its modules, the local files that it reads, and the values of its variables. It holds secrets.
func (pb *Playbook) Inputs() string {
	var b strings.Builder
	for _, name := range keys(pb.vars) {
		fmt.Fprintf(&b, "%q = %s\n", name, valueText(pb.vars[name]))
	}
	for _, sum := range pb.local.contents() {
		fmt.Fprintln(&b, sum)
	}
	return b.String()
}

func valueText(v cty.Value) string {
	if v == cty.NilVal {
		return "in error"
	}
	v, _ = v.UnmarkDeep()
	data, err := ctyjson.Marshal(v, cty.DynamicPseudoType)
	if err != nil {
		return v.GoString() // of a value that JSON does not have, such as an unknown one
	}
	return string(data)
}

// contents returns the SHA-256 sums of all files that were read, sorted.
func (l *localFiles) contents() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sums []string
	for _, f := range l.texts {
		if f.err == nil {
			sum := sha256.Sum256(f.data)
			sums = append(sums, hex.EncodeToString(sum[:]))
		}
	}
	for _, f := range l.sums {
		if f.err == nil {
			sums = append(sums, f.local.SHA256)
		}
	}
	slices.Sort(sums)
	return slices.Compact(sums)
}

// Sensitive tells whether the playbook declares a variable of that name as sensitive.
func (pb *Playbook) Sensitive(name string) bool {
	v := pb.root.variables[name]
	return v != nil && v.sensitive
}
