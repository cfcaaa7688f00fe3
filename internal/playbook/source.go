package playbook

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
)

// A source is a directory with those of its files that make up a playbook or a module.
type source struct {
	place *place
	files []string // names within the place, sorted
}

// openRoot finds the files of the playbook that a user named.
func (pb *Playbook) openRoot(name string) (*source, bool) {
	if name == "" {
		name = "."
	}
	info, err := os.Stat(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			pb.loading.error(hcl.Range{}, "No such playbook", fmt.Sprintf("There is no file or directory %q. Name a .hcl file, or a directory with .hcl files.", name))
		} else {
			pb.loading.error(hcl.Range{}, "The playbook cannot be read", sentence(err.Error()))
		}
		return nil, false
	}
	if !info.IsDir() {
		if !isPlaybookFile(name) {
			pb.loading.error(hcl.Range{}, "Not a playbook", fmt.Sprintf("%q is no playbook: its name would end with .hcl or .hcl.json.", name))
			return nil, false
		}
		src := &source{place: &place{shown: showDir(filepath.Dir(name))}, files: []string{filepath.Base(name)}}
		return src, pb.locate(src.place, filepath.Dir(name))
	}
	src := &source{place: &place{shown: showDir(name)}}
	if !pb.locate(src.place, name) {
		return nil, false
	}
	src.files = playbookFiles(os.DirFS(src.place.dir))
	if len(src.files) == 0 {
		pb.loading.error(hcl.Range{}, "No playbook in the directory", fmt.Sprintf("The directory %q holds no .hcl file. Begin with: provision init.", name))
		return nil, false
	}
	return src, true
}

func (pb *Playbook) locate(p *place, dir string) bool {
	abs, err := filepath.Abs(dir)
	if err != nil {
		pb.loading.error(hcl.Range{}, "The playbook cannot be read", sentence(err.Error()))
		return false
	}
	p.dir = abs
	return true
}

// showDir is what stands before the names of files of a directory in diagnostics.
func showDir(dir string) string {
	if dir = filepath.Clean(dir); dir == "." {
		return ""
	}
	return strings.TrimSuffix(dir, "/") + "/"
}

func isPlaybookFile(name string) bool {
	base := filepath.Base(name)
	if strings.HasPrefix(base, ".") || isVarFile(base) {
		return false
	}
	return strings.HasSuffix(base, ".hcl") || strings.HasSuffix(base, ".hcl.json")
}

func isVarFile(base string) bool {
	return strings.HasSuffix(base, ".vars.hcl") || strings.HasSuffix(base, ".vars.hcl.json")
}

// FilesIn lists the files of the playbook that a directory is; none if it is no directory.
func FilesIn(dir string) []string { return playbookFiles(os.DirFS(dir)) }

func playbookFiles(fsys fs.FS) []string {
	entries, _ := fs.ReadDir(fsys, ".")
	var names []string
	for _, e := range entries {
		if !e.IsDir() && isPlaybookFile(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}

// parse reads one file of a place, in the native or the JSON syntax. It returns nil if nothing
// of it can be used.
func (pb *Playbook) parse(p *place, name string) *hcl.File {
	data, err := pb.local.read(p, name)
	if err != nil {
		pb.loading.error(hcl.Range{}, "A file cannot be read", sentence(err.Error()))
		return nil
	}
	f, diags := parseSource(data, p.shown+name)
	if f != nil {
		pb.addFile(p.shown+name, f)
	}
	pb.loading.add(diags...)
	return f
}

func parseSource(data []byte, name string) (*hcl.File, hcl.Diagnostics) {
	if err := checkDepth(data); err != nil {
		return nil, hcl.Diagnostics{problem(hcl.Range{}, "Source that cannot be read", fmt.Sprintf("The file %s: %s.", name, err))}
	}
	if strings.HasSuffix(name, ".json") {
		return json.Parse(data, name)
	}
	return hclsyntax.ParseConfig(data, name, hcl.InitialPos)
}

// openModule finds the directory that the source argument of a module block names.
func (pb *Playbook) openModule(from *place, text string, at hcl.Range) (*source, bool) {
	var p *place
	switch {
	case strings.HasPrefix(text, "provision/"):
		if p = pb.shippedPlace(strings.TrimPrefix(text, "provision/"), at); p == nil {
			return nil, false
		}
	case strings.HasPrefix(text, "git::") && pb.near:
		return nil, false
	case strings.HasPrefix(text, "git::"):
		dir, shown, err := fetchGit(pb.ctx, strings.TrimPrefix(text, "git::"))
		if err != nil {
			pb.loading.error(at, "The module cannot be fetched", sentence(err.Error()))
			return nil, false
		}
		p = &place{shown: shown, dir: dir}
	case strings.HasPrefix(text, "./"), strings.HasPrefix(text, "../"), text == ".", text == "..", filepath.IsAbs(text):
		if p = below(from, text); p == nil {
			pb.loading.error(at, "A module outside of its package", fmt.Sprintf("%q leads out of a shipped module.", text))
			return nil, false
		}
	default:
		pb.loading.error(at, "Unknown kind of module source", fmt.Sprintf(`%q is none of: "./dir" beside the file, "provision/NAME" for a shipped module, "git::URL//dir?ref=COMMIT".`, text))
		return nil, false
	}
	fsys := p.fsys
	if fsys == nil {
		fsys = os.DirFS(p.dir)
	}
	info, err := fs.Stat(fsys, ".")
	if err != nil || !info.IsDir() {
		pb.loading.error(at, "No such module", fmt.Sprintf("There is no directory %q.", text))
		return nil, false
	}
	src := &source{place: p, files: playbookFiles(fsys)}
	if len(src.files) == 0 {
		pb.loading.error(at, "No module in the directory", fmt.Sprintf("The directory %q holds no .hcl file.", text))
		return nil, false
	}
	return src, true
}

// below is the place of a directory relative to another place; nil if it is outside of a shipped one.
func below(from *place, text string) *place {
	if filepath.IsAbs(text) {
		return &place{shown: showDir(text), dir: filepath.Clean(text)}
	}
	if from.fsys == nil {
		return &place{shown: showDir(path.Join(from.shown+".", text)), dir: filepath.Join(from.dir, text)}
	}
	inner := path.Clean(text)
	sub, err := fs.Sub(from.fsys, inner)
	if err != nil {
		return nil
	}
	return &place{shown: from.shown + inner + "/", dir: path.Join(from.dir, inner), fsys: sub}
}

func (pb *Playbook) shippedPlace(name string, at hcl.Range) *place {
	var names []string
	if pb.shipped != nil {
		entries, _ := fs.ReadDir(pb.shipped, ".")
		for _, e := range entries {
			if e.IsDir() {
				names = append(names, e.Name())
			}
		}
	}
	first, _, _ := strings.Cut(name, "/")
	if !slices.Contains(names, first) || !fs.ValidPath(name) {
		pb.loading.error(at, "Unknown shipped module", fmt.Sprintf("No module %q comes with provision.%s", name, known(first, "shipped module", names)))
		return nil
	}
	sub, err := fs.Sub(pb.shipped, name)
	if err != nil {
		return nil
	}
	return &place{shown: "provision/" + name + "/", dir: "provision/" + name, fsys: sub}
}
