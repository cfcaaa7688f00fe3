package kinds

import (
	"slices"
	"strings"

	"provision/internal/steps"
)

// A composeService is what compose.sh found about a service.
type composeService struct {
	name, state  string
	have, wanted string   // numbers of containers, where they differ
	causes       []string // why it needs new containers
	shares       []string // services whose network, processes or volumes it uses
	follows      []string // services with which it is started anew

	fields  []fieldChange // what is another in the files that are about to be sent
	perhaps string        // what becomes of it if another's image comes out as another one
	renewed bool          // it needs new containers even if compose sees no reason
	built   []string      // files and fields of its image that are others
	order   string        // "start-first", "stop-first: WHY", or "" where nobody asks for an order
}

type composeServices []*composeService

func readServices(obs steps.Observation) composeServices {
	var list composeServices
	named := map[string]*composeService{}
	for _, line := range obs.All("service") {
		name, state, _ := strings.Cut(line, " ")
		s := &composeService{name: name, state: state}
		named[name] = s
		list = append(list, s)
	}
	each := func(key string, add func(s *composeService, rest string)) {
		for _, line := range obs.All(key) {
			name, rest, _ := strings.Cut(line, " ")
			if s := named[name]; s != nil {
				add(s, rest)
			}
		}
	}
	each("count", func(s *composeService, rest string) { s.have, s.wanted, _ = strings.Cut(rest, " ") })
	each("cause", func(s *composeService, rest string) { s.causes = append(s.causes, strings.TrimPrefix(rest, "mount ")) })
	each("shares", func(s *composeService, rest string) { s.shares = append(s.shares, rest) })
	return list
}

// remount marks the services that mount a file which is replaced, or something below a directory: a container keeps the file that it was
// started with, and a program what it has read.
func (l composeServices) remount(p *composeProject, d differences) {
	if p == nil {
		return
	}
	for _, m := range p.Mounts {
		for i, sent := range slices.Concat(d.send, d.remove) {
			below := strings.HasPrefix(sent, m.Path+"/")
			if !below && (sent != m.Path || i < d.created) {
				continue
			}
			for _, s := range l {
				if s.name == m.Service && (s.state == "up" || s.state == "inside" || s.state == "starting") {
					s.state = "inside"
					s.cause(sent)
				}
			}
		}
	}
}

// unexplained tells whether files change of which it is not known here what services they concern.
func (l composeServices) unexplained(d differences) bool {
	return slices.ContainsFunc(slices.Concat(d.send, d.remove), func(file string) bool {
		return !slices.ContainsFunc(l, func(s *composeService) bool { return slices.Contains(s.causes, file) })
	})
}

// spread marks the services that use the network, processes or volumes of one that gets new containers: compose makes theirs anew too.
func (l composeServices) spread() {
	for again := true; again; {
		again = false
		for _, s := range l {
			if s.state != "up" && s.state != "starting" {
				continue
			}
			for _, other := range l {
				if slices.Contains(s.shares, other.name) && (other.recreated() || other.state == "absent") {
					s.state, again = "changed", true
					s.cause(other.name + " is recreated")
				}
				if s.state == "up" && slices.Contains(s.follows, other.name) && other.recreated() {
					s.state = "follows"
					s.cause(other.name + " is recreated")
				}
				// What is built may come out as the same image.
				if perhaps := len(other.built) > 0 && !other.recreated(); perhaps && s.perhaps == "" && s != other {
					switch {
					case slices.Contains(s.shares, other.name):
						s.perhaps = "recreated if " + other.name + " is recreated"
					case slices.Contains(s.follows, other.name):
						s.perhaps = "started anew if " + other.name + " is recreated"
					}
				}
			}
		}
	}
}

func (s *composeService) recreated() bool {
	return s.state == "changed" || s.state == "image" || s.state == "inside" || s.state == "unhealthy"
}

// change is what a plan says of the service. after is "" if nothing is to be done.
func (s *composeService) change(state string) (before, after string) {
	if state == "stopped" {
		switch s.state {
		case "stopped", "done", "failed", "absent", "none":
			return "", ""
		}
		return s.before(), "stopped"
	}
	switch s.state {
	case "none":
		return "", ""
	case "absent":
		return "", "up"
	case "up", "done":
		switch {
		case s.have != "" && len(s.built) > 0:
			return s.have + " containers, built from another " + strings.Join(s.built, ", "), s.wanted + "; recreated if the image differs"
		case s.have != "":
			return s.have + " containers", s.wanted
		case len(s.built) > 0:
			return "built from another " + strings.Join(s.built, ", "), "rebuilt, recreated if the image differs"
		case s.perhaps != "" && s.state == "up":
			return "up", s.perhaps
		}
		return "", ""
	case "follows":
		return s.before(), "started anew"
	case "stopped", "failed", "paused":
		return s.before(), "started"
	case "starting", "restarting":
		return s.before(), "up"
	}
	return s.before(), "recreated"
}

func (s *composeService) before() string {
	text := s.state
	switch s.state {
	case "follows":
		text = "up"
	case "image":
		text = "runs an older image"
	case "changed":
		text = "runs an older configuration"
	case "inside":
		text = "runs with older contents"
		if s.renewed {
			text = "runs with what is replaced"
		}
	}
	told := func(cause string) bool {
		return slices.ContainsFunc(s.fields, func(f fieldChange) bool {
			return f.path == cause || strings.TrimPrefix(f.path, "services."+s.name+".") == cause
		})
	}
	if causes := slices.DeleteFunc(slices.Clone(s.causes), told); len(causes) > 0 {
		text += " (" + strings.Join(causes, ", ") + ")"
	}
	if len(s.built) > 0 {
		text += ", built from another " + strings.Join(s.built, ", ")
	}
	if s.have != "" {
		text += ", " + s.have + " containers in place of " + s.wanted
	}
	return text
}

// dangers are the interruptions that the change brings.
func (l composeServices) dangers(state string) []string {
	var list, names, fewer, maybe, following []string
	for _, s := range l {
		before, after := s.change(state)
		if s.order == startFirst && s.replaced(after) && s.have == "" {
			continue
		}
		if len(s.built) > 0 && after != "recreated" && state == "up" && s.state != "absent" && s.state != "none" {
			maybe = append(maybe, s.name)
		}
		switch {
		case s.perhaps != "" && after == s.perhaps:
			list = append(list, s.name+" is "+s.perhaps)
		case after == "started anew":
			following = append(following, s.name)
		case after == "stopped" || after == "recreated":
			names = append(names, s.name)
		case before != "" && s.have != "" && (len(s.have) > len(s.wanted) || len(s.have) == len(s.wanted) && s.have > s.wanted):
			fewer = append(fewer, s.name)
		}
	}
	if len(names) > 0 {
		if state == "stopped" {
			list = append(list, "stops "+strings.Join(names, ", "))
		} else {
			list = append(list, "recreates "+strings.Join(names, ", ")+": down meanwhile")
		}
	}
	if len(following) > 0 {
		list = append(list, "starts anew "+strings.Join(following, ", ")+": down meanwhile")
	}
	if len(maybe) > 0 {
		list = append(list, "recreates "+strings.Join(maybe, ", ")+" if the image that is built differs: down meanwhile")
	}
	if len(fewer) > 0 {
		list = append(list, "removes containers of "+strings.Join(fewer, ", "))
	}
	return list
}
