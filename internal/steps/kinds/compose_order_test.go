package kinds

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"provision/internal/shell"
	"provision/internal/steps"
)

// orderCases are services of one project each, with what stands against an update start-first. The text is as compose 2.26 prints it.
var orderCases = []struct{ name, service, text, want string }{
	{"plain", "{ image: x }", "", startFirst},
	{"files say stop", "{ image: x, deploy: { update_config: { order: stop-first } } }", "    deploy:\n      update_config:\n        order: stop-first\n", stopFirst + ": its files say so"},
	{"rollback order", "{ image: x, deploy: { rollback_config: { order: stop-first } } }", "    deploy:\n      rollback_config:\n        order: stop-first\n", startFirst},
	{"container name", "{ image: x, container_name: aa }", "    container_name: aa\n", stopFirst + ": has a container_name"},
	{"port", "{ image: x, ports: [\"8000:80\"] }", "    ports:\n      - mode: ingress\n        target: 80\n        published: \"8000\"\n        protocol: tcp\n", stopFirst + ": publishes port 8000"},
	{"port of the engine's choice", "{ image: x, ports: [\"80\"] }", "    ports:\n      - mode: ingress\n        target: 80\n        protocol: tcp\n", startFirst},
	{"network of the host", "{ image: x, network_mode: host }", "    network_mode: host\n", stopFirst + ": has network_mode host"},
	{"bridge", "{ image: x, network_mode: bridge }", "    network_mode: bridge\n", startFirst},
	{
		"address", "{ image: x, networks: { default: { ipv4_address: 172.30.0.9 } } }", "    networks:\n      default:\n        ipv4_address: 172.30.0.9\n",
		stopFirst + ": has a fixed address",
	},
	{"job", "{ image: x, restart: \"no\" }", "    restart: \"no\"\n", stopFirst + ": runs to its end"},
	{"named volume", "{ image: x, volumes: [\"data:/data\"] }", "    volumes:\n      - type: volume\n        source: data\n        target: /data\n        volume: {}\n", stopFirst + ": may write to /data"},
	{
		"named volume to read", "{ image: x, volumes: [\"data:/data:ro\"] }",
		"    volumes:\n      - type: volume\n        source: data\n        target: /data\n        read_only: true\n        volume: {}\n", startFirst,
	},
	{"anonymous volume", "{ image: x, volumes: [/data] }", "    volumes:\n      - type: volume\n        target: /data\n        volume: {}\n", stopFirst + ": keeps an anonymous volume"},
	{
		"directory", "{ image: x, volumes: [\"./conf:/conf:ro\", \"./data:/data\"] }",
		"    volumes:\n      - type: bind\n        source: /srv/p/conf\n        target: /conf\n        read_only: true\n        bind:\n          create_host_path: true\n" +
			"      - type: bind\n        source: /srv/p/data\n        target: /data\n        bind:\n          create_host_path: true\n", stopFirst + ": may write to /data",
	},
	{
		"directory, and the files say start", "{ image: x, volumes: [\"./data:/data\"], deploy: { update_config: { order: start-first } } }",
		"    deploy:\n      update_config:\n        order: start-first\n    volumes:\n      - type: bind\n        source: /srv/p/data\n        target: /data\n", startFirst,
	},
	{
		"port, and the files say start", "{ image: x, ports: [\"8000:80\"], deploy: { update_config: { order: start-first } } }",
		"    deploy:\n      update_config:\n        order: start-first\n    ports:\n      - mode: ingress\n        target: 80\n        published: \"8000\"\n        protocol: tcp\n", stopFirst + ": publishes port 8000",
	},
	{"memory", "{ image: x, tmpfs: [/tmp] }", "    tmpfs:\n      - /tmp\n", startFirst},
	{"devices", "{ image: x, devices: [\"/dev/null:/dev/zzz\"] }", "    devices:\n      - source: /dev/null\n        target: /dev/zzz\n        permissions: rwm\n", stopFirst + ": uses devices"},
	{"network of another", "{ image: x, network_mode: \"service:other\" }", "    network_mode: service:other\n", stopFirst + ": has network_mode service:other"},
	{"volumes of another", "{ image: x, volumes_from: [other] }", "    volumes_from:\n      - other\n", stopFirst + ": uses what is of other"},
	{"pre_stop", "{ image: x, pre_stop: [{ command: [\"true\"] }] }", "    pre_stop:\n      - command:\n          - \"true\"\n", stopFirst + ": has pre_stop, which compose alone runs"},
}

// TestComposeOrders judges services by the files of this machine, and by what the host's compose prints: both come to the same.
func TestComposeOrders(t *testing.T) {
	var local, printed strings.Builder
	want := map[string]string{"linked": stopFirst + ": linking links to it", "linking": startFirst, "web": startFirst, "migrate": stopFirst + ": runs to its end"}
	local.WriteString("services:\n")
	printed.WriteString("name: p\nservices:\n")
	for i, c := range orderCases {
		name := fmt.Sprintf("s%02d", i)
		local.WriteString("  " + name + ": " + c.service + "\n")
		printed.WriteString("  " + name + ":\n" + c.text)
		want[name] = c.want
	}
	want["other"] = stopFirst + ": s18 uses what is of it"
	local.WriteString("  other: { image: x }\n  linked: { image: x }\n  linking: { image: x, links: [\"linked:l\"] }\n  migrate: { image: x }\n" +
		"  web: { image: x, depends_on: { migrate: { condition: service_completed_successfully } } }\nvolumes: { data: {} }\nnetworks: { default: { ipam: { config: [{ subnet: 172.30.0.0/24 }] } } }\n")
	printed.WriteString("  other:\n    image: x\n  linked:\n    image: x\n  linking:\n    links:\n      - linked:l\n  migrate:\n    image: x\n" +
		"  web:\n    depends_on:\n      migrate:\n        condition: service_completed_successfully\n        required: true\n")

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(local.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	project, err := loadProject(t.Context(), dir, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	c := &compose{UpdateOrder: startFirst, State: "up", project: project}
	told := func(orders map[string]string) string {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(orders)) {
			b.WriteString(name + " " + orders[name] + "\n")
		}
		return b.String()
	}
	if d := cmp.Diff(told(want), told(c.orders(nil))); d != "" {
		t.Errorf("by the files of this machine:\n%s", d)
	}
	for _, sh := range availableShells(t, "") {
		h := &host{shell: sh, work: t.TempDir()}
		r := h.fragment(t, shell.Strip(composeScriptSource)+"dir=/srv/p update_order=start-first compose_all= compose_version=2.26\ncompose_text="+shell.Quote(printed.String())+
			"\ncompose_facts=$(compose_document | compose_parse facts)\ncompose_orders\n", nil, nil, false)
		is := map[string]string{}
		for line := range strings.Lines(r.stdout) {
			line, _ = strings.CutPrefix(strings.TrimSpace(line), "order ")
			name, order, _ := strings.Cut(line, " ")
			is[name] = strings.Replace(order, stopFirst+" ", stopFirst+": ", 1)
		}
		if d := cmp.Diff(told(want), told(is)); d != "" || r.exit != 0 {
			t.Errorf("%v: by what compose prints, exit %d %s\n%s", sh, r.exit, r.stderr, d)
		}
	}
}

// TestComposeOrderOfTheHost judges a service whose ports only the host knows.
func TestComposeOrderOfTheHost(t *testing.T) {
	c := &compose{UpdateOrder: startFirst, State: "up", project: &composeProject{Shape: composeShape{"services": map[string]any{
		"a": map[string]any{"ports": unknownValue{}},
		"b": map[string]any{"deploy": map[string]any{"update_config": map[string]any{"order": unknownValue{}}}},
		"c": map[string]any{}, "d": map[string]any{},
	}}}}
	l := composeServices{{name: "a", state: "changed"}, {name: "b", state: "changed"}, {name: "c", state: "changed"}, {name: "d", state: "changed"}}
	c.order(l, steps.Observe("hinders c 18 keeps an anonymous volume"), true, false)
	var is []string
	for _, s := range l {
		is = append(is, s.ordered("recreated"))
	}
	want := []string{
		"recreated, stop-first: its ports is known on the host alone", "recreated, stop-first: its files say so",
		"recreated, stop-first: keeps an anonymous volume", "recreated, start-first",
	}
	if d := cmp.Diff(want, is); d != "" {
		t.Error(d)
	}
	if dangers := l.dangers("up"); len(dangers) != 1 || dangers[0] != "recreates a, b, c: down meanwhile" {
		t.Errorf("what is down: %q", dangers)
	}
	if c.order(l, steps.Observe(), true, true); l[3].order != stopFirst+": a network is recreated" {
		t.Errorf("with another network: %q", l[3].order)
	}
}

// TestComposeSequence tells what is done in which order.
func TestComposeSequence(t *testing.T) {
	facts := `services db
services migrate
services app
services worker
services nginx
services old
scale db 1
scale migrate 1
scale app 2
scale worker 1
scale nginx 1
job migrate
depends app migrate
depends app db
depends migrate db
depends worker app
depends nginx app
follows worker app
`
	containers := "//containers\nd1 db\nm1 migrate\na1 app\na2 app\nw1 worker\nn1 nginx\n"
	for _, c := range []struct{ name, states, again, options, want string }{
		{"nothing", "first app\nservice app up\n", "", "", ""},
		{"not asked for", "service app changed\n", "", "", ""},
		{
			"app alone", "first app\nservice app changed\nservice nginx up\nservice worker up\nservice migrate done\nservice db up\n", "", "",
			"old app a1\nold app a2\njobs migrate\nfirst app=4\nagain worker\n",
		},
		{
			"with its follower", "first app\nfirst worker\nservice app image\nservice nginx up\nservice worker up\nservice migrate image\nservice db up\n", "", "--no-build",
			"old app a1\nold app a2\nold worker w1\njobs migrate\nanew migrate\nfirst app=4 worker=2\n",
		},
		{
			"its job alone", "first app\nfirst worker\nservice app up\nservice nginx up\nservice worker up\nservice migrate failed\nservice db up\n", "", "",
			"jobs migrate\nanew migrate\nfirst app=2 worker=1\n",
		},
		{
			"what is down", "first app\nservice app changed\nservice nginx up\nservice worker up\nservice migrate failed\nservice db stopped\n", "", "",
			"old app a1\nold app a2\nup db\njobs migrate\nanew migrate\nfirst app=4\nagain worker\n",
		},
		{
			"with what it depends on", "first app\nservice app inside\nservice nginx changed\nservice worker up\nservice migrate done\nservice db unhealthy\n", "db nginx", "",
			"old app a1\nold app a2\nforce db\njobs migrate\nfirst app=4\nagain worker nginx\nrest worker nginx old\n",
		},
		{
			"what another needs first", "first db\nfirst app\nservice db changed\nservice app changed\nservice nginx up\nservice worker up\nservice migrate done\nservice old up\norphan x\n", "", "--remove-orphans",
			"old db d1\nold app a1\nold app a2\njobs migrate\nfirst db=2 app=4\nagain worker\nrest worker nginx old\n",
		},
	} {
		if !strings.Contains(c.states, "service old") {
			c.states += "service old up\n"
		}
		for _, sh := range availableShells(t, "") {
			h := &host{shell: sh, work: t.TempDir()}
			r := h.fragment(t, shell.Strip(composeScriptSource)+"printf %s "+shell.Quote(facts+c.states+containers)+" | compose_sequence "+shell.Words(c.again, c.options), nil, nil, false)
			if d := cmp.Diff(c.want, r.stdout); d != "" || r.exit != 0 {
				t.Errorf("%s, %v: exit %d %s\n%s", c.name, sh, r.exit, r.stderr, d)
			}
		}
	}
}
