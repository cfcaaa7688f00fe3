//go:build acceptance

package acceptance

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// fieldsProject is the compose file of all field cases: with the values before the changes, or after them.
func fieldsProject(after bool) string {
	services := map[string][]string{}
	for _, c := range fieldCases {
		value := c.before
		if after {
			value = c.after
		}
		field, indent := c.field, "    "
		if head, below, nested := strings.Cut(field, "."); nested {
			field, value = head, "{ "+below+": "+value+" }"
		}
		if services[c.service] == nil {
			services[c.service] = []string{}
		}
		if value != "" {
			services[c.service] = append(services[c.service], indent+field+": "+value+"\n")
		}
	}
	var b strings.Builder
	b.WriteString("name: fields\nservices:\n")
	for _, name := range slices.Sorted(maps.Keys(services)) {
		b.WriteString("  " + name + ":\n")
		text := strings.Join(services[name], "")
		if !strings.Contains(text, "    image:") && !strings.Contains(text, "    build:") && !strings.Contains(text, "    extends:") {
			b.WriteString("    image: test/busybox\n")
		}
		if !strings.Contains(text, "    init:") && name != "start" {
			b.WriteString("    init: true\n")
		}
		if !strings.Contains(text, "    stop_grace_period:") {
			b.WriteString("    stop_grace_period: 1s\n")
		}
		b.WriteString(text)
	}
	b.WriteString("volumes: { data: {} }\nsecrets: { one: { file: one.secret }, two: { file: two.secret } }\n" +
		"configs: { one: { content: uno }, two: { content: due } }\n")
	return b.String()
}

// containers are the containers of the project by name, each with its id and when it was started.
func (p *composition) containers() map[string]string {
	p.t.Helper()
	list := map[string]string{}
	out := p.host.Run(p.t, `docker ps -aq --no-trunc --filter label=com.docker.compose.project=`+p.name+` | xargs -r docker inspect --format '{{.Name}} {{index .Config.Labels "com.docker.compose.service"}} {{.Id}} {{.State.StartedAt}}'`)
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		list[fields[1]+" "+fields[0]] = fields[2] + " " + fields[3]
	}
	return list
}

// attributes are what the plan says, by name: "before → after".
func (o outcome) attributes() map[string]string {
	list := map[string]string{}
	for _, e := range o.events {
		if e.PlanStep == nil {
			continue
		}
		for _, a := range e.PlanStep.Diff {
			text := a.Before + " → " + a.After
			if a.Sensitive {
				text = " → "
			}
			list[a.Name] = text
		}
	}
	return list
}

// TestComposeFields brings up a project whose services have every field of the Compose specification that an engine in a test host can
// take, and changes each: the plan names the field and both values, what it calls recreated is, what it does not name keeps its containers,
// and the next plan is empty.
func TestComposeFields(t *testing.T) {
	takesTurn(t, "fields", composeTurns...)
	p := newProject(t, "fields", "  profiles = [\"usual\"]", "compose.yaml", fieldsProject(false), "api/Dockerfile", "FROM test/busybox\nARG V\nRUN echo $V >/v\n", "conf/a", "1\n",
		"a.env", "FROM_FILE=hunter1\n", "b.env", "FROM_FILE=hunter2\n", "one.secret", "hunter3", "two.secret", "hunter4", "a.labels", "from=one\n", "b.labels", "from=two\n",
		"base.yaml", "services:\n  a: { image: test/busybox, labels: { base: one } }\n  b: { image: test/busybox, labels: { base: two } }\n")
	p.host.Run(t, "docker tag test/busybox test/other; docker image inspect test/busybox >/dev/null")
	start := time.Now()
	p.applied()
	p.converged()
	before := p.containers()

	p.files("compose.yaml", fieldsProject(true))
	plan := p.plan()
	said := plan.attributes()
	expected := map[string]fieldOutcome{}
	early := strings.HasPrefix(p.host.Run(t, "docker compose version --short"), "2.26.")
	for _, c := range fieldCases {
		if c.does == keepsLater {
			c.does = keeps
			if early {
				c.does = recreates
			}
		}
		path := "services." + c.service + "." + c.field + c.at
		if c.at != "" && c.at[0] != '.' && c.at[0] != '[' {
			path = "services." + c.service + "." + c.at
		}
		if strings.HasPrefix(c.at, "secrets[") {
			path = "services." + c.service + "." + c.at
		}
		switch c.does {
		case keeps:
			if _, named := said["service "+c.service]; named && expected[c.service] == "" {
				t.Errorf("the plan says of the service %s, whose %s changes: %s", c.service, c.field, said["service "+c.service])
			}
			continue
		case scales:
			path = "service " + c.service
		}
		expected[c.service] = c.does
		if got, want := said[path], c.from+" → "+c.to; got != want {
			t.Errorf("the plan says of %s %q, want %q", path, got, want)
		}
	}
	if strings.Contains(plan.stdout, "hunter") {
		t.Errorf("the plan shows a secret\n%s", plan.dump())
	}
	if t.Failed() {
		for _, name := range slices.Sorted(maps.Keys(said)) {
			t.Logf("%s: %s", name, said[name])
		}
	}
	p.applied()
	p.converged()
	after := p.containers()
	for name, was := range before {
		service, _, _ := strings.Cut(name, " ")
		switch is := after[name]; expected[service] {
		case recreates, rebuilds:
			if is == was {
				t.Errorf("%s was to be recreated and is the same", name)
			}
		case scales:
			if is != was && is != "" {
				t.Errorf("%s was to stay or go: %s → %s", name, was, is)
			}
		default:
			if is != was && service != "mounting" {
				t.Errorf("%s was to stay: %s → %s", name, was, is)
			}
		}
	}
	t.Logf("%d fields of %d services in %v", len(fieldCases), len(expected), time.Since(start).Round(time.Second))
}
