package kinds

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"provision/internal/steps"
)

// The orders of an update, by the names that the Compose specification has for them.
const (
	startFirst = "start-first"
	stopFirst  = "stop-first"
)

// A hinder is why the containers of a service cannot stand beside each other. compose_parse finds the same in what compose config
// prints, with the same ranks and words.
type hinder struct {
	rank int // from softHinder on, the files of the service may overrule it
	why  string
}

const softHinder = 50

// asksForOrder tells whether somebody has set an order for a service of the local project.
func (c *compose) asksForOrder() bool {
	if c.project == nil || c.State != "up" {
		return false
	}
	if c.UpdateOrder != "" {
		return true
	}
	for _, service := range object(c.project.Shape["services"]) {
		if declaredOrder(object(service)) != "" {
			return true
		}
	}
	return false
}

// declaredOrder is what the files say of a service.
func declaredOrder(service map[string]any) string {
	switch order := object(object(service["deploy"])["update_config"])["order"].(type) {
	case nil:
		return ""
	case string:
		return order
	}
	return stopFirst // known on the host alone
}

// startFirst lists the services of the local project that can be updated start-first, and are to be.
func (c *compose) startFirst() []string {
	var list []string
	for name, order := range c.orders(nil) {
		if order == startFirst {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// orders is the order of each service of the local project for which somebody has set one. More hinders come from the host.
func (c *compose) orders(hosts map[string][]hinder) map[string]string {
	orders := map[string]string{}
	if c.UpdateOrder == stopFirst {
		return orders
	}
	hinders := c.project.Shape.hinders()
	for name, service := range object(c.project.Shape["services"]) {
		declared := declaredOrder(object(service))
		switch {
		case declared == stopFirst:
			orders[name] = stopFirst + ": its files say so"
			continue
		case c.UpdateOrder != startFirst && declared != startFirst:
			continue
		}
		orders[name] = startFirst
		first := hinder{rank: 2 * softHinder}
		for _, h := range slices.Concat(hosts[name], hinders[name]) {
			if h.rank < first.rank && (h.rank < softHinder || declared != startFirst) {
				first = h
				orders[name] = stopFirst + ": " + h.why
			}
		}
	}
	return orders
}

// order notes in which order services are updated.
func (c *compose) order(l composeServices, obs steps.Observation, files, networks bool) {
	orders := map[string]string{}
	if files && c.project != nil {
		hosts := map[string][]hinder{}
		for _, line := range obs.All("hinders") {
			name, rest, _ := strings.Cut(line, " ")
			var h hinder
			rank, why, _ := strings.Cut(rest, " ")
			if _, err := fmt.Sscan(rank, &h.rank); err == nil {
				h.why = why
				hosts[name] = append(hosts[name], h)
			}
		}
		orders = c.orders(hosts)
	} else {
		for _, line := range obs.All("order") {
			name, order, _ := strings.Cut(line, " ")
			if why, is := strings.CutPrefix(order, stopFirst+" "); is {
				order = stopFirst + ": " + why
			}
			orders[name] = order
		}
	}
	for _, s := range l {
		s.order = orders[s.name]
		if networks && s.order == startFirst {
			s.order = stopFirst + ": a network is recreated"
		}
	}
}

// replaced tells whether a service gets other containers by what a plan says becomes of it.
func (s *composeService) replaced(after string) bool {
	return after == "recreated" || after == "started anew" && s.order == startFirst || strings.HasSuffix(after, "recreated if the image differs") ||
		after != "" && after == s.perhaps
}

// ordered is what a plan says becomes of a service, with the order of its update.
func (s *composeService) ordered(after string) string {
	if s.order == "" || !s.replaced(after) {
		return after
	}
	return after + ", " + s.order
}

// hinders lists for each service why its containers cannot stand beside each other.
func (s composeShape) hinders() map[string][]hinder {
	list := map[string][]hinder{}
	services := object(s["services"])
	for _, name := range slices.Sorted(maps.Keys(services)) {
		service := object(services[name])
		add := func(rank int, why string) { list[name] = append(list[name], hinder{rank, why}) }
		for field, value := range service {
			if _, unknown := value.(unknownValue); unknown && slices.Contains(orderFields, field) {
				add(9, "its "+field+" is known on the host alone")
			}
		}
		if service["restart"] == "no" {
			add(10, "runs to its end")
		}
		for other, how := range object(service["depends_on"]) {
			if object(how)["condition"] == "service_completed_successfully" {
				list[other] = append(list[other], hinder{10, "runs to its end"})
			}
		}
		if service["container_name"] != nil {
			add(11, "has a container_name")
		}
		ports, _ := service["ports"].([]any)
		for _, port := range ports {
			published := object(port)["published"]
			switch number := plainText(published); {
			case published == nil || published == "" || number == "0":
			case number == "":
				add(12, "publishes a port")
			default:
				add(12, "publishes port "+number)
			}
		}
		mode := plainText(service["network_mode"])
		if mode == "host" || strings.HasPrefix(mode, "service:") || strings.HasPrefix(mode, "container:") {
			add(13, "has network_mode "+mode)
		}
		fixed := service["mac_address"] != nil
		for _, network := range object(service["networks"]) {
			n := object(network)
			fixed = fixed || n["ipv4_address"] != nil || n["ipv6_address"] != nil || n["mac_address"] != nil || n["link_local_ips"] != nil
		}
		if fixed {
			add(14, "has a fixed address")
		}
		for _, other := range sharedBy(service) {
			add(15, "uses what is of "+other)
			list[other] = append(list[other], hinder{16, name + " uses what is of it"})
		}
		links, _ := service["links"].([]any)
		for _, link := range links {
			other, _, _ := strings.Cut(plainText(link), ":")
			list[other] = append(list[other], hinder{17, name + " links to it"})
		}
		if service["pre_stop"] != nil {
			add(19, "has pre_stop, which compose alone runs")
		}
		volumes, _ := service["volumes"].([]any)
		for _, volume := range volumes {
			v := object(volume)
			switch kind := v["type"]; {
			case kind == "volume" && v["source"] == nil:
				add(18, "keeps an anonymous volume")
			case kind == "tmpfs" || kind == "image" || v["read_only"] == true:
			default:
				add(softHinder, "may write to "+plainText(v["target"]))
			}
		}
		if devices, _ := service["devices"].([]any); len(devices) > 0 {
			add(softHinder+1, "uses devices")
		}
	}
	return list
}

// orderFields are those of a service on which it hangs whether its containers can stand beside each other.
var orderFields = []string{
	"container_name", "depends_on", "devices", "ipc", "links", "mac_address", "network_mode", "networks", "pid", "ports", "pre_stop", "restart",
	"volumes", "volumes_from",
}

// sharedBy lists the services whose network, processes or volumes a service uses.
func sharedBy(service map[string]any) []string {
	var list []string
	for _, field := range []string{"network_mode", "ipc", "pid"} {
		if other, is := strings.CutPrefix(plainText(service[field]), "service:"); is {
			list = append(list, other)
		}
	}
	from, _ := service["volumes_from"].([]any)
	for _, v := range from {
		if text := plainText(v); !strings.HasPrefix(text, "container:") {
			other, _, _ := strings.Cut(text, ":")
			list = append(list, other)
		}
	}
	return list
}
