package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/user"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"provision/internal/inventory"
	"provision/internal/playbook"
	"provision/internal/steps"
)

func (c *cli) hostsCommand() *cobra.Command {
	o := options{offline: true}
	var detail bool
	cmd := &cobra.Command{
		Use:   "hosts [PATH]",
		Short: "List the inventory as resolved: address, user, groups, variables",
		Long: `Lists the hosts with what a connection would use, from the playbook and ~/.ssh/config. On a terminal, hosts that only count on
stand together once there are many: web[01:20].

With --json each host has its variables too, and vars_from says where each was written: the group whose it is (none: the
host's own), the file and the line.`,
		Args: onePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			fold := !detail && isatty.IsTerminal(os.Stdout.Fd())
			return c.hosts(cmd, args, &o, fold)
		},
	}
	o.variables(cmd.Flags())
	o.narrowing(cmd.Flags())
	cmd.Flags().BoolVar(&detail, "detail", false, "a line for each host, however many there are")
	cmd.Flags().BoolVar(&o.json, "json", false, "as JSON, with the variables and where they come from")
	c.complete(cmd)
	return cmd
}

// A hostInfo is a host as hosts --json prints it.
type hostInfo struct {
	Name     string                       `json:"name"`
	Address  string                       `json:"address"`
	Port     int                          `json:"port"`
	User     string                       `json:"user"`
	Groups   []string                     `json:"groups"`
	Jump     []string                     `json:"jump,omitempty"`
	Vars     json.RawMessage              `json:"vars"`
	VarsFrom map[string]*inventory.Origin `json:"vars_from,omitempty"`
}

func (c *cli) hosts(cmd *cobra.Command, args []string, o *options, fold bool) error {
	pb, err := c.load(cmd.Context(), pathOf(args), o)
	if err != nil {
		return err
	}
	infos, err := c.hostInfos(cmd, pb, o)
	if err != nil {
		return err
	}
	if o.json {
		encoder := json.NewEncoder(c.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(infos)
	}
	if len(pb.Inventory().Hosts()) == 0 {
		fmt.Fprintln(c.stderr, "The playbook has no hosts. Add one: host \"NAME\" { address = \"…\" }")
		return nil
	}
	return hostTable(c.stdout, infos, fold)
}

func (c *cli) hostInfos(cmd *cobra.Command, pb *playbook.Playbook, o *options) ([]hostInfo, error) {
	hosts, err := c.selected(pb.Inventory(), o)
	if err != nil {
		return nil, err
	}
	reach, err := c.newReacher(cmd.Context(), pb, hosts, nil, o, nil)
	if err != nil {
		return nil, err
	}
	me := "" // whom ssh logs in as where nothing names a user
	if u, err := user.Current(); err == nil {
		me = u.Username
	}
	infos := []hostInfo{}
	for _, h := range hosts {
		t := reach.targets[h.Name]
		if t.Refused != "" {
			fmt.Fprintln(c.stderr, "Warning:", c.clean(h.Name+" cannot be reached: "+t.Refused))
		}
		info := hostInfo{Name: h.Name, Address: t.Address, Port: t.Port, User: cmp.Or(t.User, me), Groups: h.Groups, VarsFrom: h.From}
		for _, jump := range t.Jumps {
			info.Jump = append(info.Jump, jump.Name)
		}
		vars := steps.Shown(h.Vars)
		if info.Vars, err = ctyjson.Marshal(vars, vars.Type()); err != nil {
			return nil, fmt.Errorf("the variables of %s: %w", h.Name, err)
		}
		infos = append(infos, info)
	}
	return infos, nil
}
