package ui

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"

	"provision/internal/event"
	"provision/internal/record"
)

// RunsTable writes one line for each run.
func RunsTable(w io.Writer, runs []record.Run, s Style) error {
	head := []string{"RUN", "WHEN", "COMMAND", "PLAYBOOK", "WHO", "HOSTS", "TOOK", "RESULT"}
	const playbook, who, result = 3, 4, 7
	rows := [][]string{head}
	tones := []tone{strong}
	for i := range runs {
		r := &runs[i]
		rows = append(rows, []string{
			Line(r.ID), r.Start.Local().Format("2006-01-02 15:04"), runCommand(r), Line(r.Playbook), runOwner(r),
			hostTotals(r.Totals), short(time.Duration(r.Duration)), runResult(r),
		})
		tones = append(tones, resultTone(r))
	}
	widths := make([]int, len(head))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], width(cell))
		}
	}
	// Where the screen is too narrow, the columns that cost least go first.
	for _, i := range []int{who, playbook} {
		total := -2
		for _, n := range widths {
			total += n + 2
		}
		if s.Width > 0 && total > s.Width {
			widths[i] = max(8, widths[i]-(total-s.Width))
		}
	}
	out := bufio.NewWriter(w)
	for n, row := range rows {
		for i, cell := range row {
			cell = cut(cell, widths[i], s.dots())
			switch {
			case i == result:
				fmt.Fprint(out, s.paint(tones[n], cell))
			case n == 0:
				fmt.Fprint(out, s.paint(strong, pad(cell, widths[i])), "  ")
			default:
				fmt.Fprint(out, pad(cell, widths[i]), "  ")
			}
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}

func runCommand(r *record.Run) string {
	switch {
	case len(r.Merges) > 0:
		return fmt.Sprintf("%s (%d merged)", Line(r.Command), len(r.Merges))
	case r.Resumes != "":
		return "resume"
	}
	return Line(r.Command)
}

// runOwner is who ran it and where, without the moment.
func runOwner(r *record.Run) string {
	who, _, _ := strings.Cut(Line(r.Owner), " since ")
	return who
}

func runResult(r *record.Run) string {
	if r.Exit == 0 {
		return Line(r.Status)
	}
	return fmt.Sprintf("%s, exit %d", Line(r.Status), r.Exit)
}

func resultTone(r *record.Run) tone {
	switch r.Status {
	case "ok":
		return good
	case record.Running:
		return running
	case "interrupted", record.Died:
		return unsure
	}
	return bad
}

// hostTotals writes how many hosts ended in which way: 48 ok, 2 failed.
func hostTotals(byStatus map[event.HostStatus]int) string {
	var parts []string
	for _, status := range []event.HostStatus{
		event.HostOK, event.HostFailed, event.HostUnreached, event.HostIsLocked,
		event.HostStale, event.HostInterrupted, event.HostNotReached, event.HostSkipped,
	} {
		if n := byStatus[status]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(status), "_", " ")))
		}
	}
	return strings.Join(parts, ", ")
}
