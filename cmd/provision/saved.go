package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"provision/internal/engine"
	"provision/internal/savedplan"
)

// readSavedPlan reads a saved plan. It returns nil if the path is something else: what a file is shows in its content, not in its name.
func readSavedPlan(path string) (*savedplan.Plan, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil // whoever reads it next knows better what to say
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if yes, err := startsPlan(f); err != nil || !yes {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	plan, err := savedplan.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return plan, nil
}

// startsPlan tells whether what is read begins as a saved plan does.
func startsPlan(r io.Reader) (bool, error) {
	start := make([]byte, 512)
	n, err := io.ReadFull(r, start)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return savedplan.IsPlan(start[:n]), err
}

// checkOut finds out before a plan is made whether it can be saved.
func checkOut(file string, o *options) error {
	if o.sandbox {
		return errors.New("--out and --sandbox exclude each other: the throw-away host is gone when the plan is there")
	}
	if info, err := os.Stat(filepath.Dir(file)); err != nil || !info.IsDir() {
		return fmt.Errorf("--out %s: there is no directory %s", file, filepath.Dir(file))
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil
	case !info.Mode().IsRegular():
		return fmt.Errorf("--out %s: it is no regular file; choose another name", file)
	case info.Size() == 0:
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if yes, _ := startsPlan(f); !yes {
		return fmt.Errorf("--out %s: there is a file which is no saved plan; choose another name, or remove it", file)
	}
	return nil
}

// save writes the plan that was made to a file.
func (r *rollout) save(file string) error {
	plan, err := r.run.Saved(savedplan.NewSealer(r.run.Salt))
	if err != nil {
		return err
	}
	data, err := plan.Encode()
	if err != nil {
		return err
	}
	return writePrivate(file, data)
}

// keep ends a plan whose saving came to err, and says where it is.
func (r *rollout) keep(ctx context.Context, file string, err error) error {
	status := r.close(ctx)
	var unplanned *engine.UnplannedError
	switch {
	case errors.As(err, &unplanned) && ctx.Err() == nil:
		fmt.Fprintf(r.cli.stderr, "Error: the plan was not saved: %s. Fix that, or leave them out: --limit '!%s'\n",
			r.cli.clean(err.Error()), r.cli.clean(strings.Join(unplanned.Hosts, ",!")))
	case err != nil:
		fmt.Fprintln(r.cli.stderr, "Error: the plan was not saved:", r.cli.clean(err.Error()))
		status = exitStatus(statusFailed)
	case file != "":
		fmt.Fprintf(r.cli.stderr, "The plan is saved in %s. To do just this: provision apply %s\n", r.cli.clean(file), r.cli.clean(file))
	}
	return status
}

// writePrivate puts a file in place as a whole, readable by its owner.
func writePrivate(file string, data []byte) error {
	f, err := renameio.NewPendingFile(file, renameio.WithTempDir(filepath.Dir(file)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer func() { _ = f.Cleanup() }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
