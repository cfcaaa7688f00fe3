package kinds

import (
	"context"
	"errors"
	"fmt"
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
	Name  string   // as the files give it; "" if they do not
	Files []string // relative to the directory, as compose would take them
	Keep  []string // what must travel whatever .dockerignore says: compose files, Dockerfiles, files that are mounted
	Env   []string // environment files and secrets that must be there, relative to the directory

	// Secret are the environment files and the files of secrets, relative to the directory.
	Secret []string

	// Mounts are the files and directories that services mount. A container keeps the file that it was started with,
	// whatever takes its name later.
	Mounts []composeMount
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
	if len(files) == 0 {
		files = defaultComposeFiles(dir)
	}
	if len(files) == 0 {
		return nil, errors.New("there is no compose.yaml and no docker-compose.yml in the directory; name the files in files")
	}
	details := types.ConfigDetails{WorkingDir: dir, Environment: types.Mapping{"PWD": dir}}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, steps.LocalError(err))
		}
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: filepath.Join(dir, f), Content: content})
	}
	known, err := composeEnvironment(&details, envFile)
	if err != nil {
		return nil, err
	}
	project, err := loader.LoadWithContext(ctx, details, func(o *loader.Options) {
		o.SkipResolveEnvironment = true // files with secrets may exist on the host alone
		o.SkipResolveLabels = true
		o.Profiles = profiles
		o.SetProjectName("provision-unnamed", false)
		o.Interpolate = &interpolation.Options{LookupValue: func(name string) (string, bool) {
			if value, ok := details.Environment[name]; ok || known {
				return value, ok
			}
			return "1", true // the host knows it: a stand-in that fits a port, a number and a name
		}}
	})
	if err != nil {
		text := strings.ReplaceAll(err.Error(), dir+"/", "")
		// What the JSON schema says of a key that it does not know.
		if key, ok := strings.CutSuffix(text, " false schema"); ok {
			text = key + " is no key that compose knows"
		}
		return nil, errors.New(text)
	}
	p := &composeProject{Files: files}
	if project.Name != "provision-unnamed" {
		p.Name = project.Name
	}
	p.collect(dir, envFile, project)
	return p, nil
}

// composeEnvironment reads what compose would take variables from. It is false if that file exists on the host alone.
func composeEnvironment(details *types.ConfigDetails, envFile string) (known bool, err error) {
	name := envFile
	if name == "" {
		name = ".env"
	}
	if path.IsAbs(name) {
		return false, nil
	}
	f, err := os.Open(filepath.Join(details.WorkingDir, name))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, steps.LocalError(err))
	}
	defer f.Close()
	values, err := dotenv.Parse(f)
	if err != nil {
		return false, fmt.Errorf("%s is no environment file", name) // the error of the library may quote a secret
	}
	for k, v := range values {
		details.Environment[k] = v
	}
	return true, nil
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
