package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os/user"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"provision/internal/playbook"
	"provision/internal/steps"
	"provision/internal/ui"
)

func (c *cli) hostsCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "hosts [PATH]",
		Short: "List the inventory as resolved: address, user, groups, variables",
		Args:  onePath,
		RunE:  func(cmd *cobra.Command, args []string) error { return c.hosts(cmd, args, &o) },
	}
	o.variables(cmd.Flags())
	cmd.Flags().StringArrayVar(&o.limit, "limit", nil, "only hosts that match `PATTERN` (repeatable)")
	cmd.Flags().BoolVar(&o.json, "json", false, "as JSON, with the variables")
	c.complete(cmd)
	return cmd
}

// A hostInfo is a host as hosts --json prints it.
type hostInfo struct {
	Name    string          `json:"name"`
	Address string          `json:"address"`
	Port    int             `json:"port"`
	User    string          `json:"user"`
	Groups  []string        `json:"groups"`
	Jump    []string        `json:"jump,omitempty"`
	Vars    json.RawMessage `json:"vars"`
}

func (c *cli) hosts(cmd *cobra.Command, args []string, o *options) error {
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
	if len(infos) == 0 {
		fmt.Fprintln(c.stderr, "The playbook has no hosts. Add one: host \"NAME\" { address = \"…\" }")
		return nil
	}
	w := tabwriter.NewWriter(c.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "HOST\tADDRESS\tUSER\tGROUPS")
	for _, h := range infos {
		fmt.Fprintf(w, "%s\t%s:%d\t%s\t%s\n", ui.Line(h.Name), ui.Line(h.Address), h.Port, ui.Line(h.User), ui.Line(strings.Join(h.Groups, ",")))
	}
	return w.Flush()
}

func (c *cli) hostInfos(cmd *cobra.Command, pb *playbook.Playbook, o *options) ([]hostInfo, error) {
	hosts, err := pb.Inventory().Select(o.limit...)
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
		info := hostInfo{Name: h.Name, Address: t.Address, Port: t.Port, User: cmp.Or(t.User, me), Groups: h.Groups, Vars: json.RawMessage("{}")}
		for _, jump := range t.Jumps {
			info.Jump = append(info.Jump, jump.Name)
		}
		shown, err := ctyjson.Marshal(steps.Shown(h.Vars), steps.Shown(h.Vars).Type())
		if err != nil {
			return nil, fmt.Errorf("the variables of %s: %w", h.Name, err)
		}
		info.Vars = shown
		infos = append(infos, info)
	}
	return infos, nil
}
