package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"provision/internal/event"
	"provision/internal/record"
	"provision/internal/shell"
)

// selection is what the record of a run says of what was chosen: enough to resume it.
func (r *rollout) selection() *event.Selection {
	s := r.options.chosen(r.pb)
	for name, text := range r.pb.FromEnvironment() {
		if r.pb.Sensitive(name) {
			s.Secret = append(s.Secret, name)
			continue
		}
		if s.Vars == nil {
			s.Vars = map[string]string{}
		}
		s.Vars[name] = text
		s.Environ = append(s.Environ, name)
	}
	slices.Sort(s.Environ)
	slices.Sort(s.Secret)
	s.Secret = slices.Compact(s.Secret)
	for _, h := range r.hosts {
		s.Names = append(s.Names, h.Name)
	}
	s.Directory, _ = os.Getwd() // without it, resuming from elsewhere asks for the path
	s.Digest = r.pb.Digest(r.options.varFiles...)
	return s
}

// next is the command that goes on with the run once it has ended.
func (r *rollout) next(end *event.RunEnd) string {
	if end.Exit == 0 || r.log == nil || r.log.Dir() == "" || r.log.Err() != nil {
		return ""
	}
	return resumeCommand(filepath.Base(r.log.Dir()), runsDir(r.path), r.path)
}

// resumeCommand is how to resume a run that is kept in root, typed in the current directory. path is the playbook beside the
// root, or "" if there is none.
func resumeCommand(id, root, path string) string {
	command := "provision resume " + id
	if found, err := findRuns("", ""); err == nil && sameDirectory(found, root) {
		return command
	}
	if path != "" {
		return command + " --playbook " + shell.Quote(path)
	}
	return command + " --dir " + shell.Quote(root)
}

func sameDirectory(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// findRuns returns the directory of the runs that a command is about: those beside a playbook, those in a directory, or, if
// neither is given, those of the current directory or the nearest one above it that has some.
func findRuns(path, dir string) (string, error) {
	switch {
	case path != "" && dir != "":
		return "", errors.New("--playbook and --dir exclude each other: both say where the runs are")
	case path != "":
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("--playbook %s: %w", path, err)
		}
		return runsDir(path), nil
	case dir != "":
		return runsIn(dir)
	}
	current, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := current; ; at = filepath.Dir(at) {
		root := filepath.Join(at, ".provision", "runs")
		if info, err := os.Stat(root); err == nil && info.IsDir() {
			if short, err := filepath.Rel(current, root); err == nil {
				root = short
			}
			return root, nil
		}
		if at == filepath.Dir(at) {
			return runsDir("."), nil
		}
	}
}

// runsIn is for a directory of runs, or one with a .provision in it.
func runsIn(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("--dir %s: %w", dir, err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("--dir %s: it is no directory", dir)
	}
	for _, inside := range []string{filepath.Join(".provision", "runs"), "runs"} {
		if inside == "runs" && filepath.Base(dir) != ".provision" {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, inside)); err == nil && info.IsDir() {
			return filepath.Join(dir, inside), nil
		}
	}
	return dir, nil
}

// playbookBeside returns the playbook whose runs are kept in root, as a path from the current directory; "" if root is not
// beside a playbook.
func playbookBeside(root string, run *record.Run) string {
	if filepath.Base(root) != "runs" || filepath.Base(filepath.Dir(root)) != ".provision" {
		return ""
	}
	dir := filepath.Dir(filepath.Dir(root))
	path := dir
	if name := filepath.Base(run.Playbook); strings.HasSuffix(name, ".hcl") || strings.HasSuffix(name, ".hcl.json") {
		path = filepath.Join(dir, name)
	}
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// findRun finds a run by its ID, with advice if there is none.
func findRun(root, id string) (record.Run, []record.Run, error) {
	runs, err := record.List(root)
	if err != nil {
		return record.Run{}, nil, err
	}
	if len(runs) == 0 {
		return record.Run{}, nil, fmt.Errorf("there are no runs in %s; --playbook PATH or --dir DIR says where else to look", root)
	}
	run, err := record.Find(runs, root, id)
	var missing *record.MissingError
	if errors.As(err, &missing) && len(missing.Near) == 0 {
		if _, serr := os.Stat(id); !errors.Is(serr, fs.ErrNotExist) {
			return run, runs, fmt.Errorf("%w; for the runs of a playbook: provision runs --playbook %s", err, shell.Quote(id))
		}
		return run, runs, fmt.Errorf("%w; provision runs lists them", err)
	}
	return run, runs, err
}
