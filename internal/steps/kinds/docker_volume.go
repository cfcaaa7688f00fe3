package kinds

import (
	"errors"
	"fmt"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var dockerVolumeKind = &steps.Kind{
	Name: "docker_volume",
	Doc: `A volume of the Docker engine, or its absence.

Docker cannot change a volume. One that has another driver, or other values of the options and labels
that are named here, is an error: the step never removes data to make room. Options and labels
that are not named are not looked at.

With state = "absent" the volume goes with all that is in it. A volume that a container uses, running
or not, is an error that names the container.`,
	Example: `step "package" "docker" {
  name = "docker.io"
}

step "docker_volume" "data" {
  name   = "demo-data"
  labels = { purpose = "demo" }
}
`,
	Rules: []steps.Rule{steps.AbsentTakes("name")},
	New: func() (steps.Step, steps.Args) {
		s := &dockerVolume{State: "present", Driver: "local"}
		return s, steps.Args{
			dockerNameArg("name", &s.Name, "Name of the volume.").Must(),
			dockerNameArg("driver", &s.Driver, "Its driver.").With("local"),
			dockerMapArg("options", &s.Options, "Options of the driver, such as type, device and o of the driver local."),
			dockerMapArg("labels", &s.Labels, "Its labels."),
			kit.EnumArg("state", &s.State, "Whether the volume is there.", "present", "absent"),
		}
	},
}

type dockerVolume struct {
	Name, Driver, State string
	Options, Labels     map[string]string
}

var (
	_ steps.Asker   = (*dockerVolume)(nil)
	_ steps.Bringer = (*dockerVolume)(nil)
)

func (s *dockerVolume) Validate() []steps.Problem { return nil }

// Brings implements steps.Bringer.
func (s *dockerVolume) Brings(change steps.Change) steps.Supply {
	return dockerSupply(steps.VolumeThing, s.State, change, s.Name)
}

// Asks implements steps.Asker.
func (s *dockerVolume) Asks(f *steps.Facts) []steps.Thing { return dockerAsks(f) }

func (s *dockerVolume) Probe() string {
	users := ""
	if s.State == "absent" {
		users = dockerUsers("volume=" + s.Name)
	}
	return dockerProbe + fmt.Sprintf(`if docker_ask volume inspect --format 'driver {{.Driver}}
options {{json .Options}}
labels {{json .Labels}}' %s; then
	say volume yes
	printf '%%s\n' "$docker_out"
%selse
	case $docker_out in
	*'o such volume'*) say volume no ;;
	*) fail "docker volume inspect: $docker_out" ;;
	esac
fi
`, shell.Quote(s.Name), users)
}

func (s *dockerVolume) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	lacking := len(obs.Needs()) > 0
	volume, seen := obs.Get("volume")
	switch {
	case !lacking && !seen:
		return steps.Change{}, errors.New("the host did not say which volumes it has; is docker there a command of its own?")
	case s.State == "absent" && dockerDown(obs):
		return steps.Change{Action: steps.Unknown, Needs: obs.Needs(), Predict: []steps.Observation{steps.Observe("volume no")}}, nil
	case s.State == "absent" && volume != "yes":
		return steps.Change{Action: steps.NoOp}, nil
	case s.State == "absent":
		if users := obs.All("user"); len(users) > 0 {
			return steps.Change{}, fmt.Errorf("the volume %s is used by %s; remove that first", s.Name, strings.Join(users, ", "))
		}
		return steps.Change{
			Action: steps.Delete, Diff: []steps.Attr{{Name: "volume", Before: s.Name, AfterMissing: true}},
			Ops:     []steps.Op{steps.Run{Script: "docker volume rm -- " + shell.Quote(s.Name) + "\n"}},
			Dangers: []string{"removes the volume " + s.Name + " with all that is in it"},
		}, nil
	case volume == "yes":
		change := steps.Change{Action: steps.NoOp}
		driver, _ := obs.Get("driver")
		change.Compare("driver", driver, s.Driver)
		options, _ := obs.Get("options")
		labels, _ := obs.Get("labels")
		if err := errors.Join(compareDocker(&change, "option", s.Options, options), compareDocker(&change, "label", s.Labels, labels)); err != nil {
			return steps.Change{}, err
		}
		if len(change.Diff) > 0 {
			return steps.Change{}, fmt.Errorf("the volume %s is there, but %s; Docker cannot change a volume: save its data, remove it, and apply again", s.Name, dockerDifferences(change.Diff))
		}
		return change, nil
	}
	words := append([]string{"docker", "volume", "create", "--driver", s.Driver}, dockerFlags("--opt", s.Options)...)
	words = append(words, dockerFlags("--label", s.Labels)...)
	change := steps.Change{Action: steps.Create, Diff: []steps.Attr{{Name: "volume", BeforeMissing: true, After: s.Name}}}
	change.Compare("driver", "", s.Driver)
	_, _ = compareDocker(&change, "option", s.Options, ""), compareDocker(&change, "label", s.Labels, "")
	change.Ops = []steps.Op{steps.Run{Script: shell.Words(append(words, "--", s.Name)...) + " >/dev/null\n"}}
	if lacking {
		change.Needs = obs.Needs()
		change.Predict = []steps.Observation{steps.Observe("volume no")}
	}
	return change, nil
}
