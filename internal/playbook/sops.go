package playbook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"go.yaml.in/yaml/v4"
)

// The metadata that sops adds to each format.
var (
	sopsYAML   = regexp.MustCompile(`(?m)^sops:\s*$`)
	sopsINI    = regexp.MustCompile(`(?m)^\[sops\]\s*$`)
	sopsDotenv = regexp.MustCompile(`(?m)^sops_mac=`)
	sopsMAC    = regexp.MustCompile(`(?m)^\s*(sops_)?"?mac"?\s*[:=]\s*"?ENC\[`)
)

// sopsFormat recognizes a file that sops has encrypted by its metadata, and says how sops calls its format; "" is another file. As
// with sops the ending of the name decides, where it is one that sops knows.
func sopsFormat(name string, data []byte) string {
	if !sopsMAC.Match(data) {
		return ""
	}
	found := ""
	var object map[string]json.RawMessage
	switch {
	case json.Unmarshal(data, &object) == nil && object["sops"] != nil:
		found = "json"
		if object["data"] != nil && len(object) == 2 {
			found = "binary"
		}
	case sopsYAML.Match(data):
		found = "yaml"
	case sopsINI.Match(data):
		found = "ini"
	case sopsDotenv.Match(data):
		found = "dotenv"
	}
	byName := map[string]string{".yaml": "yaml", ".yml": "yaml", ".json": "json", ".ini": "ini", ".env": "dotenv"}[strings.ToLower(filepath.Ext(name))]
	if byName == "json" && found == "binary" {
		return byName
	}
	return found
}

// openSOPS has sops decrypt a file, and keeps a warning of values that sops may have changed when it encrypted them.
func (pb *Playbook) openSOPS(p *place, name, format string, data []byte) ([]byte, error) {
	path, err := p.onDisk(name)
	if err != nil {
		return nil, err
	}
	plain, err := pb.runDecrypt(name, pb.sopsEnviron(), "sops", "--decrypt", "--input-type", format, "--output-type", format, path)
	if err != nil {
		return nil, err
	}
	var lost []string
	switch format {
	case "yaml", "json":
		lost = lostNumbers(data, plain)
	case "ini":
		lost = cutValues(string(plain))
	}
	if len(lost) > 0 {
		pb.lossy = append(pb.lossy, &hcl.Diagnostic{
			Severity: hcl.DiagWarning, Summary: "Values that SOPS may have changed",
			Detail: fmt.Sprintf("%s: %s.", p.showing(name), strings.Join(lost, "; ")),
		})
	}
	return plain, nil
}

// LossyFiles warns of encrypted files whose values may not be what was written into them. Call it after Validate, which decrypts
// them.
func (pb *Playbook) LossyFiles() hcl.Diagnostics {
	pb.local.mu.Lock()
	defer pb.local.mu.Unlock()
	return slices.Clone(pb.lossy)
}

// sopsEnviron lets sops find the key of age that decrypt uses elsewhere, unless the user names another for sops.
func (pb *Playbook) sopsEnviron() []string {
	environ := os.Environ()
	for _, variable := range environ {
		if strings.HasPrefix(variable, "SOPS_AGE_") {
			return environ
		}
	}
	named := pb.environ["PROVISION_AGE_IDENTITY"]
	switch {
	case strings.HasPrefix(named, "AGE-SECRET-KEY-"):
		return append(environ, "SOPS_AGE_KEY="+named)
	case named == "" && pb.environ["HOME"] != "":
		named = filepath.Join(pb.environ["HOME"], ".config", "provision", "age.key")
		if _, err := os.Stat(named); err != nil {
			return environ
		}
	}
	if named == "" {
		return environ
	}
	return append(environ, "SOPS_AGE_KEY_FILE="+named)
}

var (
	encryptedValue = regexp.MustCompile(`^ENC\[AES256_GCM,.*,type:(\w+)\]$`)
	modeName       = regexp.MustCompile(`(?i)mode|perm|mask`)
)

// lostNumbers names the values of a YAML or JSON file that sops keeps by their value and not as they were written: what was 0755 is
// 493 when it comes back. A value in quotes is kept.
func lostNumbers(encrypted, plain []byte) []string {
	found := map[string][]string{}
	befores, afters := yaml.NewDecoder(bytes.NewReader(encrypted)), yaml.NewDecoder(bytes.NewReader(plain))
	for {
		var before, after yaml.Node
		if befores.Decode(&before) != nil || afters.Decode(&after) != nil {
			break // after the last document
		}
		walkScalars(&before, &after, "", func(b, a *yaml.Node, path string) {
			if m := encryptedValue.FindStringSubmatch(b.Value); m != nil {
				if why := lostValue(m[1], path, a.Value); why != "" {
					found[why] = append(found[why], fmt.Sprintf("%s (line %d)", path, b.Line))
				}
			}
		})
	}
	var lost []string
	for _, why := range slices.Sorted(maps.Keys(found)) {
		lost = append(lost, strings.Join(found[why], ", ")+": "+why)
	}
	if len(lost) > 0 {
		lost = append(lost, "put such values in quotes, and encrypt them again")
	}
	return lost
}

// walkScalars visits the plain values of two documents of the same shape, with their path: "a.b[1]".
func walkScalars(b, a *yaml.Node, path string, visit func(b, a *yaml.Node, path string)) {
	if b.Kind == yaml.ScalarNode && a.Kind == yaml.ScalarNode {
		visit(b, a, path)
	}
	if b.Kind != a.Kind {
		return
	}
	for i := range min(len(b.Content), len(a.Content)) {
		step := path
		switch b.Kind {
		case yaml.MappingNode:
			if i%2 == 0 || b.Content[i-1].Value != a.Content[i-1].Value {
				continue
			}
			step = strings.TrimPrefix(path+"."+b.Content[i-1].Value, ".")
		case yaml.SequenceNode:
			step = fmt.Sprintf("%s[%d]", path, i)
		}
		walkScalars(b.Content[i], a.Content[i], step, visit)
	}
}

// usualModes are the numbers that are mostly meant as a mode.
func usualModes() []int {
	return []int{0o400, 0o440, 0o444, 0o600, 0o640, 0o644, 0o660, 0o664, 0o700, 0o710, 0o750, 0o755, 0o770, 0o775, 0o777}
}

// lostValue says what may have happened to a value of a type that is no text. Most integers come back as they were written.
func lostValue(kind, path, value string) string {
	switch kind {
	case "float":
		return "a number such as 1.50 or 1e3 has become 1.5 or 1000, and one of more than 15 digits has lost the last ones"
	case "time":
		return "a date has got a time"
	case "int":
		n, err := strconv.Atoi(value)
		key := path[strings.LastIndex(path, ".")+1:]
		if err == nil && n > 0 && (slices.Contains(usualModes(), n) || n <= 0o7777 && modeName.MatchString(key)) {
			return "an octal number such as 0755 has become decimal"
		}
	}
	return ""
}

// cutValues names the keys of an INI file with a comment above them. sops ends a value at ; or #, in quotes too, and what followed
// it stands there then; a comment of the file's own looks the same.
func cutValues(plain string) []string {
	var keys []string
	comment := false
	for line := range strings.Lines(plain) {
		line = strings.TrimSpace(line)
		key, _, set := strings.Cut(line, "=")
		switch {
		case line == "":
		case line[0] == ';' || line[0] == '#':
			comment = true
			continue
		case set && comment:
			keys = append(keys, strings.TrimSpace(key))
		}
		comment = false
	}
	if len(keys) == 0 {
		return nil
	}
	return []string{"there is a comment above " + strings.Join(keys, ", ") + ": sops ends a value of an INI file at ; or #, in quotes too, and puts the rest " +
		"there. Compare the values; dotenv, and YAML and JSON with quotes, keep them"}
}
