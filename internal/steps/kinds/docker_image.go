package kinds

import (
	_ "embed"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed docker_image.sh
var dockerImageScriptSource string

var dockerImageKind = &steps.Kind{
	Name: "docker_image",
	Doc: `An image in the Docker engine of the host: loaded from a local archive, pulled, or removed.

load is a local archive of docker save, podman save or skopeo, plain or compressed with gzip: no registry is needed.
Which image it holds is read from the archive. It travels only if the host lacks that image, or has another one
under the name; with name the image is tagged so as well. Without name all names in the archive are looked after.
podman names its images localhost/…, which is another name than the one without.

Two images are the same if their layers, their configuration and their time of creation are. Their ids say nothing: an
engine with containerd's image store has another id for each form of archive. What docker load says is not believed
either: an image counts as loaded if the engine has its layers.

An archive of the OCI layout alone (podman save --format oci-archive, skopeo copy … oci-archive:) is loaded by engines
with containerd's image store only; elsewhere the plan is an error. So is an image for another platform than the host's,
unless platform names it. Of an archive for several platforms the host's counts.

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
			kit.FileArg("load", &s.Archive, "A local archive of the image."),
			platformArg("platform", &s.Platform, "The platform of the image in the archive, where the host emulates another than its own: \"linux/arm64\".").With("that of the host"),
			kit.BoolArg("pull", &s.Pull, "Fetch the image from its registry if it is not there."),
			kit.EnumArg("state", &s.State, "Whether the image is there.", "present", "absent"),
		}
	},
}

type dockerImage struct {
	Name, State string
	Archive     *steps.Local
	Pull        bool
	Platform    *imagePlatform
	image       *imageArchive
}

var (
	_ steps.Asker     = (*dockerImage)(nil)
	_ steps.Bringer   = (*dockerImage)(nil)
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

func platformArg(name string, to **imagePlatform, doc string) steps.Arg {
	return kit.OptionalArg(name, to, doc, func(s string) (imagePlatform, error) {
		p, ok := parsePlatform(s)
		if !ok {
			return p, fmt.Errorf("%q is no platform: write it as \"linux/arm64\" or \"linux/arm/v7\"", s)
		}
		return p, nil
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

// titles are the names that the step looks after.
func (s *dockerImage) titles() []string {
	switch {
	case s.Name != "":
		return []string{s.Name}
	case s.image != nil:
		return s.image.Tags
	}
	return nil
}

func (s *dockerImage) Validate() []steps.Problem {
	var problems []steps.Problem
	if s.Name == "" && s.Archive == nil {
		problems = append(problems, steps.Problem{Arg: "name", Summary: "a name is required", Detail: "Only an archive brings one along."})
	}
	if s.image != nil && len(s.titles()) == 0 {
		problems = append(problems, steps.Problem{Arg: "name", Summary: "the image in the archive has no name", Detail: "Set name, or save it by its name."})
	}
	if s.Platform != nil && s.Archive == nil {
		problems = append(problems, steps.Problem{Arg: "platform", Summary: "platform belongs to load", Detail: "A registry gives the host the image of its platform."})
	}
	if s.image != nil && strings.Contains(s.Name, "@") {
		problems = append(problems, steps.Problem{Arg: "name", Summary: "a loaded image cannot be named by a digest", Detail: "Give it a tag."})
	}
	return problems
}

var errNoImageSaid = errors.New("the host did not say which image it has; is docker there a command of its own?")

// dockerProbe is sh that ends a probe with what is missing: the command, or the engine behind it.
const dockerProbe = `have docker || { need command docker; exit 0; }
docker_ask() {
	docker_out=$(docker "$@" 2>/dev/null) && return 0
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
const dockerRuns = `docker_ask version --format '{{.Server.Version}}' || case $docker_out in
*'client version '*' is too '*) fail "the Docker engine refuses the docker command, since one is too old for the other: $docker_out; install a docker command of the age of the engine" ;;
*) fail "docker: $docker_out" ;;
esac
`

// dockerAsks is what an answer of the Docker engine hangs on.
func dockerAsks(f *steps.Facts) []steps.Thing {
	return []steps.Thing{{Kind: steps.RunningThing, Name: "Docker engine"}, {Kind: steps.UserThing, Name: f.User}, {Kind: steps.GroupThing, Name: "docker"}}
}

// Brings implements steps.Bringer.
func (s *dockerImage) Brings(change steps.Change) steps.Supply {
	var names []string
	for _, title := range s.titles() {
		names = append(names, "image "+title)
	}
	return dockerSupply(steps.OwnThing, s.State, change, names...)
}

// Asks implements steps.Asker.
func (s *dockerImage) Asks(f *steps.Facts) []steps.Thing { return dockerAsks(f) }

func (s *dockerImage) Probe() string {
	if s.image != nil {
		return s.probeLoad()
	}
	return dockerProbe + fmt.Sprintf(`if docker_ask image inspect --format '{{.Id}}' -- %s; then
	say id "$docker_out"
else
	case $docker_out in
	*'o such image'*) say id none ;;
	*) fail "docker image inspect: $docker_out" ;;
	esac
fi
`, shell.Quote(s.Name))
}

func (s *dockerImage) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	if s.image != nil {
		return s.planLoad(f, obs)
	}
	lacking := len(obs.Needs()) > 0
	id, seen := obs.Get("id")
	if !lacking && !seen {
		return steps.Change{}, errNoImageSaid
	}
	if s.State == "absent" {
		if dockerDown(obs) {
			return steps.Change{Action: steps.Unknown, Needs: obs.Needs(), Predict: []steps.Observation{steps.Observe("id none")}}, nil
		}
		if lacking || id == "none" {
			return steps.Change{Action: steps.NoOp}, nil
		}
		return steps.Change{
			Action: steps.Delete, Diff: []steps.Attr{{Name: "image", Before: shortID(id), AfterMissing: true}},
			Ops:     []steps.Op{steps.Run{Script: "docker image rm -- " + shell.Quote(s.Name) + "\n"}},
			Dangers: []string{"removes the image " + s.Name},
		}, nil
	}
	if seen && id != "none" {
		return steps.Change{Action: steps.NoOp}, nil
	}
	change := steps.Change{
		Action: steps.Create, Diff: []steps.Attr{{Name: "image", BeforeMissing: true, After: s.Name}},
		Ops: []steps.Op{steps.Run{Script: "docker pull -- " + shell.Quote(s.Name) + "\n"}},
	}
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

// Outputs implements steps.Outputter.
func (s *dockerImage) Outputs(_ *steps.Facts, obs steps.Observation, _ steps.Result) map[string]cty.Value {
	id, seen := obs.Get("id")
	if !seen || id == "none" {
		return nil
	}
	return map[string]cty.Value{"id": cty.StringVal(id)}
}
