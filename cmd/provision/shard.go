package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"provision/internal/inventory"
)

// narrowing adds the flags that choose among the hosts of the inventory.
func (o *options) narrowing(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.limit, "limit", nil, "only hosts that match `PATTERN`: names and groups, commas, globs, ranges, @FILE, ! excludes (repeatable)")
	flags.StringVar(&o.shard, "shard", "", "of these, only part `I/N`: 1/4 to 4/4 divide them among four machines")
}

// part is what --shard says.
func (o *options) part() (inventory.Shard, error) {
	if o.shard == "" {
		return inventory.Shard{}, nil
	}
	shard, err := inventory.ParseShard(o.shard)
	if err != nil {
		return shard, fmt.Errorf("--shard: %w", err)
	}
	return shard, nil
}

// selected returns the hosts that --limit and --shard choose. None left by --shard is no mistake, since a small fleet may have
// none for one of many machines: it is said, and the list is empty.
func (c *cli) selected(inv *inventory.Inventory, o *options) ([]*inventory.Host, error) {
	shard, err := o.part()
	if err != nil {
		return nil, err
	}
	patterns, err := inventory.Patterns(o.limit)
	if err != nil {
		return nil, fmt.Errorf("--limit: %w", err)
	}
	hosts, err := inv.Select(patterns...)
	if err != nil {
		return nil, err
	}
	if len(hosts) == 0 && len(o.limit) > 0 {
		return nil, fmt.Errorf("--limit %s leaves no host", strings.Join(o.limit, ","))
	}
	mine := shard.Choose(hosts)
	if len(mine) == 0 && len(hosts) > 0 {
		fmt.Fprintf(c.stderr, "Shard %s is empty (%s in all): nothing to do.\n", shard, count(len(hosts), "host"))
	}
	return mine, nil
}
