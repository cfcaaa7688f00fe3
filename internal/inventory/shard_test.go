package inventory

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseShard(t *testing.T) {
	if s, err := ParseShard("2/4"); err != nil || s != (Shard{2, 4}) || s.String() != "2/4" {
		t.Errorf("%v, %v", s, err)
	}
	for bad, want := range map[string]string{
		"0/4": "count from 1 to 4; where a number counts from 0, as JOB_COMPLETION_INDEX does, add 1", "5/4": "count from 1", "": "1/4 is the first of four",
		"4": "1/4 is", "a/b": "1/4 is", "1/0": "number of shards", "1/99999": "number of shards", "-1/4": "count from 1",
	} {
		if _, err := ParseShard(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func many(n int) []*Host {
	var hosts []*Host
	for i := range n {
		hosts = append(hosts, &Host{Name: fmt.Sprintf("web%03d", i)})
	}
	return hosts
}

// byShard returns the shard of each host, and fails where one is in none or in several.
func byShard(t *testing.T, hosts []*Host, of int) map[string]int {
	t.Helper()
	shards := map[string]int{}
	for i := range of {
		for _, h := range (Shard{i + 1, of}).Choose(hosts) {
			if shards[h.Name] != 0 {
				t.Errorf("%s is in two of %d shards", h.Name, of)
			}
			shards[h.Name] = i + 1
		}
	}
	if len(shards) != len(hosts) {
		t.Errorf("%d hosts of %d are in a shard of %d", len(shards), len(hosts), of)
	}
	return shards
}

func TestShards(t *testing.T) {
	hosts := many(1000)
	eight := byShard(t, hosts, 8)
	sizes := map[int]int{}
	for _, shard := range eight {
		sizes[shard]++
	}
	for shard := range 8 {
		if n := sizes[shard+1]; n < 90 || n > 160 {
			t.Errorf("shard %d/8 has %d of 1000 hosts", shard+1, n)
		}
	}
	fewer := slices.Clone(hosts[100:])
	slices.Reverse(fewer)
	for name, shard := range byShard(t, fewer, 8) {
		if eight[name] != shard {
			t.Errorf("%s moves when other hosts go and the order changes", name)
		}
	}
	moved := 0
	for name, shard := range byShard(t, hosts, 9) {
		if shard != eight[name] {
			moved++
			if shard != 9 {
				t.Errorf("%s moves to shard %d, which is not the new one", name, shard)
			}
		}
	}
	if moved > 160 {
		t.Errorf("%d of 1000 hosts move when a ninth shard is added", moved)
	}
	// What a release has chosen, the next one chooses too: records of shards are compared over time.
	for name, want := range map[string]int{"web000": 7, "web001": 6, "web002": 3, "db1": 3} {
		if got := byShard(t, []*Host{{Name: name}}, 8)[name]; got != want {
			t.Errorf("%s is in shard %d/8, and was in %d/8", name, got, want)
		}
	}
	if got := (Shard{}).Choose(hosts); len(got) != 1000 {
		t.Errorf("the whole has %d hosts", len(got))
	}
	if got := byShard(t, nil, 3); len(got) != 0 {
		t.Error(got)
	}
}
