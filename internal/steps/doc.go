// Package steps is the contract between the kinds of steps and the engine. Package kinds holds the kinds, and package kit what
// they are made of; docs/kinds.md is the guide to writing one.
//
// A step never talks to a host. Its probe is text for sh that only looks; its plan is a pure
// function from what was observed to a Change: a diff for the person and operations, as data,
// for the machine.
//
// # What a kind takes
//
// A Kind is a value with a name, a manual, an example, and New, which returns a Step and its Args. A Step has three methods,
// Validate, Probe and Plan. That is all for a kind whose change nothing else depends on. Most kinds have one or two of
// these powers too, each an interface that the engine looks for:
//
//   - Bringer, if its change makes or removes what other steps may need (a file, a user, a command). Without it, a plan in which a later
//     step needs that is an error.
//   - Requirer, if it needs something that its probe does not see missing, because it is there now.
//   - Asker, if its probe asks something else than the place that it changes, such as a server.
//   - Loader, if it reads more of the control machine than the content of an argument.
//   - Batcher, if it asks for attributes and sums of files: one process then looks for all steps.
//   - Handler, if it reacts to events of on_change.
//   - Outputter, if later steps may use what it knows. Kind.Outputs describes the values.
//   - Repeater, if its operations must not run twice.
//
// # A turn of a step
//
// The playbook decodes the arguments (Arg.Set), checks the rules (Kind.Check), calls Load and Validate. The engine runs the
// probes of all steps of a host in one script, and calls Plan with the Facts and the Observation of each. Change.Needs is matched with what
// earlier steps bring; Plan is asked again about each of Change.Predict. The pending changes become one program. It probes a step when its
// turn comes, runs the operations that were planned for that very state, and probes again. Then Plan must find nothing to change.
//
// # The state
//
// What a probe prints is lines. "KEY VALUE" is a line of the state (functions say and need of the prelude; Observation.Get, All, Yes and
// Needs read it). Lines that begin with "|" are detail for a diff, which is sent while planning only (function detail, Observation.Detail).
// States are compared as text, on the host: their lines come in one order, hold nothing that changes by itself, and nothing of a secret
// but its salted sum (see Salted). A status other than 0 is "could not tell", which is never taken for absent.
package steps
