package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	maxInventory      = 16 << 20 // bytes of one file
	maxDirectoryDepth = 8
)

// ReadAnsible reads an inventory of Ansible: a file in its INI or YAML form, or a directory of them, in the order of their
// names; and the files of group_vars and host_vars beside it. name is what messages call it. An error is one of the file
// system, wrapped in *fs.PathError, or begins with the file and line.
func ReadAnsible(path, name string) (*Imported, error) {
	im := &Imported{Ansible: true}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	base, shown := filepath.Dir(path), filepath.Dir(name)
	if info.IsDir() {
		base, shown = path, name
		read, err := im.readDirectory(path, name, 0)
		if err != nil {
			return nil, err
		}
		if read == 0 {
			return nil, fmt.Errorf("%s holds no inventory: as Ansible does, files that end in .ini, .cfg, .md, .txt and the like are passed over in a directory; name the file itself", name)
		}
	} else if err := im.readFile(path, name); err != nil {
		return nil, err
	}
	if err := im.readVarsFiles(base, shown); err != nil {
		return nil, err
	}
	im.finish()
	return im, nil
}

// ignored are the endings of files that Ansible passes over in a directory (INVENTORY_IGNORE_EXTS).
const ignored = ".pyc .pyo .swp .bak .rpm .md .txt .rst .orig .ini .cfg .retry"

// readDirectory reads the files of a directory and returns how many there are.
func (im *Imported) readDirectory(dir, name string, depth int) (int, error) {
	if depth > maxDirectoryDepth {
		return 0, fmt.Errorf("%s: directories go deeper than %d levels", name, maxDirectoryDepth)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	read := 0
	for _, e := range entries {
		file, shown := filepath.Join(dir, e.Name()), filepath.Join(name, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."), strings.HasSuffix(e.Name(), "~"), e.Name() == "group_vars", e.Name() == "host_vars":
			continue
		case slices.Contains(strings.Fields(ignored), filepath.Ext(e.Name())):
			continue
		}
		info, err := os.Stat(file)
		if err != nil {
			return 0, err
		}
		more := 1
		if info.IsDir() {
			more, err = im.readDirectory(file, shown, depth+1)
		} else {
			err = im.readFile(file, shown)
		}
		if err != nil {
			return 0, err
		}
		read += more
	}
	return read, nil
}

func (im *Imported) readFile(file, name string) error {
	data, err := readBounded(file, name)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(data, []byte("#!")) {
		return fmt.Errorf("%s is a program that prints hosts: bring them with inventory \"command\" { run = [%q, \"--list\"] }", name, "./"+name)
	}
	if looksLikeYAML(name, data) {
		return im.readYAML(name, data)
	}
	return im.readINI(name, string(data))
}

// readBounded reads a regular file that is not encrypted.
func readBounded(file, name string) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", name)
	case info.Size() > maxInventory:
		return nil, fmt.Errorf("%s is larger than %d MiB", name, maxInventory>>20)
	}
	data, err := os.ReadFile(file)
	if bytes.HasPrefix(data, []byte("$ANSIBLE_VAULT;")) {
		return nil, fmt.Errorf("%s is encrypted with ansible-vault, which is not read here; decrypt it, and keep what is secret in it elsewhere: %s", name, insteadOfVault)
	}
	return data, err
}

// readVarsFiles reads the files of group_vars and host_vars in a directory for the groups and hosts that are there.
func (im *Imported) readVarsFiles(dir, shown string) error {
	groups, err := listVarsFiles(dir, shown, "group_vars")
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(slices.Values(groups.names())) {
		if name != "all" && name != "ungrouped" && im.groupName[name] == nil {
			continue // of another inventory that shares the directory
		}
		if err := im.readVars(groups, name, name, im.group(name).Files); err != nil {
			return err
		}
	}
	hosts, err := listVarsFiles(dir, shown, "host_vars")
	if err != nil {
		return err
	}
	for _, h := range im.Hosts {
		if err := im.readVars(hosts, h.Name, "", im.Vars[h.Name]); err != nil {
			return err
		}
	}
	return nil
}

// varsFiles is one of the directories group_vars and host_vars.
type varsFiles struct {
	dir, shown string
	entries    map[string]bool // name → it is a directory
}

// endings are those that the file of a group or host may have, in the order in which they are looked for: the first wins.
const endings = ".yml .yaml .json"

func listVarsFiles(dir, shown, name string) (*varsFiles, error) {
	f := &varsFiles{dir: filepath.Join(dir, name), shown: filepath.Join(shown, name), entries: map[string]bool{}}
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(f.dir, e.Name()))
		if err != nil {
			return nil, err
		}
		f.entries[e.Name()] = info.IsDir()
	}
	return f, nil
}

// names returns whose variables there are.
func (f *varsFiles) names() []string {
	names := map[string]bool{}
	for entry := range f.entries {
		names[entry] = true
		if ext := filepath.Ext(entry); slices.Contains(strings.Fields(endings), ext) {
			names[strings.TrimSuffix(entry, ext)] = true
		}
	}
	var list []string
	for name := range names {
		list = append(list, name)
	}
	return list
}

// readVars adds the variables of one group or host, "" standing for no group.
func (im *Imported) readVars(f *varsFiles, name, group string, vars Vars) error {
	for _, ending := range append([]string{""}, strings.Fields(endings)...) {
		directory, ok := f.entries[name+ending]
		switch {
		case !ok:
		case directory && ending == "":
			return im.readVarsDirectory(filepath.Join(f.dir, name), filepath.Join(f.shown, name), group, vars, 0)
		case !directory:
			return im.readVarsFile(filepath.Join(f.dir, name+ending), filepath.Join(f.shown, name+ending), group, vars)
		}
	}
	return nil
}

func (im *Imported) readVarsDirectory(dir, shown, group string, vars Vars, depth int) error {
	if depth > maxDirectoryDepth {
		return fmt.Errorf("%s: directories go deeper than %d levels", shown, maxDirectoryDepth)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		file, name := filepath.Join(dir, e.Name()), filepath.Join(shown, e.Name())
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		ext := filepath.Ext(e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."), strings.HasSuffix(e.Name(), "~"):
		case info.IsDir():
			err = im.readVarsDirectory(file, name, group, vars, depth+1)
		case ext == "" || slices.Contains(strings.Fields(endings), ext):
			err = im.readVarsFile(file, name, group, vars)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (im *Imported) readVarsFile(file, name, group string, vars Vars) error {
	data, err := readBounded(file, name)
	if err != nil {
		return err
	}
	f, root, err := readYAML(name, data)
	if err != nil || root == nil {
		return err
	}
	return im.yamlVars(f, name, pair{key: root, value: root}, func() Vars { return vars }, group, 0)
}
