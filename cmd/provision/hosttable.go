package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"provision/internal/ui"
)

// foldFrom is how many hosts a table may have before those that only count on stand together.
const foldFrom = 40

// A hostRow is a line of the table: one host, or several whose names and addresses count on by one.
type hostRow struct{ first, last hostInfo }

// hostTable prints the hosts. With fold, many of them stand together where they can, and a count of the groups ends the table.
func hostTable(out io.Writer, infos []hostInfo, fold bool) error {
	fold = fold && len(infos) > foldFrom
	var rows []hostRow
	jumps := false
	for _, h := range infos {
		jumps = jumps || len(h.Jump) > 0
		if n := len(rows); fold && n > 0 && rows[n-1].last.countsOn(&h) {
			rows[n-1].last = h
			continue
		}
		rows = append(rows, hostRow{first: h, last: h})
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	via := func(text string) string {
		if !jumps {
			return ""
		}
		return "\t" + text
	}
	fmt.Fprintf(w, "HOST\tADDRESS\tUSER%s\tGROUPS\n", via("VIA"))
	for _, r := range rows {
		address := rangeOf(r.first.Address, r.last.Address)
		if strings.Count(address, ":") > 1 && !strings.HasPrefix(address, "[") {
			address = "[" + address + "]" // an IPv6 address
		}
		address += ":" + strconv.Itoa(r.first.Port)
		fmt.Fprintf(w, "%s\t%s\t%s%s\t%s\n", ui.Line(rangeOf(r.first.Name, r.last.Name)), ui.Line(address), ui.Line(r.first.User),
			via(ui.Line(strings.Join(r.first.Jump, ","))), ui.Line(strings.Join(r.first.Groups, ",")))
	}
	if err := w.Flush(); err != nil || !fold {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s: %s\n", count(len(infos), "host"), ui.Line(groupCounts(infos)))
	return err
}

// groupCounts says how many hosts are in each group: "web 300, db 200".
func groupCounts(infos []hostInfo) string {
	counts := map[string]int{}
	none := 0
	for _, h := range infos {
		if len(h.Groups) == 0 {
			none++
		}
		for _, g := range h.Groups {
			counts[g]++
		}
	}
	var parts []string
	for _, g := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", g, counts[g]))
	}
	if none > 0 {
		parts = append(parts, fmt.Sprintf("without group %d", none))
	}
	return strings.Join(parts, ", ")
}

// countsOn tells whether a host is the next after h and otherwise alike.
func (h *hostInfo) countsOn(next *hostInfo) bool {
	alike := h.Port == next.Port && h.User == next.User && slices.Equal(h.Groups, next.Groups) && slices.Equal(h.Jump, next.Jump)
	return alike && follows(h.Name, next.Name) && follows(h.Address, next.Address)
}

// follows tells whether b is a with its last number one higher, in the same notation.
func follows(a, b string) bool {
	head, digits, tail := lastNumber(a)
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return false
	}
	width := 0
	if digits[0] == '0' {
		width = len(digits)
	}
	return b == head+fmt.Sprintf("%0*d", width, n+1)+tail
}

// lastNumber parts a name around its last run of digits.
func lastNumber(s string) (head, digits, tail string) {
	end := strings.LastIndexAny(s, "0123456789") + 1
	start := end
	for start > 0 && s[start-1] >= '0' && s[start-1] <= '9' {
		start--
	}
	return s[:start], s[start:end], s[end:]
}

// rangeOf writes the names from a to b as one, as --limit and host blocks take it: web[01:20].
func rangeOf(a, b string) string {
	if a == b {
		return a
	}
	head, first, tail := lastNumber(a)
	_, last, _ := lastNumber(b)
	return head + "[" + first + ":" + last + "]" + tail
}
