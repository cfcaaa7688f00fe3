package kinds

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"provision/internal/steps"
)

// quietFields are those of a service for whose sake compose makes no new container: they say how an image is made, in what order services
// start and how many there are, or they come to the environment and the labels, which are compared themselves. Of some the host says
// that its compose is loud.
var quietFields = []string{"build", "depends_on", "profiles", "pull_policy", "scale", "deploy.replicas", "env_file", "label_file", "extends"}

// release marks what the files that are about to be sent change: field by field against what the project was last brought up with.
func (l *composeServices) release(p *composeProject, n *shapeNote, d differences, loud []string, builds bool) (gone []string) {
	named := map[string]*composeService{}
	for _, s := range *l {
		named[s.name] = s
	}
	services := object(p.Shape["services"])
	for _, name := range slices.Sorted(maps.Keys(services)) {
		s, service := named[name], object(services[name])
		wanted := replicas(service)
		if s == nil {
			s = &composeService{name: name, state: "absent"}
			if wanted == "0" {
				s.state = "none"
			}
			*l = append(*l, s)
			continue
		}
		if s.state == "none" && wanted != "0" && wanted != "" {
			s.state = "absent"
		}
		changed, quiet := splitFields(p.Shape.since(n, "services", name), "services."+name+".", loud)
		changed = append(changed, p.Shape.used(n, service)...)
		if len(changed) > 0 && s.state != "absent" && s.state != "none" {
			if s.state != "changed" {
				s.fields = changed
			}
			for _, f := range changed {
				s.cause(strings.TrimPrefix(f.path, "services."+name+"."))
			}
			s.state = "changed"
		}
		for _, f := range quiet {
			short := strings.TrimPrefix(f.path, "services."+name+".")
			switch {
			case short == "scale" || short == "deploy.replicas":
				s.rescale(replicas(object(object(n.Shape["services"])[name])), wanted)
			case builds && (short == "build" || strings.HasPrefix(short, "build.")):
				s.build(short)
				s.fields = append(s.fields, f)
			}
		}
		if build := object(service["build"]); builds && build != nil {
			for _, file := range slices.Concat(d.send, d.remove) {
				if p.builtFrom(build, file) {
					s.build(file)
				}
			}
		}
		s.follows = followed(service)
	}
	for name := range named {
		if _, there := services[name]; !there {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	*l = slices.DeleteFunc(*l, func(s *composeService) bool { return slices.Contains(gone, s.name) })
	return gone
}

// builds tells whether a service describes how its image is built.
func (s composeShape) builds() bool {
	for _, service := range object(s["services"]) {
		if object(service)["build"] != nil {
			return true
		}
	}
	return false
}

// used lists what is another in the secrets and configurations that a service uses.
func (s composeShape) used(n *shapeNote, service map[string]any) []fieldChange {
	var list []fieldChange
	for _, section := range []string{"secrets", "configs"} {
		uses, _ := service[section].([]any)
		for _, use := range uses {
			source, _ := object(use)["source"].(string)
			for _, f := range s.since(n, section, source) {
				if f.path != section+"."+source {
					list = append(list, f)
				}
			}
		}
	}
	return list
}

// splitFields parts the fields that lead to new containers from the others.
func splitFields(fields []fieldChange, prefix string, loud []string) (changed, quiet []fieldChange) {
	for _, f := range fields {
		name := strings.TrimPrefix(f.path, prefix)
		if slices.ContainsFunc(quietFields, func(q string) bool {
			return !slices.Contains(loud, q) && (name == q || strings.HasPrefix(name, q+".") || strings.HasPrefix(name, q+"["))
		}) {
			quiet = append(quiet, f)
		} else {
			changed = append(changed, f)
		}
	}
	return changed, quiet
}

// replicas is the number of containers that a service has; "" if the host alone knows it.
func replicas(service map[string]any) string {
	number := service["scale"]
	if deployed, there := object(service["deploy"])["replicas"]; there {
		number = deployed
	}
	switch v := number.(type) {
	case nil:
		return "1"
	case float64:
		return fmt.Sprint(v)
	}
	return ""
}

// rescale notes that another number of containers is wanted than before.
func (s *composeService) rescale(before, wanted string) {
	if s.have == "" {
		s.have = before
	}
	if s.wanted = wanted; s.have == s.wanted || wanted == "" || s.state == "none" || s.state == "absent" {
		s.have, s.wanted = "", ""
	}
}

func (s *composeService) cause(what string) {
	if !slices.Contains(s.causes, what) {
		s.causes = append(s.causes, what)
	}
}

func (s *composeService) build(from string) {
	if !slices.Contains(s.built, from) {
		s.built = append(s.built, from)
	}
}

// builtFrom tells whether a file of the project is in a directory that an image is built from, or is its Dockerfile.
func (p *composeProject) builtFrom(build map[string]any, file string) bool {
	within := func(v any) bool {
		dir, is := v.(string)
		dir = strings.TrimPrefix(dir, "./")
		return is && (dir == "." || file == dir || strings.HasPrefix(file, dir+"/"))
	}
	if within(build["context"]) {
		return true
	}
	if dockerfile, is := build["dockerfile"].(string); is && within(dockerfile) {
		return true
	}
	for _, context := range object(build["additional_contexts"]) {
		if within(context) {
			return true
		}
	}
	return false
}

// followed lists the services with which a service is started anew (depends_on with restart).
func followed(service map[string]any) []string {
	var list []string
	for other, how := range object(service["depends_on"]) {
		if object(how)["restart"] == true {
			list = append(list, other)
		}
	}
	slices.Sort(list)
	return list
}

// attrs shows fields with both values.
func fieldAttrs(fields []fieldChange) []steps.Attr {
	var list []steps.Attr
	for _, f := range fields {
		a := steps.Attr{Name: f.path, BeforeMissing: f.added, AfterMissing: f.gone, Sensitive: f.hidden}
		if !f.hidden {
			a.Before, a.After = f.before, f.after
		}
		list = append(list, a)
	}
	return list
}
