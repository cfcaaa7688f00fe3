package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"provision/internal/engine"
	"provision/internal/event"
	"provision/internal/ui"
)

// A commandLine is what run was told.
type commandLine struct {
	options
	become     bool
	becomeSaid bool // by a flag: the settings of the hosts do not count
	runAs      string
	timeout    time.Duration
	stdin      string // a file, "-", or "" for none
}

func (c *cli) runCommand() *cobra.Command {
	var o commandLine
	cmd := &cobra.Command{
		Use:   "run [PATH] -- COMMAND...",
		Short: "Run one command on every selected host",
		Long: `Runs one command on every selected host, at once and without asking, and shows which hosts gave which answer.

  provision run -- uptime
  provision run --limit web --become site.hcl -- systemctl restart nginx
  provision run -- sh -c 'df -h / | tail -1'

The words reach the program as they are: no shell of the host expands them. A line of shell is given to sh -c.
It is what "ssh HOST COMMAND" does: no facts are gathered, no lock is taken, and the command does not outlive its
connection safely. What must, belongs into a step of kind command.

The first Ctrl-C lets the commands that run end and begins no more; the second kills them on the hosts.`,
		Args: func(cmd *cobra.Command, args []string) error {
			_, _, err := splitCommand(cmd, args)
			return err
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			paths, argv, _ := splitCommand(cmd, args)
			o.becomeSaid = cmd.Flags().Changed("become")
			return c.runEverywhere(cmd.Context(), pathOf(paths), argv, &o)
		},
	}
	o.selection(cmd.Flags())
	o.reports.flags(cmd.Flags())
	cmd.Flags().BoolVar(&o.json, "json", false, "events on stdout, one JSON object a line")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "show what hosts print as it comes, too")
	cmd.Flags().BoolVar(&o.become, "become", false, "as root, by sudo or what the host is set to; by default as become of the host or ssh block says")
	cmd.Flags().StringVar(&o.runAs, "run-as", "", "as `USER`, from that user's home directory")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "kill the command on a host after this time, such as 30s or 5m (default: never)")
	cmd.Flags().StringVar(&o.stdin, "stdin", "", "give `FILE` to every host as standard input; - is what is piped in here")
	c.complete(cmd)
	return cmd
}

// splitCommand parts PATH from the command behind --.
func splitCommand(cmd *cobra.Command, args []string) (paths, argv []string, err error) {
	at := cmd.ArgsLenAtDash()
	if at < 0 || at == len(args) {
		return nil, nil, errors.New("run needs a command, behind two dashes: provision run [PATH] -- uptime")
	}
	paths, argv = args[:at], args[at:]
	if err := onePath(cmd, paths); err != nil {
		return nil, nil, err
	}
	program := argv[0]
	switch {
	case program == "":
		return nil, nil, errors.New("the command behind -- is empty")
	case len(argv) == 1 && strings.ContainsAny(program, " \t\n|&;<>()$`*?"):
		return nil, nil, fmt.Errorf("%q is one word, and so the name of a program; write it without the quotes, or as a line of shell: -- sh -c '…'", program)
	}
	return paths, argv, nil
}

// inputLimit is how much standard input can be sent to every host. It is held in memory.
const inputLimit = 16 << 20

// input reads what --stdin names.
func (c *cli) input(name string) ([]byte, error) {
	var from io.Reader = c.stdin
	switch name {
	case "":
		return nil, nil
	case "-":
	default:
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("--stdin: %w", err)
		}
		defer f.Close()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, inputLimit+1))
	if err != nil {
		return nil, fmt.Errorf("--stdin %s: %w", name, err)
	}
	if len(data) > inputLimit {
		return nil, fmt.Errorf("--stdin %s: more than %d MiB; upload it by a step of kind file", name, inputLimit>>20)
	}
	return data, nil
}

// runEverywhere is provision run.
func (c *cli) runEverywhere(ctx context.Context, path string, argv []string, o *commandLine) error {
	if o.timeout < 0 {
		return fmt.Errorf("--timeout %s: a time is not negative", o.timeout)
	}
	input, err := c.input(o.stdin)
	if err != nil {
		return err
	}
	r, err := c.prepare(ctx, event.CommandRun, path, &o.options)
	if err != nil {
		return err
	}
	defer r.closeSandbox()
	command := &engine.Command{Argv: argv, RunAs: o.runAs, Become: map[string]bool{}, Input: input, Timeout: o.timeout}
	for _, h := range r.hosts {
		command.Become[h.Name] = o.become
		if !o.becomeSaid && h.Settings.Become != nil {
			command.Become[h.Name] = *h.Settings.Become
		}
	}
	answers := ui.NewAnswers(c.stdout, c.out.Style)
	if !o.json {
		r.sinks.add(answers)
	}
	r.exec(ctx, command)
	err = r.close(ctx)
	if err == nil && answers.Partial() && r.log != nil {
		fmt.Fprintln(c.stderr, "More of the output is in", r.log.Dir())
	}
	return errors.Join(err, answers.Err())
}

// exec runs the command, and begins on no further host after the first interrupt.
func (r *rollout) exec(ctx context.Context, command *engine.Command) {
	stop := make(chan struct{})
	r.run.Stop = stop
	r.cli.onInterrupt(func() {
		r.run.Warn(event.Warning{Message: "Waiting for the hosts that run the command; no other begins. Press Ctrl-C again to kill it there."})
		close(stop)
	})
	defer r.cli.onInterrupt(nil)
	r.watched(func() { r.run.Exec(ctx, command) })
}
