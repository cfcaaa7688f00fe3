package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"provision/internal/event"
	"provision/internal/playbook"
	"provision/internal/savedplan"
	"provision/internal/shell"
	"provision/internal/ui"
)

func (c *cli) showCommand() *cobra.Command {
	var detail, markdown, asJSON bool
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Show a saved plan",
		Long:  "Shows what provision plan --out FILE saved, as plan showed it. It asks no host, and needs no playbook.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("show takes one FILE, which provision plan --out FILE has made")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if markdown && asJSON {
				return errors.New("--json and --markdown exclude each other")
			}
			saved, err := readSavedPlan(args[0])
			if err != nil {
				return err
			}
			if saved == nil {
				return fmt.Errorf("%s is no saved plan: make one with provision plan --out FILE", args[0])
			}
			if asJSON {
				events := ui.NewJSON(c.stdout)
				saved.Replay(events)
				return events.Err()
			}
			plan := ui.NewPlan()
			saved.Replay(plan)
			if markdown {
				return plan.Markdown(c.stdout, 0)
			}
			fmt.Fprintf(c.stdout, "The plan for %s (%s), made %s.\n", c.clean(saved.Typed), c.clean(saved.Playbook), c.clean(origin(saved, time.Now())))
			if flags := chosenFlags(saved.Selection); flags != "" {
				fmt.Fprintln(c.stdout, "Chosen with", c.clean(flags))
			}
			fmt.Fprintln(c.stdout)
			return plan.Text(c.stdout, c.out.Style, detail)
		},
	}
	cmd.Flags().BoolVar(&detail, "detail", false, "list the steps that need nothing too, and whole diffs")
	cmd.Flags().BoolVar(&markdown, "markdown", false, "as Markdown, bounded in size, for a pull request")
	cmd.Flags().BoolVar(&asJSON, "json", false, "as the events of the plan, one JSON object a line")
	return cmd
}

// origin says by whom and when a plan was made.
func origin(plan *savedplan.Plan, now time.Time) string {
	text := ago(now.Sub(plan.Made)) + ", " + since(plan.Made.Local())
	if plan.By != "" {
		text += ", by " + plan.By
	}
	return text
}

// ago is an age for people.
func ago(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		noun   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if n := int(d / unit.length); n == 1 {
			return "1 " + unit.noun + " ago"
		} else if n > 1 {
			return fmt.Sprintf("%d %ss ago", n, unit.noun)
		}
	}
	return "just now"
}

// chosen is what the flags choose, without the values of sensitive variables.
func (o *options) chosen(pb *playbook.Playbook) *event.Selection {
	s := &event.Selection{Limit: o.limit, Shard: o.shard, Tags: o.tags, SkipTags: o.skipTags, VarFiles: o.varFiles}
	for _, v := range o.vars {
		name, value, _ := strings.Cut(v, "=")
		if pb.Sensitive(name) {
			s.Secret = append(s.Secret, name)
			continue
		}
		if s.Vars == nil {
			s.Vars = map[string]string{}
		}
		s.Vars[name] = value
	}
	slices.Sort(s.Secret)
	s.Secret = slices.Compact(s.Secret)
	return s
}

// chosenFlags is a selection as flags, for people.
func chosenFlags(s *event.Selection) string {
	if s == nil {
		return ""
	}
	var words []string
	add := func(flag string, values []string) {
		for _, v := range values {
			words = append(words, "--"+flag+" "+shell.Quote(v))
		}
	}
	add("limit", s.Limit)
	if s.Shard != "" {
		add("shard", []string{s.Shard})
	}
	add("tags", s.Tags)
	add("skip-tags", s.SkipTags)
	add("var-file", s.VarFiles)
	for _, name := range slices.Sorted(maps.Keys(s.Vars)) {
		if !slices.Contains(s.Environ, name) {
			add("var", []string{name + "=" + s.Vars[name]})
		}
	}
	for _, name := range s.Secret {
		words = append(words, "--var "+name+"=…")
	}
	return strings.Join(words, " ")
}
