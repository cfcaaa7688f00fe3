package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"provision/internal/event"
	"provision/internal/record"
	"provision/internal/suggest"
	"provision/internal/ui"
)

// runsListed is how many runs are listed without --all.
const runsListed = 20

// runsOptions say which runs are meant, and how they are shown.
type runsOptions struct {
	playbook, dir, host string
	all, json, verbose  bool
	reports             reports
}

func (c *cli) runsCommand() *cobra.Command {
	var o runsOptions
	cmd := &cobra.Command{
		Use:   "runs [ID]",
		Short: "List past runs, or show one with its log",
		Long: `Lists the runs that are kept, the latest first; with an ID it shows one: what failed, the plan, and how it ended for every
host. An ID may be cut short as long as it is clear, or be "last".

Runs are kept in .provision/runs beside the playbook: the last 50 and those of the last day, and no more than 1 GiB of them. Without --playbook and --dir
those of the current directory are meant, or of the nearest one above it that has some. Runs of --sandbox and of plan, which change
nothing, are not kept.`,
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := findRuns(o.playbook, o.dir)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return c.showRun(root, args[0], &o)
			}
			if o.reports.asked() {
				return errors.New("--report and --junit are about one run: name it, such as: provision runs last --report run.html")
			}
			if o.host != "" {
				return errors.New("--host shows what a run did to a host: name the run, such as: provision runs last --host " + o.host)
			}
			return c.listRuns(root, &o)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return completeRuns(o.playbook, o.dir, args), cobra.ShellCompDirectiveNoFileComp
		},
	}
	where(cmd, &o.playbook, &o.dir)
	cmd.Flags().BoolVar(&o.all, "all", false, fmt.Sprintf("all runs that are kept, not the latest %d", runsListed))
	cmd.Flags().StringVar(&o.host, "host", "", "the log of the host `NAME`")
	cmd.Flags().BoolVar(&o.json, "json", false, "the list as JSON; of one run, its events, one JSON object a line")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "of one run, every verdict and what steps printed")
	o.reports.flags(cmd.Flags())
	cmd.AddCommand(c.mergeCommand())
	return cmd
}

// where adds the flags that say where runs are kept.
func where(cmd *cobra.Command, playbook, dir *string) {
	cmd.Flags().StringVar(playbook, "playbook", "", "the runs beside the playbook `PATH`")
	cmd.Flags().StringVar(dir, "dir", "", "the runs in `DIR`")
}

func oneID(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("%s takes one ID of a run, and was given %d: %s", cmd.Name(), len(args), strings.Join(args, " "))
	}
	return nil
}

func completeRuns(playbook, dir string, args []string) []string {
	root, err := findRuns(playbook, dir)
	if err != nil || len(args) > 0 {
		return nil
	}
	runs, _ := record.List(root)
	ids := []string{"last"}
	for i := range runs {
		ids = append(ids, runs[i].ID)
	}
	return ids
}

func (c *cli) listRuns(root string, o *runsOptions) error {
	runs, err := record.List(root)
	if err != nil {
		return err
	}
	more := 0
	if !o.all && len(runs) > runsListed {
		more = len(runs) - runsListed
		runs = runs[:runsListed]
	}
	if o.json {
		encoder := json.NewEncoder(c.stdout)
		encoder.SetIndent("", "  ")
		if runs == nil {
			runs = []record.Run{}
		}
		return encoder.Encode(runs)
	}
	if len(runs) == 0 {
		fmt.Fprintf(c.stderr, "There are no runs in %s. apply keeps its runs beside the playbook; --playbook PATH says which one.\n", c.clean(root))
		return nil
	}
	if err := ui.RunsTable(c.stdout, runs, c.out.Style); err != nil {
		return err
	}
	if more > 0 {
		fmt.Fprintf(c.stderr, "%s with --all.\n", count(more, "earlier run"))
	}
	return nil
}

func (c *cli) showRun(root, id string, o *runsOptions) error {
	run, runs, err := findRun(root, id)
	if err != nil {
		return err
	}
	if names := run.HostNames(); o.host != "" && !slices.Contains(names, o.host) {
		return fmt.Errorf("run %s has no host %q.%s", run.ID, o.host, suggest.DidYouMean(o.host, names))
	}
	if err := o.reports.replay(&run); err != nil {
		return err
	}
	if o.json {
		sink := ui.NewJSON(c.stdout)
		if err := record.Replay(run.Dir, ofHost{o.host, sink}); err != nil {
			return err
		}
		return sink.Err()
	}
	show := ui.ShowOptions{Verbose: o.verbose, Host: o.host}
	if run.Command == event.CommandApply && run.Status != record.Running && run.Totals[event.HostStale] == 0 && len(leftOf(runs, &run)) > 0 {
		show.Next = resumeCommand(run.ID, root, playbookBeside(root, &run))
	}
	return ui.ShowRun(c.stdout, run, c.out.Style, show)
}

// asked tells whether there are any.
func (r *reports) asked() bool { return r.html != "" || r.junit != "" }

// replay writes the reports of a run that is kept.
func (r *reports) replay(run *record.Run) error {
	if err := r.open(); err != nil || r.sink == nil {
		return err
	}
	if err := record.Replay(run.Dir, r.sink); err != nil {
		return err
	}
	return r.write()
}

// ofHost passes on the events of one host; of all if it has no name.
type ofHost struct {
	host string
	to   event.Sink
}

func (s ofHost) Event(e event.Event) {
	if s.host == "" || e.Host == s.host {
		s.to.Event(e)
	}
}
