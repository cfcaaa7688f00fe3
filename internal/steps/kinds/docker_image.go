package kinds

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

var dockerImageKind = &steps.Kind{
	Name: "docker_image",
	Doc: `An image in the Docker engine of the host: loaded from a local archive, pulled, or removed.

load is an archive that docker save wrote on this machine, plain or compressed with gzip: no registry is needed.
Which image it holds is read from the archive; it travels only if the host has another image under that name, or
none. With name the image is tagged so as well.

pull fetches the image from its registry if the host does not have one of that name. A tag that moved on in
the registry is not noticed: name a digest (app@sha256:…), or another tag for every version.

state = "absent" removes the name, and the image with it if it has no other name and no container uses it.`,
	Example: `step "package" "docker" {
  name = "docker.io"
}

step "docker_image" "old" {
  name  = "demo:old"
  state = "absent"
}
`,
	Outputs: []steps.Output{
		{Name: "id", Type: cty.String, Doc: "The id of the image; null if there is none."},
	},
	Rules: []steps.Rule{
		steps.AbsentTakes("name"),
		steps.OneOf("load is a local archive; pull = true asks the registry.", "load", "pull"),
	},
	New: func() (steps.Step, steps.Args) {
		s := &dockerImage{State: "present"}
		return s, steps.Args{
			imageNameArg("name", &s.Name, "Name of the image with its tag or digest. Without a tag, latest is meant.").With("that in the archive"),
			kit.FileArg("load", &s.Archive, "A local archive of docker save."),
			kit.BoolArg("pull", &s.Pull, "Fetch the image from its registry if it is not there."),
			kit.EnumArg("state", &s.State, "Whether the image is there.", "present", "absent"),
		}
	},
}

type dockerImage struct {
	Name, State string
	Archive     *steps.Local
	Pull        bool
	image       *imageArchive
}

var (
	_ steps.Asker     = (*dockerImage)(nil)
	_ steps.Loader    = (*dockerImage)(nil)
	_ steps.Outputter = (*dockerImage)(nil)
)

var imageName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._:/-]*[a-z0-9])?(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?(@sha256:[0-9a-f]{64})?$`)

func imageNameArg(name string, to *string, doc string) steps.Arg {
	return kit.ParsedArg(name, to, doc, func(s string) (string, error) {
		if !imageName.MatchString(s) {
			return "", fmt.Errorf("%q is no name of an image: write it as \"app:1.2\" or \"registry.example.org/app:1.2\"", s)
		}
		return withTag(s), nil
	})
}

// withTag is the name of an image as Docker lists it.
func withTag(name string) string {
	if strings.Contains(name, "@") || strings.Contains(path.Base(name), ":") {
		return name
	}
	return name + ":latest"
}

// Load implements steps.Loader.
func (s *dockerImage) Load(d *steps.Disk) []steps.Problem {
	if s.Archive == nil {
		return nil
	}
	image, err := readImage(d, s.Archive.Path)
	if err != nil {
		return []steps.Problem{{Arg: "load", Summary: "the archive cannot be used", Detail: err.Error() + "."}}
	}
	s.image = image
	return nil
}

// title is the name that the step looks at.
func (s *dockerImage) title() string {
	if s.Name == "" && s.image != nil && len(s.image.Tags) > 0 {
		return s.image.Tags[0]
	}
	return s.Name
}

func (s *dockerImage) Validate() []steps.Problem {
	var problems []steps.Problem
	if s.Name == "" && s.Archive == nil {
		problems = append(problems, steps.Problem{Arg: "name", Summary: "a name is required", Detail: "Only an archive brings one along."})
	}
	if s.image != nil && s.title() == "" {
		problems = append(problems, steps.Problem{Arg: "name", Summary: "the image in the archive has no name", Detail: "Set name, or save it by its name."})
	}
	if s.image != nil && strings.Contains(s.Name, "@") {
		problems = append(problems, steps.Problem{Arg: "name", Summary: "a loaded image cannot be named by a digest", Detail: "Give it a tag."})
	}
	return problems
}

// dockerProbe is sh that ends a probe with what is missing: the command, or the engine behind it.
const dockerProbe = `have docker || { need command docker; exit 0; }
docker_ask() {
	docker_out=$(docker "$@" 2>&1) && return 0
	case $docker_out in
	*'annot connect to the Docker daemon'* | *'docker daemon running'* | *'docker.sock: connect: no such file'*)
		need running 'Docker engine'
		exit 0
		;;
	esac
	return 1
}
`

// dockerRuns is sh that ends a probe if there is no engine to ask; after dockerProbe.
const dockerRuns = "docker_ask version --format '{{.Server.Version}}' || fail \"docker: $docker_out\"\n"

// dockerAsks is what an answer of the Docker engine hangs on.
func dockerAsks(f *steps.Facts) []steps.Thing {
	return []steps.Thing{{Kind: steps.RunningThing, Name: "Docker engine"}, {Kind: steps.UserThing, Name: f.User}, {Kind: steps.GroupThing, Name: "docker"}}
}

// Asks implements steps.Asker.
func (s *dockerImage) Asks(f *steps.Facts) []steps.Thing { return dockerAsks(f) }

func (s *dockerImage) Probe() string {
	return dockerProbe + fmt.Sprintf(`if docker_ask image inspect --format '{{.Id}}' %s; then
	say id "$docker_out"
else
	case $docker_out in
	*'o such image'*) say id none ;;
	*) fail "docker image inspect: $docker_out" ;;
	esac
fi
`, shell.Quote(s.title()))
}

func (s *dockerImage) Plan(_ *steps.Facts, obs steps.Observation) (steps.Change, error) {
	lacking := len(obs.Needs()) > 0
	id, seen := obs.Get("id")
	if !lacking && !seen {
		return steps.Change{}, errors.New("the host did not say which image it has; is docker there a command of its own?")
	}
	if s.State == "absent" {
		if lacking || id == "none" {
			return steps.Change{Action: steps.NoOp}, nil
		}
		return steps.Change{
			Action: steps.Delete, Diff: []steps.Attr{{Name: "image", Before: shortID(id), AfterMissing: true}},
			Ops:     []steps.Op{steps.Run{Script: "docker image rm -- " + shell.Quote(s.title()) + "\n"}},
			Dangers: []string{"removes the image " + s.title()},
		}, nil
	}
	if seen && id != "none" && (s.Pull || slices.Contains(s.image.IDs, id)) {
		return steps.Change{Action: steps.NoOp}, nil
	}
	change := steps.Change{Action: steps.Create, Ops: s.ops()}
	attr := steps.Attr{Name: "image", BeforeMissing: true, After: s.title()}
	if seen && id != "none" {
		change.Action = steps.Update
		attr.Before, attr.BeforeMissing = shortID(id), false
	}
	if s.image != nil {
		attr.After = shortID(s.image.IDs[0])
		change.Reason = fmt.Sprintf("from %s, %s", path.Base(s.Archive.Path), size(s.Archive.Size))
	}
	change.Diff = []steps.Attr{attr}
	if lacking {
		change.Needs = obs.Needs()
		change.Predict = []steps.Observation{steps.Observe("id none")}
	}
	return change, nil
}

// shortID is the id of an image as docker images shows it.
func shortID(id string) string {
	if id = strings.TrimPrefix(id, "sha256:"); len(id) > 12 {
		return id[:12]
	}
	return id
}

func (s *dockerImage) ops() []steps.Op {
	if s.Pull {
		return []steps.Op{steps.Run{Script: "docker pull -- " + shell.Quote(s.title()) + "\n"}}
	}
	// By its id, since the archive may know it by another name, or by none.
	tag := fmt.Sprintf("docker tag %s %s 2>/dev/null", s.image.IDs[0], shell.Quote(s.title()))
	for _, id := range s.image.IDs[1:] {
		tag += fmt.Sprintf(" || docker tag %s %s", id, shell.Quote(s.title()))
	}
	script := "docker load || exit 1\n" + tag + " || fail 'the image was loaded, but could not be named'\n"
	return []steps.Op{steps.Run{Script: script, Stdin: &steps.Content{Local: s.Archive}}}
}

// Outputs implements steps.Outputter.
func (s *dockerImage) Outputs(_ *steps.Facts, obs steps.Observation, _ steps.Result) map[string]cty.Value {
	id, seen := obs.Get("id")
	if !seen || id == "none" {
		return nil
	}
	return map[string]cty.Value{"id": cty.StringVal(id)}
}
