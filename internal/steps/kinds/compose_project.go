package kinds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"provision/internal/steps"
)

// A composeProject is what the compose files of a local project say, as far as a step needs it.
type composeProject struct {
	Name   string   // as the files or their variables give it; "" if they do not
	OnHost string   // the variables on whose values, which the host alone knows, the name depends
	Files  []string // relative to the directory, as compose would take them
	Keep   []string // what must travel whatever .dockerignore says: compose files, Dockerfiles, files that are mounted
	Env    []string // environment files and secrets that must be there, relative to the directory

	// Secret are the environment files and the files of secrets, relative to the directory.
	Secret []string

	// Contexts are the directories that images are built from, with what their builds leave out.
	Contexts []composeContext

	// Shape is what the project says field by field.
	Shape composeShape

	// Mounts are the files and directories that services mount. A container keeps the file that it was started with,
	// whatever takes its name later.
	Mounts []composeMount

	// Warnings tell of environment files that are read otherwise than they look.
	Warnings []steps.Problem
}

type composeMount struct{ Service, Path string }

type projectKey string

// readProject reads the compose files of a local directory and reports what compose would refuse.
func readProject(d *steps.Disk, dir string, files, profiles []string, envFile string) (*composeProject, error) {
	return steps.Once(d, projectKey(fmt.Sprintf("%q %q %q %q", dir, files, profiles, envFile)), func(ctx context.Context) (*composeProject, error) {
		return loadProject(ctx, dir, files, profiles, envFile)
	})
}

func loadProject(ctx context.Context, dir string, files, profiles []string, envFile string) (*composeProject, error) {
	e, err := readComposeEnvironment(dir, files, envFile)
	if err != nil {
		return nil, err
	}
	if files, err = e.files(dir, files); err != nil {
		return nil, err
	}
	// What is relative in the files is relative to where the first of them is.
	details := types.ConfigDetails{WorkingDir: filepath.Join(dir, path.Dir(files[0]))}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, steps.LocalError(err))
		}
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: filepath.Join(dir, f), Content: content})
	}
	stand := &standIn{names: map[string]bool{}, chosen: map[string]string{}, second: map[string]struct{}{}}
	load := func() (*types.Project, error) {
		details.Environment = maps.Clone(e.values)
		return loader.LoadWithContext(ctx, details, func(o *loader.Options) {
			o.SkipResolveEnvironment = true // files with secrets may exist on the host alone
			o.SkipResolveLabels = true
			o.Profiles = append(slices.Clone(profiles), e.profiles()...)
			o.SetProjectName(unnamedProject, false)
			o.Interpolate = &interpolation.Options{LookupValue: details.Environment.Resolve}
			if !e.known {
				o.Interpolate.Substitute = stand.substitute
			}
		})
	}
	project, err := stand.fit(load)
	if err != nil {
		text := strings.ReplaceAll(err.Error(), dir+"/", "")
		// What the JSON schema says of a key that it does not know.
		if key, ok := strings.CutSuffix(text, " false schema"); ok {
			text = key + " is no key that compose knows"
		}
		return nil, errors.New(text)
	}
	p, err := e.project(dir, files, envFile, project)
	if err != nil {
		return nil, err
	}
	p.Warnings = e.envWarnings(dir, project)
	for _, name := range slices.Sorted(maps.Keys(stand.names)) {
		stand.second[name] = struct{}{}
		if project, err := load(); err == nil {
			other, err := e.project(dir, files, envFile, project)
			if err != nil {
				return nil, err
			}
			p.without(other, name)
		}
		delete(stand.second, name)
	}
	return p, nil
}

const unnamedProject = "provision-unnamed"

// project is what a loaded project says.
func (e *composeEnvironment) project(dir string, files []string, envFile string, project *types.Project) (*composeProject, error) {
	p := &composeProject{Files: files, Name: e.values["COMPOSE_PROJECT_NAME"]}
	if p.Name == "" && project.Name != unnamedProject {
		p.Name = project.Name
	}
	p.collect(dir, envFile, project)
	referred, variables := e.references(dir, files)
	p.Keep = append(p.Keep, slices.Concat(referred, variables)...)
	p.Secret = append(p.Secret, variables...)
	var err error
	p.Shape, err = shapeOf(project, dir, e.values)
	return p, err
}

// without leaves out what is different in the other project: it hangs on the value of a variable that the host alone knows.
func (p *composeProject) without(other *composeProject, variable string) {
	if p.Name != other.Name {
		p.Name, p.OnHost = "", strings.TrimPrefix(p.OnHost+", "+variable, ", ")
	}
	p.Shape = object(unlike(map[string]any(p.Shape), map[string]any(other.Shape)))
	both := func(list *[]string, others []string) {
		*list = slices.DeleteFunc(*list, func(s string) bool { return !slices.Contains(others, s) })
	}
	both(&p.Keep, other.Keep)
	both(&p.Env, other.Env)
	both(&p.Secret, other.Secret)
	p.Contexts = slices.DeleteFunc(p.Contexts, func(c composeContext) bool { return !slices.Contains(other.Contexts, c) })
	p.Mounts = slices.DeleteFunc(p.Mounts, func(m composeMount) bool { return !slices.Contains(other.Mounts, m) })
}

// A composeEnvironment is what compose takes variables from.
type composeEnvironment struct {
	values types.Mapping
	known  bool // false if there may be more on the host
}

// readComposeEnvironment reads the file for variables: that of the step, or .env in the directory of the first compose file.
func readComposeEnvironment(dir string, files []string, envFile string) (*composeEnvironment, error) {
	e := &composeEnvironment{values: types.Mapping{"PWD": dir}}
	name := envFile
	if name == "" {
		name = ".env"
		if len(files) > 0 {
			name = path.Join(path.Dir(files[0]), name)
		}
	}
	if path.IsAbs(name) {
		return e, nil
	}
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, steps.LocalError(err))
	}
	defer f.Close()
	values, err := dotenv.Parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s is no environment file", name) // the error of the library may quote a secret
	}
	maps.Copy(e.values, values)
	e.known = true
	return e, nil
}

// files are the compose files: those of the step, of COMPOSE_FILE, or those that compose finds.
func (e *composeEnvironment) files(dir string, files []string) ([]string, error) {
	if len(files) > 0 {
		return files, nil
	}
	if list := e.values["COMPOSE_FILE"]; list != "" {
		separator := e.values["COMPOSE_PATH_SEPARATOR"]
		if separator == "" {
			separator = ":"
		}
		for _, f := range strings.Split(list, separator) {
			if !filepath.IsLocal(f) {
				return nil, fmt.Errorf("%q in COMPOSE_FILE is no path within the directory", f)
			}
			files = append(files, path.Clean(f))
		}
		return files, nil
	}
	if files = defaultComposeFiles(dir); len(files) == 0 {
		return nil, errors.New("there is no compose.yaml and no docker-compose.yml in the directory; name the files in files")
	}
	return files, nil
}

// profiles are those of COMPOSE_PROFILES.
func (e *composeEnvironment) profiles() []string {
	return strings.FieldsFunc(e.values["COMPOSE_PROFILES"], func(r rune) bool { return r == ',' })
}

// defaultComposeFiles are those that compose takes by itself.
func defaultComposeFiles(dir string) []string {
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	for _, base := range []string{"compose", "docker-compose"} {
		for _, ext := range []string{".yaml", ".yml"} {
			if !there(base + ext) {
				continue
			}
			files := []string{base + ext}
			for _, overriding := range []string{".override.yml", ".override.yaml"} {
				if there(base + overriding) {
					return append(files, base+overriding)
				}
			}
			return files
		}
	}
	return nil
}

// collect notes the files of the project that the services need.
func (p *composeProject) collect(dir, envFile string, project *types.Project) {
	within := func(name string) (string, bool) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		rel, err := filepath.Rel(dir, name)
		return filepath.ToSlash(rel), err == nil && filepath.IsLocal(rel) && rel != "."
	}
	keep := func(name string) {
		if rel, ok := within(name); ok && !slices.Contains(p.Keep, rel) {
			p.Keep = append(p.Keep, rel)
		}
	}
	secret := func(name string) {
		if rel, ok := within(name); ok && !slices.Contains(p.Secret, rel) {
			p.Secret = append(p.Secret, rel)
		}
		keep(name)
	}
	must := func(name string) {
		if rel, ok := within(name); ok {
			name = rel
		}
		if !slices.Contains(p.Env, name) {
			p.Env = append(p.Env, name)
		}
	}
	p.Keep = append(p.Keep, ".dockerignore", ".env")
	if envFile != "" {
		secret(envFile)
	}
	for _, f := range p.Files {
		keep(f)
	}
	for _, name := range project.ServiceNames() {
		service := project.Services[name]
		if service.Build != nil {
			file := service.Build.Dockerfile
			if file == "" {
				file = "Dockerfile"
			}
			if !filepath.IsAbs(file) {
				file = filepath.Join(service.Build.Context, file)
			}
			keep(file)
			keep(file + ".dockerignore")
			context := func(directory, file string) {
				// Others than directories (a repository, an image, a service) are not absolute.
				if rel, ok := within(directory); filepath.IsAbs(directory) && (ok || rel == ".") {
					keep(filepath.Join(directory, ".dockerignore"))
					file, _ = within(file)
					p.Contexts = append(p.Contexts, composeContext{rel, file})
				}
			}
			context(service.Build.Context, file)
			for _, directory := range service.Build.AdditionalContexts {
				context(directory, "")
			}
			for _, s := range service.Build.Secrets {
				if file := project.Secrets[s.Source].File; file != "" {
					secret(file)
					must(file)
				}
			}
		}
		for _, file := range service.LabelFiles {
			keep(file)
		}
		for _, f := range service.EnvFiles {
			secret(f.Path)
			if bool(f.Required) {
				must(f.Path)
			}
		}
		mount := func(file string) {
			if rel, ok := within(file); ok && file != "" {
				keep(file)
				p.Mounts = append(p.Mounts, composeMount{name, rel})
			}
		}
		for _, s := range service.Secrets {
			if file := project.Secrets[s.Source].File; file != "" {
				secret(file)
				must(file)
				mount(file)
			}
		}
		for _, c := range service.Configs {
			mount(project.Configs[c.Source].File)
		}
		for _, v := range service.Volumes {
			if v.Type == types.VolumeTypeBind {
				mount(v.Source)
			}
		}
	}
}
