package playbook

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
)

// What may stand where. The schemas are never changed.
var (
	rootSchema = hcl.BodySchema{Blocks: append(slices.Clone(moduleSchema.Blocks), []hcl.BlockHeaderSchema{
		{Type: "ssh"},
		{Type: "host", LabelNames: []string{"name"}},
		{Type: "group", LabelNames: []string{"name"}},
		{Type: "inventory", LabelNames: []string{"type"}},
		{Type: "play", LabelNames: []string{"name"}},
		{Type: "check", LabelNames: []string{"name"}},
		{Type: "rollout"},
		{Type: "test"},
	}...)}

	moduleSchema = hcl.BodySchema{Blocks: append(slices.Clone(itemBlocks), []hcl.BlockHeaderSchema{
		{Type: "variable", LabelNames: []string{"name"}},
		{Type: "locals"},
		{Type: "output", LabelNames: []string{"name"}},
		{Type: "kind", LabelNames: []string{"name"}},
	}...)}

	itemBlocks = []hcl.BlockHeaderSchema{
		{Type: "step", LabelNames: []string{"kind", "name"}},
		{Type: "module", LabelNames: []string{"name"}},
		{Type: "data", LabelNames: []string{"type", "name"}},
		{Type: "message", LabelNames: []string{"name"}},
	}

	playSchema = hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "hosts"}, {Name: "when"}, {Name: "become"}, {Name: "run_as"}, {Name: "tags"}},
		Blocks:     append([]hcl.BlockHeaderSchema{{Type: "rollout"}}, itemBlocks...),
	}

	metaSchema = []hcl.AttributeSchema{
		{Name: "when"},
		{Name: "for_each"},
		{Name: "become"},
		{Name: "run_as"},
		{Name: "on_change"},
		{Name: "tags"},
		{Name: "timeout"},
		{Name: "retries"},
		{Name: "continue_on_error"},
		{Name: "once"},
	}

	// dataSchema and messageSchema are the meta-arguments of blocks that change nothing.
	dataSchema    = []hcl.AttributeSchema{{Name: "when"}, {Name: "for_each"}, {Name: "become"}, {Name: "run_as"}, {Name: "continue_on_error"}}
	messageSchema = []hcl.AttributeSchema{{Name: "when"}, {Name: "for_each"}, {Name: "tags"}}

	callSchema = hcl.BodySchema{Attributes: []hcl.AttributeSchema{
		{Name: "source", Required: true}, {Name: "when"}, {Name: "for_each"}, {Name: "become"}, {Name: "run_as"}, {Name: "tags"},
	}}

	// callReserved are names that a module's variables cannot have: the arguments of the block, and
	// those that it may get.
	callReserved = []string{
		"source", "version", "when", "for_each", "count", "become", "run_as", "on_change", "tags",
		"timeout", "retries", "continue_on_error", "once", "depends_on", "providers", "lifecycle", "locals",
	}

	outputSchema = hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "value", Required: true}, {Name: "description"}}}

	variableSchema = hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "type"}, {Name: "default"}, {Name: "description"}, {Name: "nullable"}, {Name: "sensitive"}},
		Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}, {Type: "secret"}},
	}

	secretSchema = hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "command", Required: true}}}

	kindSchema = hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "description"}, {Name: "probe", Required: true}, {Name: "want"}, {Name: "apply", Required: true}, {Name: "absent"}, {Name: "outputs"}},
		Blocks:     []hcl.BlockHeaderSchema{{Type: "argument", LabelNames: []string{"name"}}},
	}

	argumentSchema = hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "type"}, {Name: "default"}, {Name: "description"}, {Name: "sensitive"}, {Name: "present_only"}},
		Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
	}

	validationSchema = hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "condition", Required: true}, {Name: "error_message", Required: true}}}

	sshAttributes = []hcl.AttributeSchema{
		{Name: "port"},
		{Name: "user"},
		{Name: "identity_file"},
		{Name: "known_hosts_file"},
		{Name: "password"},
		{Name: "jump"},
		{Name: "connect_timeout"},
		{Name: "legacy"},
		{Name: "transport"},
		{Name: "become"},
		{Name: "become_method"},
		{Name: "become_password"},
	}

	sshSchema   = hcl.BodySchema{Attributes: sshAttributes}
	hostSchema  = hcl.BodySchema{Attributes: append([]hcl.AttributeSchema{{Name: "address"}, {Name: "groups"}, {Name: "vars"}}, sshAttributes...)}
	groupSchema = hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "hosts"}, {Name: "children"}, {Name: "vars"}}}

	rolloutSchema = hcl.BodySchema{Attributes: []hcl.AttributeSchema{
		{Name: "batch"}, {Name: "max_failures"}, {Name: "on_unreachable"}, {Name: "pause"}, {Name: "confirm"}, {Name: "order"}, {Name: "seed"},
	}}

	testSchema = hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "image"}, {Name: "vars"}}}

	checkSchema = hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "hosts"}, {Name: "when"}, {Name: "become"}, {Name: "run_as"}, {Name: "tags"}}}
)
