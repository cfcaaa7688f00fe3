package kinds

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var dockerNetworkKind = &steps.Kind{
	Name: "docker_network",
	Doc: `A network of the Docker engine, or its absence.

Docker cannot change a network. One that differs is removed and made anew if no container uses it, running or not;
otherwise it is an error that names the containers. What is left out here is not looked at, and neither are
options and labels that are not named.

With state = "absent" the network goes; one that a container uses is an error. The networks that Docker makes
itself (bridge, host, none) are left alone. compose makes the networks of its projects.`,
	Example: `step "package" "docker" {
  name = "docker.io"
}

step "docker_network" "inside" {
  name     = "demo-inside"
  subnet   = "10.231.7.0/24"
  internal = true
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("name")},
	New: func() (steps.Step, steps.Args) {
		s := &dockerNetwork{State: "present", Driver: "bridge"}
		return s, steps.Args{
			dockerNameArg("name", &s.Name, "Name of the network.").Must(),
			dockerNameArg("driver", &s.Driver, "Its driver.").With("bridge"),
			kit.OptionalArg("subnet", &s.Subnet, "Its addresses, such as 10.231.7.0/24.", parseSubnet),
			kit.OptionalArg("gateway", &s.Gateway, "The address of the host in it.", parseGateway),
			kit.OptBoolArg("internal", &s.Internal, "Whether it has no way out."),
			kit.OptBoolArg("attachable", &s.Attachable, "Whether containers that no swarm service has started may join (driver overlay)."),
			dockerMapArg("options", &s.Options, "Options of the driver."),
			dockerMapArg("labels", &s.Labels, "Its labels."),
			kit.EnumArg("state", &s.State, "Whether the network is there.", "present", "absent"),
		}
	},
}

type dockerNetwork struct {
	Name, Driver, State  string
	Subnet               *netip.Prefix
	Gateway              *netip.Addr
	Internal, Attachable *bool
	Options, Labels      map[string]string
}

var (
	_ steps.Asker   = (*dockerNetwork)(nil)
	_ steps.Bringer = (*dockerNetwork)(nil)
)

func parseSubnet(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is no range of addresses; write it like 10.231.7.0/24", s)
	case p != p.Masked():
		return p, fmt.Errorf("%s has bits behind its prefix; write %s", s, p.Masked())
	}
	return p, nil
}

func parseGateway(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, fmt.Errorf("%q is no address; write it like 10.231.7.1", s)
	}
	return a, nil
}

func (s *dockerNetwork) Validate() []steps.Problem {
	var problems []steps.Problem
	add := func(arg, summary, detail string) {
		problems = append(problems, steps.Problem{Arg: arg, Summary: summary, Detail: detail})
	}
	if slices.Contains([]string{"bridge", "host", "none", "default"}, s.Name) {
		add("name", s.Name+" is a network of Docker itself", "Choose another name.")
	}
	if s.Gateway != nil {
		switch {
		case s.Subnet == nil:
			add("gateway", "a gateway needs its subnet", "Set subnet, or leave gateway out.")
		case !s.Subnet.Contains(*s.Gateway):
			add("gateway", fmt.Sprintf("%s is not in %s", s.Gateway, s.Subnet), "Correct one of them.")
		}
	}
	return problems
}

// Brings implements steps.Bringer.
func (s *dockerNetwork) Brings(change steps.Change) steps.Supply {
	return dockerSupply(steps.NetworkThing, s.State, change, s.Name)
}

// Asks implements steps.Asker.
func (s *dockerNetwork) Asks(f *steps.Facts) []steps.Thing { return dockerAsks(f) }

// Probe asks for the name again: Docker takes what is no name for the beginning of an id.
func (s *dockerNetwork) Probe() string {
	return dockerProbe + fmt.Sprintf(`if docker_ask network inspect --format '{{.Name}}
driver {{.Driver}}
internal {{.Internal}}
attachable {{.Attachable}}
addresses {{json .IPAM.Config}}
options {{json .Options}}
labels {{json .Labels}}' %[1]s; then
	if [ "${docker_out%%%%"$NL"*}" = %[1]s ]; then
		say network yes
		printf '%%s\n' "${docker_out#*"$NL"}"
%[2]s	else
		say network no
	fi
else
	case $docker_out in
	*'o such network'* | *'not found'*) say network no ;;
	*) fail "docker network inspect: $docker_out" ;;
	esac
fi
`, shell.Quote(s.Name), dockerUsers("network="+s.Name))
}

// compare adds what differs from what Docker has.
func (s *dockerNetwork) compare(change *steps.Change, obs steps.Observation) error {
	get := func(key string) string { v, _ := obs.Get(key); return v }
	change.Compare("driver", get("driver"), s.Driver)
	var config []struct{ Subnet, Gateway string }
	if text := get("addresses"); text != "" {
		if err := json.Unmarshal([]byte(text), &config); err != nil {
			return fmt.Errorf("docker says addresses that cannot be read: %w", err)
		}
	}
	var subnets, gateways []string
	for _, c := range config {
		if p, err := netip.ParsePrefix(c.Subnet); err == nil {
			subnets = append(subnets, p.Masked().String())
		}
		if a, err := netip.ParseAddr(c.Gateway); err == nil {
			gateways = append(gateways, a.String())
		}
	}
	if s.Subnet != nil && !slices.Contains(subnets, s.Subnet.String()) {
		change.Compare("subnet", strings.Join(subnets, ", "), s.Subnet.String())
	}
	if s.Gateway != nil && !slices.Contains(gateways, s.Gateway.String()) {
		change.Compare("gateway", strings.Join(gateways, ", "), s.Gateway.String())
	}
	for _, flag := range []struct {
		name   string
		wanted *bool
	}{{"internal", s.Internal}, {"attachable", s.Attachable}} {
		if flag.wanted != nil {
			change.Compare(flag.name, get(flag.name), fmt.Sprint(*flag.wanted))
		}
	}
	return errors.Join(compareDocker(change, "option", s.Options, get("options")), compareDocker(change, "label", s.Labels, get("labels")))
}

func (s *dockerNetwork) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	lacking := len(obs.Needs()) > 0
	network, seen := obs.Get("network")
	users := strings.Join(obs.All("user"), ", ")
	remove := "docker network rm -- " + shell.Quote(s.Name)
	switch {
	case !lacking && !seen:
		return steps.Change{}, errors.New("the host did not say which networks it has; is docker there a command of its own?")
	case s.State == "absent" && dockerDown(obs):
		return steps.Change{Action: steps.Unknown, Needs: obs.Needs(), Predict: []steps.Observation{steps.Observe("network no")}}, nil
	case s.State == "absent" && network != "yes":
		return steps.Change{Action: steps.NoOp}, nil
	case s.State == "absent" && users != "":
		return steps.Change{}, fmt.Errorf("the network %s is used by %s; remove that first", s.Name, users)
	case s.State == "absent":
		return steps.Change{
			Action: steps.Delete, Diff: []steps.Attr{{Name: "network", Before: s.Name, AfterMissing: true}},
			Ops:     []steps.Op{steps.Run{Script: remove + "\n"}},
			Dangers: []string{"removes the network " + s.Name},
		}, nil
	}
	change := steps.Change{Action: steps.NoOp}
	if network != "yes" {
		change = steps.Change{Action: steps.Create, Diff: []steps.Attr{{Name: "network", BeforeMissing: true, After: s.Name}}}
	}
	if err := s.compare(&change, obs); err != nil {
		return steps.Change{}, err
	}
	if len(change.Diff) == 0 {
		return change, nil
	}
	script := shell.Words(s.create()...) + " >/dev/null\n"
	if network == "yes" {
		if users != "" {
			return steps.Change{}, fmt.Errorf("the network %s is there, but %s; Docker cannot change it, and it is used by %s: remove that first", s.Name, dockerDifferences(change.Diff), users)
		}
		change.Action = steps.Update
		change.Dangers = []string{"removes the network " + s.Name + " and makes it anew"}
		script = remove + " >/dev/null && " + script
	}
	change.Ops = []steps.Op{steps.Run{Script: script}}
	if lacking {
		change.Needs = obs.Needs()
		change.Predict = []steps.Observation{steps.Observe("network no")}
	}
	return change, nil
}

// create is the command that makes the network.
func (s *dockerNetwork) create() []string {
	words := []string{"docker", "network", "create", "--driver", s.Driver}
	if s.Subnet != nil {
		if words = append(words, "--subnet", s.Subnet.String()); s.Subnet.Addr().Is6() {
			words = append(words, "--ipv6")
		}
	}
	if s.Gateway != nil {
		words = append(words, "--gateway", s.Gateway.String())
	}
	if s.Internal != nil && *s.Internal {
		words = append(words, "--internal")
	}
	if s.Attachable != nil && *s.Attachable {
		words = append(words, "--attachable")
	}
	words = append(words, dockerFlags("--opt", s.Options)...)
	words = append(words, dockerFlags("--label", s.Labels)...)
	return append(words, "--", s.Name)
}
