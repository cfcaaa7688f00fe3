package acceptance

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/schema"
	"go.yaml.in/yaml/v4"
)

// A fieldCase is a field of a service, and what a change of it comes to. All cases of one service are one project's service; before and
// after are YAML, "" for none.
type fieldCase struct {
	service, field, before, after string
	from, to                      string // what the plan says; both "" where the value is a secret
	at                            string // where the plan says it, below services.SERVICE; "" for the field itself
	does                          fieldOutcome
}

// What happens when the field changes.
type fieldOutcome string

const (
	recreates fieldOutcome = "new containers"
	keeps     fieldOutcome = "nothing: the containers stay"
	// keepsLater: compose 2.26 has the field in the hash by which it decides, 2.40 has not.
	keepsLater fieldOutcome = "nothing with compose 2.40, new containers with 2.26"
	scales     fieldOutcome = "containers come or go, the others stay"
	rebuilds   fieldOutcome = "the image is built again; new containers if it differs"
)

// fieldCases are exercised against a real engine by TestComposeFields; docs/compose.md lists them.
var fieldCases = []fieldCase{
	{"run", "command", `["sleep", "1000"]`, `["sleep", "1001"]`, `["sleep","1000"]`, `["sleep","1001"]`, "", recreates},
	{"run", "working_dir", "/tmp", "/bin", "/tmp", "/bin", "", recreates},
	{"run", "user", `"1:1"`, `"2:2"`, "1:1", "2:2", "", recreates},
	{"run", "group_add", `["5"]`, `["6"]`, `["5"]`, `["6"]`, "", recreates},
	{"run", "stop_signal", "SIGTERM", "SIGINT", "SIGTERM", "SIGINT", "", recreates},
	{"run", "stop_grace_period", "2s", "1s", "2s", "1s", "", recreates},
	{"run", "restart", "always", "unless-stopped", "always", "unless-stopped", "", recreates},
	{"run", "tty", "true", "", "true", "", "", recreates},
	{"run", "stdin_open", "true", "", "true", "", "", recreates},
	{"run", "container_name", "fields-run", "fields-ran", "fields-run", "fields-ran", "", recreates},
	{"start", "entrypoint", `["sleep", "1000"]`, `["sleep", "1001"]`, `["sleep","1000"]`, `["sleep","1001"]`, "", recreates},
	{"start", "image", "test/busybox", "test/other", "test/busybox", "test/other", "", recreates},
	{"start", "init", "true", "", "true", "", "", recreates},
	{"start", "platform", "", "linux/amd64", "", "linux/amd64", "", recreates},
	{"start", "runtime", "", "runc", "", "runc", "", recreates},
	{"told", "environment", "{ COLOUR: red }", "{ COLOUR: blue }", "red", "blue", ".COLOUR", recreates},
	{"told", "labels", "{ tier: a }", "{ tier: b }", "a", "b", ".tier", recreates},
	{"told", "annotations", "{ tier: a }", "{ tier: b }", "a", "b", ".tier", recreates},
	{"told", "env_file", "[a.env]", "[b.env]", "", "", "environment.FROM_FILE", recreates},
	{"told", "label_file", "a.labels", "b.labels", "one", "two", "labels.from", recreates},
	{"told", "secrets", "[one]", "[two]", "", "two", "secrets[/run/secrets/two].source", recreates},
	{"told", "configs", "[{ source: one, target: /one }]", "[{ source: two, target: /one }]", "one", "two", "[/one].source", recreates},
	{"told", "attach", "true", "false", "true", "false", "", recreates},
	{"closed", "read_only", "true", "", "true", "", "", recreates},
	{"closed", "privileged", "", "false", "", "", "-", keeps},
	{"closed", "cap_add", "[NET_ADMIN]", "[SYS_TIME]", `["NET_ADMIN"]`, `["SYS_TIME"]`, "", recreates},
	{"closed", "cap_drop", "[MKNOD]", "[CHOWN]", `["MKNOD"]`, `["CHOWN"]`, "", recreates},
	{"closed", "security_opt", `["no-new-privileges:true"]`, `["no-new-privileges:false"]`, `["no-new-privileges:true"]`, `["no-new-privileges:false"]`, "", recreates},
	{"closed", "sysctls", `{ net.core.somaxconn: "512" }`, `{ net.core.somaxconn: "513" }`, "512", "513", ".net.core.somaxconn", recreates},
	{"closed", "userns_mode", "", "host", "", "host", "", recreates},
	{"closed", "devices", `["/dev/null:/dev/x"]`, `["/dev/zero:/dev/x"]`, "/dev/null", "/dev/zero", "[/dev/x].source", recreates},
	{"closed", "device_cgroup_rules", `["c 1:3 rwm"]`, `["c 1:5 rwm"]`, `["c 1:3 rwm"]`, `["c 1:5 rwm"]`, "", recreates},
	{"limits", "mem_limit", "64m", "96m", "67108864", "100663296", "", recreates},
	{"limits", "mem_reservation", "32m", "16m", "33554432", "16777216", "", recreates},
	{"limits", "memswap_limit", "128m", "-1", "134217728", "-1", "", recreates},
	{"limits", "cpus", "0.5", "0.4", "0.5", "0.4", "", recreates},
	{"limits", "cpu_shares", "512", "256", "512", "256", "", recreates},
	{"limits", "cpuset", `"0"`, `"0-1"`, "0", "0-1", "", recreates},
	{"limits", "pids_limit", "50", "60", "50", "60", "", recreates},
	{"limits", "ulimits", "{ nofile: 512 }", "{ nofile: 256 }", "512", "256", ".nofile", recreates},
	{"limits", "shm_size", "32m", "16m", "33554432", "16777216", "", recreates},
	{"limits", "oom_score_adj", "100", "200", "100", "200", "", recreates},
	{"deployed", "deploy", "{ resources: { limits: { memory: 64m } } }", "{ resources: { limits: { memory: 32m } } }", "67108864", "33554432", ".resources.limits.memory", recreates},
	{"named", "hostname", "one", "two", "one", "two", "", recreates},
	{"named", "domainname", "a.test", "b.test", "a.test", "b.test", "", recreates},
	{"named", "dns", "[192.0.2.1]", "[192.0.2.2]", `["192.0.2.1"]`, `["192.0.2.2"]`, "", recreates},
	{"named", "dns_opt", "[ndots:1]", "[ndots:2]", `["ndots:1"]`, `["ndots:2"]`, "", recreates},
	{"named", "dns_search", "[a.test]", "[b.test]", `["a.test"]`, `["b.test"]`, "", recreates},
	{"named", "extra_hosts", `["x:192.0.2.1"]`, `["x:192.0.2.2"]`, `["x=192.0.2.1"]`, `["x=192.0.2.2"]`, "", recreates},
	{"named", "ports", `["8000:80"]`, `["8001:80"]`, "8000", "8001", "[80/tcp].published", recreates},
	{"named", "expose", `["81"]`, `["82"]`, `["81"]`, `["82"]`, "", recreates},
	{"named", "networks", "{ default: { aliases: [a] } }", "{ default: { aliases: [b] } }", `["a"]`, `["b"]`, ".default.aliases", recreates},
	{"alone", "network_mode", "none", "host", "none", "host", "", recreates},
	{"alone", "uts", "", "host", "", "host", "", recreates},
	{"alone", "pid", "", "host", "", "host", "", recreates},
	{"alone", "ipc", "private", "shareable", "private", "shareable", "", recreates},
	{"alone", "cgroup", "private", "host", "private", "host", "", recreates},
	{"stored", "volumes", `["data:/data", "./conf:/conf:ro"]`, `["data:/data", "./conf:/conf"]`, "true", "", "[/conf].read_only", recreates},
	{"stored", "tmpfs", "[/a]", "[/b]", `["/a"]`, `["/b"]`, "", recreates},
	{"stored", "logging", `{ driver: json-file, options: { max-size: 10m } }`, `{ driver: json-file, options: { max-size: 20m } }`, "10m", "20m", ".options.max-size", recreates},
	{"mounting", "volumes_from", `["stored"]`, `["stored:ro"]`, `["stored"]`, `["stored:ro"]`, "", recreates},
	{"checked", "healthcheck", `{ test: ["CMD", "true"], interval: 1s }`, `{ test: ["CMD", "true"], interval: 2s }`, "1s", "2s", ".interval", recreates},
	{"linked", "links", `["stays:a"]`, `["stays:b"]`, `["stays:a"]`, `["stays:b"]`, "", recreates},
	{"ordered", "depends_on", "[checked]", "[checked, told]", "", "service_started", ".told.condition", keepsLater},
	{"optional", "profiles", "", `["usual"]`, "", `["usual"]`, "", keepsLater},
	{"watched", "develop", "", "{ watch: [{ path: ., action: rebuild }] }", "", `{"watch":[{"action":"rebuild","exec":{"command":null},"path":"."}]}`, "", recreates},
	{"stays", "pull_policy", "missing", "never", "", "", "-", keeps},
	{"many", "scale", "2", "3", "2 containers", "3", "", scales},
	{"few", "deploy.replicas", "2", "1", "2 containers", "1", "", scales},
	{"built", "build", `{ context: api, args: { V: "1" } }`, `{ context: api, args: { V: "2" } }`, "1", "2", ".args.V", rebuilds},
	{"extended", "extends", "{ file: base.yaml, service: a }", "{ file: base.yaml, service: b }", "one", "two", "labels.base", recreates},
}

// passedOn are fields that reach compose as they stand and are compared like those above, but that no test host can exercise, with the reason.
var passedOn = map[string]string{
	"blkio_config":       "needs a block device of the host",
	"cgroup_parent":      "needs a control group of the host",
	"cpu_count":          "of Windows",
	"cpu_percent":        "of Windows",
	"cpu_period":         "stands for what cpus says",
	"cpu_quota":          "stands for what cpus says",
	"cpu_rt_period":      "needs a kernel with real-time groups",
	"cpu_rt_runtime":     "needs a kernel with real-time groups",
	"credential_spec":    "of Windows",
	"external_links":     "needs containers of others",
	"gpus":               "needs a GPU",
	"isolation":          "of Windows",
	"mac_address":        "compose 2.26 takes it for the first network alone",
	"mem_swappiness":     "not with control groups v2",
	"models":             "needs a runner of models",
	"oom_kill_disable":   "not with control groups v2",
	"post_start":         "from compose 2.30 on",
	"pre_start":          "of later versions of compose",
	"pre_stop":           "from compose 2.30 on",
	"provider":           "needs a program of its own",
	"pull_refresh_after": "needs a registry",
	"storage_opt":        "needs a file system with quotas",
	"umask":              "of later versions of compose",
	"use_api_socket":     "from compose 2.37 on",
}

var update = flag.Bool("update", false, "rewrite the table of docs/compose.md")

// writeTable puts the table in the place of the one in docs/compose.md.
func writeTable(t *testing.T, table string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/compose.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), tableHead)
	_, after, ended := strings.Cut(rest, "\n\n")
	if !found || !ended {
		t.Fatal("docs/compose.md has no table of fields")
	}
	if err := os.WriteFile("../../docs/compose.md", []byte(before+table+"\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

const tableHead = "| field of a service | | when it changes |\n"

// TestComposeFieldsAreAll compares the tables with the Compose specification, and with what docs/compose.md says of them.
func TestComposeFieldsAreAll(t *testing.T) {
	var spec struct {
		Definitions map[string]struct {
			Properties map[string]any `yaml:"properties"`
		} `yaml:"$defs"`
	}
	if err := yaml.Unmarshal([]byte(schema.Schema), &spec); err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, c := range fieldCases {
		rows[c.field] = fmt.Sprintf("| `%s` | handled | %s |\n", c.field, c.does)
	}
	for field, why := range passedOn {
		if rows[field] != "" {
			t.Errorf("%s is in both tables", field)
		}
		rows[field] = fmt.Sprintf("| `%s` | passed on | not exercised: %s |\n", field, why)
	}
	fields := 0
	for _, part := range []string{"service", "container_spec", "workload_spec"} {
		for field := range spec.Definitions[part].Properties {
			if fields++; rows[field] == "" {
				t.Errorf("the specification has the field %s", field)
			}
		}
	}
	if fields < 90 {
		t.Errorf("the specification has %d fields of services; is it read as it is written now?", fields)
	}
	var table strings.Builder
	table.WriteString(tableHead + "| --- | --- | --- |\n")
	for _, field := range slices.Sorted(maps.Keys(rows)) {
		table.WriteString(rows[field])
	}
	if *update {
		writeTable(t, table.String())
	}
	doc, err := os.ReadFile("../../docs/compose.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), table.String()) {
		t.Errorf("docs/compose.md does not have this table:\n%s", table.String())
	}
}
