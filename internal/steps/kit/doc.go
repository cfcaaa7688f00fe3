// Package kit is what kinds of steps are made of. docs/kinds.md shows how; this is what there is.
//
// # Arguments
//
// Constructors return a steps.Arg that is bound to a variable. Its value when the constructor runs is the default. Names that begin
// with Opt, and those that take a pointer to a pointer, leave nil where the argument is left out.
//
//   - text: StringArg, OptStringArg, LineArg, TextArg (may be secret), ScriptArg (sh), EnumArg, PatternArg (a Pattern: a regular expression)
//   - names and places: NameArg, OwnerArg (or a number), PathArg (on the host), PathWithinArg, URLArg, SHA256Arg, ModeArg
//   - numbers: IntArg, OptIntArg, SecondsArg, BoolArg, OptBoolArg
//   - several: StringsArg, NamesArg, WordsArg (a command), StringMapArg, VariablesArg, HeadersArg (the last two may be secret)
//   - local files: FileArg (what travels), FileTextArg (a secret text), TemplateArg, DirArg
//   - your own: ParsedArg, OptionalArg, ListArg, MapArg, SecretsArg
//
// # Files
//
// A File is a file whose whole content is known, or its absence; an Edit is one of which a part is. Both have Probe, Plan, Args or arguments of
// their parts, and the powers Bringer and Requirer. Ownership is owner, group and mode; Writing is validate and backup. ReadLines
// reads Lines, each a Line, in Go, and ProbeLines in sh. ReadTree reads a local directory, and ReadTreeWithout one of which an Ignore tells what stays.
//
// # Probes
//
// ProbeType begins the probe of a path. ProbeParent reports its missing directory; Ownership.ProbeAttributes and ProbeNames print owner and
// mode, and report names that nobody has. ProbeDetail and ProbeEdit send a content, ProbeMounted tells of a mount point, ProbePrivate of a file that only its owner may read; ProbeEditSalted is for such a one.
//
// # Needs
//
// FileSupply and RemovalSupply are what most kinds bring; ParentOf, Ownership.Accounts and NetworkThings are what they require.
//
// # Plans
//
// NotA is the error for a path that holds something else; ProtectedPath tells what must not be removed; ShownMode and Duration write values
// as people do; NumberOutput turns a line of the state into an output; HideDiff keeps a text from being shown.
//
// # Programs on the host
//
// FetchScript, HTTPAsk and PortOpen are functions of sh that use whichever program the host has. Around a download stand Unverified (in
// Validate), HeadersOnHost, FetchInto and VerifySum. LoginEnvironment gives what comes after it the environment of a login.
//
// # Small parts
//
// For decoders of your own: NoControl, PathWithin, WholeNumber, CheckURL, IsSHA256, IsNumber, MaxID and ERE. For editors that write in their own
// way: Editable, NoteMounted, SplitLines, LineBreak, EndLast and ByteOrderMark. For a Run that sends headers: HeaderLines.
package kit
