package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"

	"provision/internal/engine"
	"provision/internal/ssh"
	"provision/internal/ui"
)

// A cli is what all commands share: the streams, and what the user asked of the whole program.
type cli struct {
	stdin          *os.File
	stdout, stderr io.Writer
	out, err       ui.Terminal // what is known of stdout and stderr
	noColor        bool
	getenv         func(string) string
	dialer         engine.Dialer // reaches hosts in place of SSH, in tests; nil: SSH

	mu      sync.Mutex
	gentle  func()          // what the first interrupt does; nil: it ends the command at once
	prompts context.Context // ends at the first interrupt: nobody is asked any more; nil: it never does
	asking  sync.WaitGroup  // those who hold the terminal
	screen  *ui.Progress    // what draws on the terminal; nil: nothing has
}

func newCLI() *cli {
	return &cli{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}
}

func (c *cli) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "provision",
		Short: "Turn fresh servers into running deployments, over SSH",
		Long: `provision makes servers what an HCL playbook says, over SSH, with nothing installed on them but sh.

  provision plan     shows exactly what differs, and changes nothing
  provision apply    shows it, asks, and makes it so
  provision apply --sandbox PATH    does it to a throw-away copy of this machine

PATH is a .hcl or .hcl.json file, or a directory of them; by default the current directory.

` + helpText("exit-codes"),
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version(),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRun: func(*cobra.Command, []string) {
			c.out = ui.NewTerminal(os.Stdout, c.noColor, c.getenv)
			c.err = ui.NewTerminal(os.Stderr, c.noColor, c.getenv)
		},
	}
	root.PersistentFlags().BoolVar(&c.noColor, "no-color", false, "no colours (NO_COLOR does the same)")
	// Given here, it does not take -v, which is --verbose everywhere else.
	root.Flags().Bool("version", false, "print the version")
	root.SetVersionTemplate("provision {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(c.helpCommand())
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		c.validateCommand(), c.planCommand(), c.showCommand(), c.applyCommand(), c.testCommand(), c.sandboxCommand(), c.trustCommand(),
		c.hostsCommand(), c.runCommand(), c.runsCommand(), c.resumeCommand(), c.stepsCommand(), c.initCommand(), c.fmtCommand(),
		c.completionCommand(), c.versionCommand(),
	)
	root.AddCommand(topics()...)
	addExamples(root)
	return root
}

// clean makes an error fit for the screen.
func (c *cli) clean(s string) string { return ui.Clean(s) }

// diagnose prints diagnostics on stderr and returns the status that errors among them stand for.
func (c *cli) diagnose(diags hcl.Diagnostics, files map[string]*hcl.File) error {
	if len(diags) == 0 {
		return nil
	}
	if err := ui.Diagnostics(c.stderr, diags, files, c.err.Style); err != nil {
		return err
	}
	if diags.HasErrors() {
		return exitStatus(statusFailed)
	}
	return nil
}

// interrupts returns a context that ends at an interrupt; while a command has set gentle, at the second. The third
// ends the program where it stands: before it, what hosts were asked has some seconds to be ended there.
func (c *cli) interrupts(ctx context.Context) (context.Context, func()) {
	prompts, endPrompts := context.WithCancel(ctx)
	c.mu.Lock()
	c.prompts = prompts
	c.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 1)
	// Not SIGHUP: when the terminal goes away the client dies, and what the hosts were sent goes on there.
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	finished := make(chan struct{})
	go func() {
		for n := 1; ; n++ {
			select {
			case <-finished:
				return
			case <-signals:
			}
			endPrompts()
			c.mu.Lock()
			gentle := c.gentle
			c.gentle = nil
			c.mu.Unlock()
			switch {
			case gentle != nil:
				gentle()
			case n < 3:
				cancel()
			default:
				os.Exit(statusInterrupted)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(finished)
		cancel()
		endPrompts()
		c.asking.Wait() // until the terminal has its echo back
	}
}

// onInterrupt sets what the next interrupt does in place of ending the command.
func (c *cli) onInterrupt(gentle func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gentle = gentle
}

// confirm asks a question on the terminal.
func (c *cli) confirm(ctx context.Context, question string) (bool, error) {
	return ui.Confirm(ctx, c.stdin, c.stderr, question)
}

// password asks for a password on the terminal, which nothing else draws on meanwhile. After an interrupt nobody is asked any more.
func (c *cli) password(ctx context.Context, question string) (string, error) {
	c.asking.Add(1)
	defer c.asking.Done()
	c.mu.Lock()
	screen, prompts := c.screen, c.prompts
	c.mu.Unlock()
	if prompts != nil {
		if prompts.Err() != nil {
			return "", prompts.Err()
		}
		both, end := context.WithCancel(ctx)
		defer end()
		defer context.AfterFunc(prompts, end)()
		ctx = both
	}
	var answer string
	var err error
	screen.While(func() { answer, err = ui.Password(ctx, c.stdin, c.stderr, question) })
	switch {
	case errors.Is(err, io.EOF): // Ctrl-D
		return "", fmt.Errorf("%s: %w", strings.TrimRight(question, ": "), ssh.ErrNoAnswer)
	case errors.Is(err, ui.ErrNoTerminal):
		return "", fmt.Errorf("%s: %w", question, err)
	}
	return answer, err
}
