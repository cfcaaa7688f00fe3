package kinds

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"provision/internal/steps"
)

var singlePort = regexp.MustCompile(`^[0-9]+$`)

// outside is what compose_outside reads: the ports, networks and volumes of the host that the local project needs or makes.
func (c *compose) outside() string {
	if c.project == nil || c.State != "up" {
		return ""
	}
	var b strings.Builder
	shape := c.project.Shape
	networks, volumes := map[string]bool{}, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(object(shape["services"]))) {
		service := object(object(shape["services"])[name])
		for _, key := range usedBy(service, "networks") {
			networks[key] = true
		}
		for _, key := range usedBy(service, "volumes") {
			volumes[key] = true
		}
		if replicas(service) == "0" {
			continue
		}
		ports, _ := service["ports"].([]any)
		for _, port := range ports {
			p := object(port)
			number := plainText(p["published"])
			address, told := plainText(p["host_ip"]), p["host_ip"] != nil
			if !singlePort.MatchString(number) || told && address == "" {
				continue // chosen by the engine, or known on the host alone
			}
			if address == "" {
				address = "-"
			}
			fmt.Fprintf(&b, "port %s %s %s\n", address, number, p["protocol"])
		}
	}
	for _, section := range []struct {
		name, kind string
		used       map[string]bool
	}{{"networks", "network", networks}, {"volumes", "volume", volumes}} {
		for _, key := range slices.Sorted(maps.Keys(section.used)) {
			name, how := c.calledOnHost(section.name, key), "own"
			if isExternal(object(shape[section.name])[key]) {
				how = "external"
			}
			if name != "" {
				fmt.Fprintf(&b, "%s %s %s %s\n", section.kind, key, name, how)
			}
		}
	}
	return b.String()
}

// plainText is a text of a shape; "" if it is none, or the host alone knows it. Ports and addresses are told even where they come from
// the file for variables: whoever looks at the host sees them.
func plainText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case hiddenValue:
		return string(v)
	}
	return ""
}

// calledOnHost is the name of a network or a volume; "" if the host alone knows it.
func (c *compose) calledOnHost(section, key string) string {
	element := object(object(c.project.Shape[section])[key])
	if name, told := element["name"]; told {
		if text := plainText(name); !strings.ContainsAny(text, " \n") {
			return text
		}
		return ""
	}
	return c.title() + "_" + key
}

func isExternal(v any) bool { return object(v)["external"] == true }

// usedBy lists the networks or the volumes that a service uses.
func usedBy(service map[string]any, section string) []string {
	if section == "networks" {
		return slices.Sorted(maps.Keys(object(service[section])))
	}
	var list []string
	volumes, _ := service[section].([]any)
	for _, v := range volumes {
		if source := plainText(object(v)["source"]); object(v)["type"] == "volume" && source != "" && !slices.Contains(list, source) {
			list = append(list, source)
		}
	}
	return list
}

// resources adds to a change what becomes of networks and volumes, and marks the services that get new containers for it. It returns the
// networks that are to be removed first.
func (c *compose) resources(change *steps.Change, l composeServices, n *shapeNote, obs steps.Observation) (remove []string, err error) {
	for _, kind := range []string{"network", "volume"} {
		section := kind + "s"
		made := map[string]bool{}
		for _, line := range obs.All(kind) {
			key, name, _ := strings.Cut(line, " ")
			made[key] = true
			change.Diff = append(change.Diff, steps.Attr{Name: kind + " " + name, BeforeMissing: true, After: "created"})
		}
		if n == nil {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(object(c.project.Shape[section]))) {
			was := object(object(n.Shape[section])[key])
			if was == nil {
				continue
			}
			changed := c.project.Shape.since(n, section, key)
			if len(changed) == 0 {
				continue
			}
			is := object(object(c.project.Shape[section])[key])
			name := c.calledOnHost(section, key)
			moved := plainText(was["name"]) != plainText(is["name"]) || isExternal(was) != isExternal(is)
			switch {
			case moved || made[key]:
				change.Diff = append(change.Diff, fieldAttrs(changed)...)
			case isExternal(is):
				continue // it is not ours to change
			case kind == "volume":
				return nil, errors.New(volumeStays(name, changed))
			default:
				remove = append(remove, name)
				change.Diff = append(change.Diff, steps.Attr{Name: "network " + name, Before: "has other settings", After: "recreated"})
				change.Diff = append(change.Diff, fieldAttrs(changed)...)
			}
			for _, s := range l {
				service := object(object(c.project.Shape["services"])[s.name])
				if slices.Contains(usedBy(service, section), key) && s.state != "absent" && s.state != "none" {
					s.renew(kind + " " + key)
				}
			}
		}
	}
	return remove, nil
}

func volumeStays(name string, changed []fieldChange) string {
	var fields []string
	for _, f := range changed {
		text := f.path
		if !f.hidden {
			text += fmt.Sprintf(" (%q, was %q)", f.after, f.before)
		}
		fields = append(fields, text)
	}
	return "the volume " + name + " is there, and keeps the settings that it was made with: " + strings.Join(fields, ", ") +
		"; take that back, or remove the volume on the host, with all its data, so that compose makes it anew"
}

// renew marks a service for new containers of which compose sees no need.
func (s *composeService) renew(cause string) {
	if s.state != "changed" && s.state != "image" {
		s.state = "inside"
	}
	s.cause(cause)
	s.renewed = true
}
