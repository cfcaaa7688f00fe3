package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/spf13/cobra"

	"provision/internal/playbook"
)

func (c *cli) fmtCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt [PATH... | -]",
		Short: "Write playbooks in their canonical format",
		Long: "Formats the given .hcl files, and those in the given directories and below. It prints the names of the files that change.\n\n" +
			"With - it formats standard input to standard output.",
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				args = []string{"."}
			case slices.Contains(args, "-"):
				if len(args) > 1 {
					return errors.New("- is standard input, and stands alone")
				}
				return c.formatInput(check)
			}
			files, err := playbookFiles(args)
			if err != nil {
				return err
			}
			changed := false
			broken := hcl.Diagnostics{}
			parser := hclparse.NewParser()
			for _, file := range files {
				differs, diags, err := c.format(parser, file, check)
				if err != nil {
					return err
				}
				broken = append(broken, diags...)
				changed = changed || differs
			}
			if err := c.diagnose(broken, parser.Files()); err != nil {
				return err
			}
			if check && changed {
				return exitStatus(statusChanges)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; exit with 2 if a file would change")
	return cmd
}

// playbookFiles lists the .hcl files that paths name or hold.
func playbookFiles(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no file or directory %s", path)
		}
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			if !strings.HasSuffix(path, ".hcl") {
				return nil, fmt.Errorf("%s is no .hcl file: only HCL's native syntax has a format", path)
			}
			files = append(files, path)
			continue
		}
		err = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && file != path && strings.HasPrefix(d.Name(), "."):
				return filepath.SkipDir
			case d.Type().IsRegular() && strings.HasSuffix(file, ".hcl"):
				files = append(files, file)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// format formats one file and tells whether that changes it. What does not parse is left alone, and why comes back.
func (c *cli) format(parser *hclparse.Parser, file string, check bool) (bool, hcl.Diagnostics, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return false, nil, err
	}
	if _, diags := parser.ParseHCL(src, file); diags.HasErrors() {
		return false, diags, nil
	}
	formatted := playbook.Format(src)
	if bytes.Equal(src, formatted) {
		return false, nil, nil
	}
	if !check {
		if err := rewrite(file, formatted); err != nil {
			return true, nil, err
		}
	}
	_, err = fmt.Fprintln(c.stdout, file)
	return true, nil, err
}

// formatInput formats standard input to standard output. What does not parse is not printed.
func (c *cli) formatInput(check bool) error {
	src, err := io.ReadAll(c.stdin)
	if err != nil {
		return err
	}
	parser := hclparse.NewParser()
	if _, diags := parser.ParseHCL(src, "standard input"); diags.HasErrors() {
		return c.diagnose(diags, parser.Files())
	}
	formatted := playbook.Format(src)
	if check {
		if bytes.Equal(src, formatted) {
			return nil
		}
		return exitStatus(statusChanges)
	}
	_, err = c.stdout.Write(formatted)
	return err
}

// rewrite gives a file new content and leaves its mode. Of a link it is the file behind it that changes.
func rewrite(file string, content []byte) error {
	target, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	return renameio.WriteFile(target, content, info.Mode().Perm(), renameio.IgnoreUmask())
}
