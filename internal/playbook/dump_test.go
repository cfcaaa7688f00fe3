package playbook

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	ctyjson "github.com/zclconf/go-cty/cty/json"

	"provision/internal/inventory"
)

// dumpHost prints a host as it was resolved.
func dumpHost(out *strings.Builder, h *inventory.Host) {
	vars, marks := h.Vars.UnmarkDeep()
	text := "(sensitive)"
	if len(marks) == 0 {
		data, _ := ctyjson.Marshal(vars, vars.Type())
		text = string(data)
	}
	set, _ := json.Marshal(h.Settings)
	var fields map[string]any
	_ = json.Unmarshal(set, &fields)
	for name, v := range fields {
		if v == nil || v == "" || v == 0.0 {
			delete(fields, name)
		}
	}
	set, _ = json.Marshal(fields)
	dir, _ := os.Getwd()
	line := fmt.Sprintf("%s address=%q groups=%v vars=%s %s\n", h.Name, h.Address, h.Groups, text, set)
	out.WriteString(strings.ReplaceAll(line, dir, "$WORK"))
}
