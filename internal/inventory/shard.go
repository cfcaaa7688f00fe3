package inventory

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// maxShards bounds the number of control machines that divide a fleet.
const maxShards = 10000

// A Shard is the part of the hosts that one of several control machines takes.
type Shard struct {
	Index int // from 1
	Of    int // how many parts there are; 0 in the zero value, which is the whole
}

// ParseShard reads "I/N", such as "1/4" to "4/4".
func ParseShard(text string) (Shard, error) {
	i, n, ok := strings.Cut(text, "/")
	index, errIndex := strconv.Atoi(i)
	of, errOf := strconv.Atoi(n)
	switch {
	case !ok || errIndex != nil || errOf != nil:
		return Shard{}, fmt.Errorf("the shard %q is not written as I/N: 1/4 is the first of four", text)
	case of < 1 || of > maxShards:
		return Shard{}, fmt.Errorf("the shard %q: the number of shards must be from 1 to %d", text, maxShards)
	case index < 1 || index > of:
		return Shard{}, fmt.Errorf("the shard %q: shards count from 1 to %d; where a number counts from 0, as JOB_COMPLETION_INDEX does, add 1", text, of)
	}
	return Shard{Index: index, Of: of}, nil
}

// String is "I/N", and "" for the whole.
func (s Shard) String() string {
	if s.Of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Of)
}

// Choose returns the hosts that belong to the shard, in their order. Which one a host belongs to depends on its name and on
// the number of shards alone: hosts that come or go move no other, and one shard more takes its hosts evenly from the others.
func (s Shard) Choose(hosts []*Host) []*Host {
	if s.Of == 0 {
		return hosts
	}
	var chosen []*Host
	for _, h := range hosts {
		if shardOf(h.Name, s.Of) == s.Index-1 {
			chosen = append(chosen, h)
		}
	}
	return chosen
}

// shardOf is the jump consistent hash of Lamping and Veach (arXiv 1406.2294) of a name: a number below n.
func shardOf(name string, n int) int {
	sum := sha256.Sum256([]byte(name))
	key := binary.BigEndian.Uint64(sum[:])
	bucket, next := int64(-1), int64(0)
	for next < int64(n) {
		bucket = next
		key = key*2862933555777941757 + 1
		next = int64(float64(bucket+1) * (float64(int64(1)<<31) / float64(key>>33+1)))
	}
	return int(bucket)
}
