package main

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"provision/internal/engine"
	"provision/internal/event"
	"provision/internal/record"
	"provision/internal/shell"
	"provision/internal/ui"
)

func (c *cli) mergeCommand() *cobra.Command {
	var out string
	var force bool
	cmd := &cobra.Command{
		Use:   "merge --out DIR RUN_DIR...",
		Short: "Make the records of several runs one",
		Long: `Makes one record of several runs, such as the shards of a fleet that ran on several machines. Each RUN_DIR is the directory of one run,
copied from .provision/runs. The result is kept in DIR under an ID of its own, and shown by: provision runs last --dir DIR

Where a host is in several runs, the one that began last has the word; it is said which hosts these are. Runs of different
playbooks, or given different variables, are refused without --force. The exit status is that of the whole: 1 if a host failed,
and so on.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("merge takes the directories of runs, such as shard1/.provision/runs/ID shard2/.provision/runs/ID")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" {
				return errors.New("say with --out DIR where the result is to be kept")
			}
			return c.merge(out, args, force)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "keep the result in `DIR`")
	cmd.Flags().BoolVar(&force, "force", false, "also runs that do not belong together, or whose events cannot be read to the end")
	return cmd
}

func (c *cli) merge(out string, dirs []string, force bool) error {
	now := time.Now()
	m := record.Merge{Owner: ownerOf(now), Force: force}
	for _, dir := range dirs {
		run, err := record.Read(dir)
		if err != nil {
			return fmt.Errorf("%s is not the directory of a run, such as .provision/runs/ID: %w", dir, err)
		}
		m.Runs = append(m.Runs, run)
	}
	if err := m.Check(); err != nil {
		return err
	}
	first := m.Runs[0].Start
	for i := range m.Runs {
		if m.Runs[i].Start.Before(first) {
			first = m.Runs[i].Start
		}
	}
	m.ID = engine.NewID(first)
	// The parts are bounded already, and none of what else lies in the directory is ours to remove.
	log := record.NewLog(out, record.Options{Lines: ui.HostLines, MaxOutput: math.MaxInt64, MaxTotal: math.MaxInt64, Keep: math.MaxInt, KeepBytes: math.MaxInt64})
	status, err := m.Write(event.Tee(log, ui.NewSummary(c.stdout, c.out.Style)))
	if err != nil {
		return errors.Join(err, log.Discard())
	}
	if err := log.Close(); err != nil {
		return err
	}
	for _, note := range ui.MergeNotes(&m) {
		fmt.Fprintln(c.stderr, "Note:", note)
	}
	fmt.Fprintf(c.stderr, "Merged %s into %s, which provision runs last --dir %s shows.\n", count(len(m.Runs), "run"), c.clean(log.Dir()), c.clean(shell.Quote(out)))
	if status != 0 {
		return exitStatus(status)
	}
	return nil
}
