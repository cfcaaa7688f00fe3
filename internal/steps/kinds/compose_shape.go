package kinds

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"provision/internal/steps"
)

// A composeShape is what a project says of its services, networks and volumes, as trees of JSON. What is secret is a hiddenValue in it,
// and what the host alone knows an unknownValue. It is what two releases of a project are compared by, field by field.
type composeShape map[string]any

// shapeVersion tells notes of another library, which may write the same thing in another way, from those that can be compared.
const shapeVersion = "1 compose-go 2.16"

type (
	hiddenValue  string
	unknownValue struct{}
)

// Keys of objects in a note: no project has them, since those that compose does not know begin with x-.
const (
	hiddenKey  = "#hidden"
	unknownKey = "#unknown"
)

// shapeOf makes the shape of a project. variables are the values of the file for variables.
func shapeOf(project *types.Project, dir string, variables types.Mapping) (composeShape, error) {
	literal := map[string]types.MappingWithEquals{}
	for name, s := range project.Services {
		literal[name] = maps.Clone(s.Environment)
	}
	// Files with secrets may exist on the host alone.
	if resolved, err := project.WithServicesEnvironmentResolved(false); err == nil {
		project = resolved
	}
	if resolved, err := project.WithServicesLabelsResolved(false); err == nil {
		project = resolved
	}
	text, err := json.Marshal(map[string]any{"services": project.Services, "networks": project.Networks, "volumes": project.Volumes, "configs": project.Configs, "secrets": project.Secrets})
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	var values []string
	for name, value := range variables {
		if name != "PWD" && !strings.HasPrefix(name, "COMPOSE_") {
			values = append(values, value)
		}
	}
	h := &hider{values: values, dir: dir}
	for name := range project.Services {
		service, _ := object(tree["services"])[name].(map[string]any)
		environment := object(service["environment"])
		for key, value := range environment {
			text, is := value.(string)
			if inline := literal[name][key]; is && inline == nil {
				environment[key] = hiddenValue(text) // of a file for the environment, or of the machine's own
			}
		}
	}
	for _, section := range []string{"networks", "volumes", "configs", "secrets"} {
		for key, element := range object(tree[section]) {
			if e := object(element); e["name"] == project.Name+"_"+key {
				delete(e, "name") // what compose would call it anyway
			}
		}
	}
	for name := range project.Configs {
		config := object(object(tree["configs"])[name])
		if content, is := config["content"].(string); is {
			config["content"] = hiddenValue(content)
		}
		if from := project.Configs[name].Environment; from != "" {
			config["value"] = hiddenValue(variables[from])
		}
	}
	for name := range project.Secrets {
		secret := object(object(tree["secrets"])[name])
		if content, is := secret["content"].(string); is {
			secret["content"] = hiddenValue(content)
		}
		if from := project.Secrets[name].Environment; from != "" {
			secret["value"] = hiddenValue(variables[from])
		}
	}
	hidden, _ := h.hide("", tree).(map[string]any)
	return hidden, nil
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// A hider finds what is secret in a tree: what holds the value of a variable, and what has the name or the form of a secret.
type hider struct {
	values []string
	dir    string
}

var (
	secretName = regexp.MustCompile(`(?i)pass|secret|token|key|credential|auth|private|dsn|salt|cookie|session`)
	secretText = regexp.MustCompile(`(?i)://[^/@\s]*:[^/@\s]*@|(pass(word|wd|phrase)?|secret|token|api_?key|credentials?)["' ]*[=: ]`)
)

func (h *hider) hide(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = h.hide(key, value)
		}
	case []any:
		for i, value := range v {
			v[i] = h.hide(name, value)
		}
	case string:
		if h.secret(name, v) {
			return hiddenValue(v)
		}
		// A directory of this machine is none of the host's.
		if rest, yes := strings.CutPrefix(v, h.dir+"/"); yes {
			return "./" + rest
		} else if v == h.dir {
			return "."
		}
	}
	return v
}

func (h *hider) secret(name, text string) bool {
	for _, value := range h.values {
		if value != "" && containsValue(text, value) {
			return true
		}
	}
	switch name {
	case "credential_spec", "source", "target", "key", "x-key":
		return false
	}
	return secretName.MatchString(name) && text != "" || secretText.MatchString(text)
}

// containsValue tells whether a value is in a text. A short one counts only where it stands alone: 1 is in many texts.
func containsValue(text, value string) bool {
	if len(value) >= 4 {
		return strings.Contains(text, value)
	}
	word := func(b byte) bool {
		return b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
	}
	for at := 0; at+len(value) <= len(text); at++ {
		end := at + len(value)
		if text[at:end] == value && (at == 0 || !word(text[at-1])) && (end == len(text) || !word(text[end])) {
			return true
		}
	}
	return false
}

// unlike puts an unknownValue wherever the other shape has something else: it hangs on what the host alone knows.
func unlike(v, other any) any {
	switch v := v.(type) {
	case map[string]any:
		o, is := other.(map[string]any)
		if !is {
			return unknownValue{}
		}
		for key, value := range v {
			v[key] = unlike(value, o[key])
		}
		for key := range o {
			if _, there := v[key]; !there {
				v[key] = unknownValue{}
			}
		}
		return v
	case []any:
		o, is := other.([]any)
		if !is || len(o) != len(v) {
			return unknownValue{}
		}
		for i, value := range v {
			v[i] = unlike(value, o[i])
		}
		return v
	}
	if v == other {
		return v
	}
	return unknownValue{}
}

// A shapeNote is a shape as it is kept on the host: salted sums stand for secrets.
type shapeNote struct {
	Version string         `json:"version"`
	Salt    string         `json:"salt"`
	Shape   map[string]any `json:"shape"`
}

// note returns the shape with a salt, as one line of JSON.
func (s composeShape) note(salt string) string {
	return string(shapeJSON(shapeNote{shapeVersion, salt, object(salted(map[string]any(s), salt))}))
}

// noteSalt is a salt for a note of this run, which tells nothing of the run's own.
func noteSalt(f *steps.Facts) string {
	sum := sha256.Sum256([]byte("compose " + f.Salt))
	return hex.EncodeToString(sum[:12])
}

func shapeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // trees of JSON
	}
	return bytes.TrimSpace(b.Bytes())
}

func salted(v any, salt string) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for key, value := range v {
			m[key] = salted(value, salt)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, value := range v {
			list[i] = salted(value, salt)
		}
		return list
	case hiddenValue:
		return map[string]any{hiddenKey: saltedSum(salt, string(v))}
	case unknownValue:
		return map[string]any{unknownKey: true}
	}
	return v
}

func saltedSum(salt, text string) string {
	sum := sha256.Sum256([]byte(salt + text))
	return hex.EncodeToString(sum[:12])
}

// readShapeNote returns the note with which the shape can be compared, or nil.
func readShapeNote(text string) *shapeNote {
	var n shapeNote
	if json.Unmarshal([]byte(text), &n) != nil || n.Version != shapeVersion || n.Salt == "" {
		return nil
	}
	return &n
}

// A fieldChange is a field of a project that has another value than before.
type fieldChange struct {
	path          string // "services.web.ports[80/tcp].published"
	before, after string
	added, gone   bool // it was not there, or is not any more
	hidden        bool // a secret: no value is told
}

// since lists what is another than in the note, at the place "SECTION.NAME".
func (s composeShape) since(n *shapeNote, section, name string) []fieldChange {
	var list []fieldChange
	was := object(n.Shape[section])[name]
	is := salted(object(s[section])[name], n.Salt)
	n.compare(&list, section+"."+name, plainJSON(was), plainJSON(is))
	return list
}

// plainJSON makes a tree as it is after a way through JSON.
func plainJSON(v any) any {
	var plain any
	if err := json.Unmarshal(shapeJSON(v), &plain); err != nil {
		panic(err)
	}
	return plain
}

func (n *shapeNote) compare(list *[]fieldChange, path string, was, is any) {
	// What was taken for a secret need not be taken for one any more, as when the value of a variable was the same by chance.
	same := func(hidden, plain any) bool {
		text, is := plain.(string)
		return is && isMarked(hidden, hiddenKey) && object(hidden)[hiddenKey] == saltedSum(n.Salt, text)
	}
	if same(was, is) || same(is, was) {
		return
	}
	if bytes.Equal(shapeJSON(was), shapeJSON(is)) || isMarked(was, unknownKey) || isMarked(is, unknownKey) {
		return
	}
	wasObject, isObject := object(was), object(is)
	wasList, wasIs := was.([]any)
	isList, isIs := is.([]any)
	if wasIs && isIs {
		wasObject, isObject = byTarget(wasList), byTarget(isList)
	}
	marked := isMarked(was, hiddenKey) || isMarked(is, hiddenKey)
	if !marked && wasObject != nil && isObject != nil && len(wasObject)+len(isObject) > 0 {
		keys := slices.Sorted(maps.Keys(wasObject))
		for key := range isObject {
			if _, there := wasObject[key]; !there {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			below := path + "." + key
			if wasIs {
				below = path + "[" + key + "]"
			}
			n.compare(list, below, wasObject[key], isObject[key])
		}
		return
	}
	// An object that comes or goes is told by its own fields where it has some.
	if one := firstObject(wasObject, isObject); !marked && one != nil && (was == nil || is == nil) && len(one) > 1 {
		for _, key := range slices.Sorted(maps.Keys(one)) {
			n.compare(list, path+"."+key, wasObject[key], isObject[key])
		}
		return
	}
	*list = append(*list, fieldChange{
		path: path, before: shapeText(was), after: shapeText(is), added: was == nil, gone: is == nil,
		hidden: holdsHidden(was) || holdsHidden(is),
	})
}

func firstObject(a, b map[string]any) map[string]any {
	if a != nil {
		return a
	}
	return b
}

// byTarget turns a list of objects into one by what they are for: the port, the place, the source. It is nil if that does not tell them apart.
func byTarget(list []any) map[string]any {
	m := map[string]any{}
	for _, item := range list {
		o, is := item.(map[string]any)
		if !is {
			return nil
		}
		key := ""
		for _, name := range []string{"target", "source", "path"} {
			if o[name] != nil {
				key = fmt.Sprint(o[name])
				break
			}
		}
		if protocol, is := o["protocol"].(string); is {
			key += "/" + protocol
		}
		if _, twice := m[key]; key == "" || twice {
			return nil
		}
		m[key] = o
	}
	return m
}

func isMarked(v any, key string) bool {
	m, is := v.(map[string]any)
	_, there := m[key]
	return is && there
}

func holdsHidden(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return isMarked(v, hiddenKey) || slices.ContainsFunc(slices.Collect(maps.Values(v)), holdsHidden)
	case []any:
		return slices.ContainsFunc(v, holdsHidden)
	}
	return false
}

// shapeText is how a plan shows a value.
func shapeText(v any) string {
	if text, is := v.(string); is && text != "" {
		return text
	}
	if v == nil {
		return ""
	}
	return string(shapeJSON(v))
}
