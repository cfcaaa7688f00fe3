package kinds

import (
	_ "embed"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
	"provision/internal/steps/kit"
)

//go:embed reboot.sh
var rebootScriptSource string

var rebootKind = &steps.Kind{
	Name: "reboot",
	Doc: `A restart of the host; the run goes on when it is back.

With when = "needed", the default, the host is restarted if it says that it should be: the file reboot-required of
Debian and Ubuntu, needs-restarting of Red Hat, else a newer kernel in /boot than the one that runs. The step looks when its turn
comes, after an earlier step has upgraded packages, even if nothing was needed before.

With when = "always" every apply restarts the host, so give it on_change: then it is restarted if one of those steps
changed something.

The host counts as back when it answers with another boot id. Steps after this one are planned anew.`,
	Example: `step "reboot" "kernel" {
  message = "a new kernel was installed"
}
`,
	New: func() (steps.Step, steps.Args) {
		r := &reboot{When: "needed"}
		return r, steps.Args{
			kit.EnumArg("when", &r.When, "needed: if the host says so; always: in every apply, or whenever on_change says so.", "needed", "always"),
			kit.StringArg("message", &r.Message, "Why, for the plan and the log."),
		}
	},
}

type reboot struct{ When, Message string }

var (
	_ steps.Bringer  = (*reboot)(nil)
	_ steps.Repeater = (*reboot)(nil)
)

func (r *reboot) Validate() []steps.Problem { return nil }

func (r *reboot) Probe() string {
	if r.When == "always" {
		return ""
	}
	// The reason may name packages that change from look to look; it is detail, and not the state.
	return shell.Strip(rebootScriptSource) + `needed=$(reboot_needed) || exit 1
case $needed in
'reboot no') say reboot no ;;
*)
	say reboot needed
	reason=${needed#reboot needed }
	[ "${DETAIL:-0}" != 1 ] || printf '|reason\n|:%s\n\n|.\n' "$reason"
	;;
esac
`
}

func (r *reboot) Plan(f *steps.Facts, obs steps.Observation) (steps.Change, error) {
	needed, _ := obs.Get("reboot")
	if r.When == "needed" && needed != "needed" {
		return steps.Change{Action: steps.NoOp, Reason: "not needed", Predict: []steps.Observation{steps.Observe("reboot needed")}}, nil
	}
	change := steps.Change{Action: steps.Execute, Reason: r.Message, Ops: []steps.Op{steps.Reboot{Message: r.Message}}, Dangers: []string{"restarts the host " + f.Hostname}}
	if reason, ok := obs.Detail("reason"); ok && r.Message == "" {
		change.Reason = strings.TrimSpace(reason)
	}
	return change, nil
}

// Repeatable implements steps.Repeater: whether a host has restarted since is seen only where it says that it needs to.
func (r *reboot) Repeatable() bool { return r.When == "needed" }

// Brings implements steps.Bringer: what starts at boot runs then, and file systems are mounted.
func (r *reboot) Brings(steps.Change) steps.Supply {
	return steps.Supply{May: []string{steps.RunningThing, steps.DirectoryThing, steps.FileThing, steps.PortThing}}
}
