package engine

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A record is one entry of a program's journal, as program.sh writes it.
type record struct {
	kind    string // run, between, begin, ask, end or done
	text    string // of run and between: the rest of the line
	number  int    // of the step
	verdict string
	status  int
	took    time.Duration
	out     [2]int64 // bytes of its stdout and stderr when it ended
	state   string
	lost    bool // not all of its output has come, nor will it
}

// A journalReader cuts records from the bytes of a journal as they arrive.
type journalReader struct {
	buf bytes.Buffer
	at  int64 // bytes of the journal received so far
}

// feed takes the bytes that follow those it has and returns the records that they complete.
func (j *journalReader) feed(p []byte) ([]record, error) {
	j.buf.Write(p)
	j.at += int64(len(p))
	var records []record
	for {
		r, n, err := parseRecord(j.buf.Bytes())
		if err != nil {
			return records, err
		}
		if n == 0 {
			return records, nil
		}
		j.buf.Next(n)
		records = append(records, r)
	}
}

// lineLimit is longer than any first line of a record: what has no end is not waited for.
const lineLimit = 64 << 10

// parseRecord reads one record and returns how many bytes it took; 0 if more are needed.
func parseRecord(b []byte) (record, int, error) {
	line, _, ok := bytes.Cut(b, []byte("\n"))
	if len(line) > lineLimit {
		return record{}, 0, fmt.Errorf("the journal on the host is damaged: a line of it begins with %q and has no end", line[:40])
	}
	if !ok {
		return record{}, 0, nil
	}
	n := len(line) + 1
	fields := strings.Fields(string(line))
	bad := func() (record, int, error) {
		return record{}, 0, fmt.Errorf("the journal on the host is damaged: %q", line)
	}
	if len(fields) < 2 {
		return bad()
	}
	r := record{kind: fields[0]}
	var err error
	switch r.kind {
	case "run", "between":
		_, r.text, _ = strings.Cut(string(line), " ")
	case "begin":
		if r.number, err = strconv.Atoi(fields[1]); err != nil {
			return bad()
		}
	case "done":
		r.verdict = fields[1]
	case "ask":
		if len(fields) != 3 {
			return bad()
		}
		length, lerr := strconv.Atoi(fields[2])
		if r.number, err = strconv.Atoi(fields[1]); err != nil || lerr != nil || length < 0 || length > fragmentLimit {
			return bad()
		}
		if len(b) < n+length+1 {
			return record{}, 0, nil
		}
		r.state = string(b[n : n+length])
		n += length + 1
	case "end":
		if len(fields) != 8 {
			return bad()
		}
		r.verdict = fields[2]
		length, lerr := strconv.Atoi(fields[7])
		if r.number, err = strconv.Atoi(fields[1]); err != nil || lerr != nil || length < 0 || length > fragmentLimit {
			return bad()
		}
		if r.status, err = strconv.Atoi(fields[3]); err != nil {
			return bad()
		}
		r.took = span(fields[4])
		for i := range r.out {
			if r.out[i], err = strconv.ParseInt(fields[5+i], 10, 64); err != nil || r.out[i] < 0 {
				return bad()
			}
		}
		if len(b) < n+length+1 {
			return record{}, 0, nil
		}
		r.state = string(b[n : n+length])
		n += length + 1
	default:
		return bad()
	}
	return r, n, nil
}

// span reads "FROM-TO", two times in seconds since boot.
func span(s string) time.Duration {
	from, to, _ := strings.Cut(s, "-")
	a, err1 := strconv.ParseFloat(from, 64)
	b, err2 := strconv.ParseFloat(to, 64)
	if err1 != nil || err2 != nil || b < a {
		return 0
	}
	return time.Duration((b - a) * float64(time.Second))
}
