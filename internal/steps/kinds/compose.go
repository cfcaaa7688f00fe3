package kinds

import (
	_ "embed"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/moby/patternmatcher/ignorefile"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed compose.sh
var composeScriptSource string

var composeKind = &steps.Kind{
	Name: "compose",
	Doc: `A Docker Compose project: its files, its images, its services up and healthy.

source is a local project directory. It is copied to dir as the kind sync does, leaving out what its .dockerignore
names, save for what the project itself needs: compose files and those that they include or extend, Dockerfiles, files of
environments, labels and secrets, what is mounted. In a directory that an image is built from, its own .dockerignore counts. Its
compose files are checked before anything is connected to: keys that compose does not know, services that do not
exist, values of the wrong type. Without source the project is in dir already. An environment file that neither the
project nor the host has must be made by an earlier step of the kind env_file.

Secrets in source travel with the mode 0600 and are never shown: what the project names as env_file or as the file of
a secret, and by their names .env, .env.*, *.env and what is in .envs, save for those that end in .example, .sample,
.template or .dist. A container whose user is not the owner cannot read such a file where it is mounted: leave it out of
source, and bring it by a step of the kind file that gives its owner.

A file that source no longer has is removed from dir if an earlier run sent it and nobody changed it there since. What
the step did not send, what .dockerignore names and what the project needs stays. A file in the way of a directory is
replaced, an empty directory in the way of a file too; one with files of others in it is an error.

A plan compares, service by service, the configuration, the image and the number of containers with what runs, and looks whether it
runs and is healthy. What a project was brought up with is noted on the host, in salted sums: a service whose configuration is still
the same is left alone, whatever hash this compose makes of it. The sums cover what that hash leaves out too: secrets and configurations
from variables or texts, and files that are mounted; where a container may write, those that the step sent. compose's own --dry-run is not
used: it has been seen to change containers.

A new release is compared field by field with the one that was brought up last: the plan names each field, with both values unless they
are secret, the services that get new containers for it, and what becomes of networks and volumes. An external network or
volume that is not there stops it, and so does a port that another container or process has.

If something differs, images are built (build) or pulled (pull), and the project is brought up. Then the step
waits until every service is healthy, or without a health check has run steadily for some seconds. A service that fails fails the
step, with the last lines of its log. With rollback, the files and images from before are then put back and brought up; it is
a failure all the same. Volumes are never touched, unless volumes is set when state is absent.

Services are updated stop-first: the old containers go before the new ones start. With update_order = "start-first", or where the
files say deploy.update_config.order: start-first, the new containers start beside the old ones. When they have been healthy for the time
of monitor, or have run where there is no health check, the old ones are stopped, as slowly as stop_grace_period allows, and
removed. If they are not, the new ones are removed, the old ones serve on, and the step fails. A service whose containers cannot stand
beside each other stays stop-first: it publishes a port of the host, has a container_name, a fixed address or an anonymous volume, runs to its
end, or shares what is another service's. So does one that may write to a volume or a directory of the host, unless its files say
start-first. The plan tells the order and the reason. What stands before the service must find the new containers by itself:
they have other addresses.

What breaks off is noted on the host: the next plan says what is owed, until it has succeeded.

A service that has ended with status 0 has done its work if it has restart: "no", if others wait for its end
(service_completed_successfully), or if it had ended when the project was last brought up. It is started again if it is to be restarted
always, publishes ports, had run for good, or was stopped by this step.

on_change = { update = [...] } brings the project up anew when one of those steps changed something, such as an
environment file: the services that use it are recreated.

Works with docker compose 2.7 and later, and with docker-compose 1.25 and later.`,
	Example: `step "package" "docker" {
  names = ["docker.io", "docker-compose"]
}

# A project of this machine, in place of one that is on the host already:
#
#   source   = "app"
#   files    = ["production.yml"]
#   rollback = true

step "compose" "demo" {
  dir   = "/srv/demo-compose"
  state = "absent"
}
`,
	New: func() (steps.Step, steps.Args) {
		c := &compose{State: "up", Build: true, Wait: 120, Monitor: 15, tree: remoteTree{}}
		args := steps.Args{
			kit.PathArg("dir", &c.Dir, "The project directory on the host.").Must(),
			kit.DirArg("source", &c.Source, "A local project directory, which is copied to dir."),
			relativePathsArg("files", &c.Files, "The compose files, relative to dir.").With("those that compose finds"),
			composeNameArg("project", &c.Project, "Name of the project.").With("that in the files, or the name of dir"),
			kit.StringArg("env_file", &c.EnvFile, "The file for variables in the compose files, relative to dir or absolute.").With(".env"),
			kit.BoolArg("build", &c.Build, "Build images that services describe."),
			kit.StringMapArg("build_args", &c.BuildArgs, "Arguments for building. They can be seen on the host."),
			kit.BoolArg("pull", &c.Pull, "Pull images that are not built."),
			kit.StringsArg("profiles", &c.Profiles, "Profiles to enable."),
			kit.EnumArg("state", &c.State, "up: running and healthy; stopped: containers stay, and do not run; absent: no containers and networks.", "up", "stopped", "absent"),
			kit.SecondsArg("wait", &c.Wait, "How long to wait until everything is healthy."),
			kit.EnumArg("update_order", &c.UpdateOrder, "Whether new containers start before the old ones stop: start-first where it can be, stop-first everywhere.", startFirst, stopFirst).With("what the files say in deploy.update_config.order"),
			kit.SecondsArg("monitor", &c.Monitor, "How long new containers must be healthy before the old ones stop, in an update start-first."),
			kit.BoolArg("rollback", &c.Rollback, "Bring the previous files and images back if the new ones fail."),
			kit.BoolArg("remove_orphans", &c.RemoveOrphans, "Remove containers of services that the files no longer name."),
			kit.BoolArg("volumes", &c.Volumes, "Remove the volumes too when state is absent: their data is lost."),
		}
		return c, append(args, c.tree.ownerArgs()...)
	},
}

type compose struct {
	Dir, Source, Project, EnvFile, State          string
	UpdateOrder                                   string
	Files, Profiles                               []string
	BuildArgs                                     map[string]string
	Build, Pull, Rollback, RemoveOrphans, Volumes bool
	Wait, Monitor                                 int
	tree                                          remoteTree
	project                                       *composeProject
	ignore                                        *composeIgnore
}

var (
	_ steps.Bringer  = (*compose)(nil)
	_ steps.Requirer = (*compose)(nil)
	_ steps.Asker    = (*compose)(nil)
	_ steps.Loader   = (*compose)(nil)
	_ steps.Handler  = (*compose)(nil)
)

func relativePathsArg(name string, to *[]string, doc string) steps.Arg {
	return kit.ListArg(name, to, doc, kit.PathWithin)
}

var (
	composeName  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)
	notInCompose = regexp.MustCompile(`[^a-z0-9_-]`)
)

func composeNameArg(name string, to *string, doc string) steps.Arg {
	return kit.ParsedArg(name, to, doc, func(s string) (string, error) {
		if !composeName.MatchString(s) {
			return "", fmt.Errorf("%q is no name of a project: lower-case letters, digits, _ and - are, a letter or digit first", s)
		}
		return s, nil
	})
}

// Load implements steps.Loader.
func (c *compose) Load(d *steps.Disk) []steps.Problem {
	if c.Source == "" {
		return nil
	}
	project, err := readProject(d, c.Source, c.Files, c.Profiles, c.EnvFile)
	if err != nil {
		return []steps.Problem{{Arg: "source", Summary: "the compose project is not valid", Detail: err.Error() + "."}}
	}
	c.project = project
	if project.OnHost != "" && c.Project == "" {
		return []steps.Problem{{Arg: "project", Summary: "the name of the project is known on the host alone", Detail: "The files make it from " + project.OnHost + ", which no file here sets: set project, or bring the file for variables along in source."}}
	}
	// What a run leaves beside a playbook that is in the project directory itself, and a name that is taken.
	patterns := []string{".provision", noteName}
	text, err := d.Text(path.Join(c.Source, ".dockerignore"))
	if err == nil {
		lines, err := ignorefile.ReadAll(strings.NewReader(text))
		if err != nil {
			return []steps.Problem{{Arg: "source", Summary: ".dockerignore cannot be read", Detail: err.Error() + "."}}
		}
		patterns = append(lines, patterns...)
	}
	if c.ignore, err = project.ignore(d, c.Source, patterns); err != nil {
		return []steps.Problem{{Arg: "source", Summary: "a file that says what a build leaves out cannot be read", Detail: err.Error() + "."}}
	}
	tree, err := kit.ReadTreeWithout(d, c.Source, c.ignore, project.Keep)
	if err != nil {
		return []steps.Problem{{Arg: "source", Summary: "the local directory cannot be copied", Detail: err.Error() + "."}}
	}
	if tree, err = withSecrets(d, tree, project.secret); err != nil {
		return []steps.Problem{{Arg: "source", Summary: "a secret cannot be read", Detail: err.Error() + "."}}
	}
	c.tree.Tree, c.tree.patterns, c.tree.dest, c.tree.noted = tree, patterns, c.Dir, sentPlace(c.Dir, c.title())
	return project.Warnings
}

func (c *compose) Validate() []steps.Problem {
	var problems []steps.Problem
	if kit.ProtectedPath(c.Dir) {
		problems = append(problems, steps.Problem{Arg: "dir", Summary: c.Dir + " is part of every system", Detail: "Name a directory of its own below it."})
	}
	if c.Volumes && c.State != "absent" {
		problems = append(problems, steps.Problem{Arg: "volumes", Summary: "volumes are removed only with the project", Detail: "Set state = \"absent\", or leave volumes out."})
	}
	if len(c.BuildArgs) > 0 && !c.Build {
		problems = append(problems, steps.Problem{Arg: "build_args", Summary: "nothing is built", Detail: "Leave build_args out, or set build = true."})
	}
	if c.Source == "" && (c.tree.owner != kit.Ownership{}) {
		problems = append(problems, steps.Problem{Arg: "owner", Summary: "owner and group are those of the files that are copied", Detail: "Set source, or leave them out."})
	}
	if c.State != "absent" && c.title() == "" {
		problems = append(problems, steps.Problem{Arg: "project", Summary: "the project needs a name", Detail: "The name of dir gives none."})
	}
	return problems
}

// title is the name of the project, as compose makes it.
func (c *compose) title() string {
	if c.Project != "" {
		return c.Project
	}
	if c.project != nil && c.project.Name != "" {
		return c.project.Name
	}
	return strings.TrimLeft(notInCompose.ReplaceAllString(strings.ToLower(path.Base(c.Dir)), ""), "_-")
}

// head is sh that sets what compose.sh needs.
func (c *compose) head() string {
	var files, options []string
	list := c.Files
	if c.project != nil {
		list = c.project.Files
	}
	for _, f := range list {
		files = append(files, "-f", f)
	}
	if c.EnvFile != "" {
		options = append(options, "--env-file", c.EnvFile)
	}
	for _, p := range c.Profiles {
		options = append(options, "--profile", p)
	}
	return shell.Strip(composeScriptSource) + fmt.Sprintf("project=%s dir=%s wait=%d\nupdate_order=%s monitor=%d\nfiles=%s\noptions=%s\n",
		shell.Quote(c.title()), shell.Quote(c.Dir), c.Wait, shell.Quote(c.UpdateOrder), c.Monitor, shell.Quote(shell.Words(files...)), shell.Quote(shell.Words(options...)))
}

func (c *compose) Probe() string {
	var b strings.Builder
	if c.State == "absent" {
		b.WriteString(dockerProbe + dockerRuns + c.head() + "all=$(compose_containers) || fail 'the containers could not be listed'\nif [ -z \"$all\" ]; then say containers no; exit 0; fi\nsay containers yes\n")
		words := []string{"compose_belongings"}
		if c.Volumes {
			words = append(words, "volumes")
		}
		b.WriteString("all=$(" + shell.Words(words...) + ") || fail 'what belongs to the project could not be listed'\nprintf '%s\\n' \"$all\" | sort -u\n")
		return b.String()
	}
	if c.Source != "" && c.tree.Tree != nil {
		b.WriteString(c.tree.setup() + c.tree.noted + "( sync_state && sync_sent ) || exit 1\n" + c.tree.owner.ProbeNames(false))
	}
	b.WriteString(c.probeEnv())
	b.WriteString(dockerProbe + dockerRuns + c.head() + c.place() + "compose_owed\n[ ! -e \"$sent.project\" ] || detail project \"$sent.project\"\n")
	if c.Build && c.State == "up" {
		b.WriteString("compose_building=yes\n")
		if c.project != nil && c.project.Shape.builds() {
			b.WriteString("compose_builds=yes\n")
		}
	}
	if wanted := c.outside(); wanted != "" {
		b.WriteString("compose_wanted=" + shell.Quote(wanted) + "\ncompose_all=$(compose_containers) || fail 'the containers could not be listed'\nprintf '%s\\n' \"$compose_wanted\" | compose_outside\n")
	}
	if c.State != "up" {
		b.WriteString("update_order=stop-first\n")
	} else if c.asksForOrder() {
		b.WriteString("compose_asks=yes\n")
	}
	b.WriteString("[ -d \"$dir\" ] || { say project absent" + c.needsDirectory() + "; exit 0; }\n")
	b.WriteString("compose_look\n")
	return b.String()
}

// place is sh that sets sent, beside which compose.sh keeps its notes.
func (c *compose) place() string {
	if c.tree.noted != "" {
		return c.tree.noted
	}
	return sentPlace(c.Dir, c.title())
}

// needsDirectory is sh for a project directory that only an earlier step can bring.
func (c *compose) needsDirectory() string {
	if c.Source != "" || c.State != "up" {
		return ""
	}
	return "; need directory \"$dir\""
}

// probeEnv is sh that reports environment files that are nowhere.
func (c *compose) probeEnv() string {
	var b strings.Builder
	if c.project == nil {
		return ""
	}
	local := map[string]bool{}
	for _, f := range c.tree.Files {
		local[f.Path] = true
	}
	for _, f := range c.project.Env {
		if local[f] {
			continue
		}
		if !path.IsAbs(f) {
			f = path.Join(c.Dir, f)
		}
		fmt.Fprintf(&b, "[ -e %[1]s ] || need file %[1]s\n", shell.Quote(f))
	}
	return b.String()
}
