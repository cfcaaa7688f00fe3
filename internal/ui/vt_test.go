package ui

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// A vt is as much of a terminal as Progress needs: it knows lines, wrapping, scrolling, cursor
// up, and erasing, and breaks lines anew when its width changes, as terminals do. Anything else
// fails the test.
type vt struct {
	t             *testing.T
	width, height int
	rows          []vtRow // scrollback and screen; the last height of them are the screen
	row, col      int     // cursor; row counts from the top of rows
	widest        int     // widest line that was ever drawn in one go
}

type vtRow struct {
	cells   []string
	wrapped bool // goes on in the next row
}

func newVT(t *testing.T, width, height int) *vt {
	return &vt{t: t, width: width, height: height, rows: []vtRow{{}}}
}

func (v *vt) Write(p []byte) (int, error) {
	s := string(p)
	if !utf8.ValidString(s) {
		v.t.Errorf("invalid UTF-8 on the terminal: %q", s)
	}
	for s != "" {
		switch {
		case strings.HasPrefix(s, "\x1b["):
			s = v.escape(s)
			continue
		case s[0] == '\n':
			v.row++
			v.col = 0
			v.grow()
			s = s[1:]
			continue
		case s[0] == '\r':
			v.col = 0
			s = s[1:]
			continue
		case s[0] < 0x20:
			v.t.Fatalf("control %q on the terminal", s[0])
		}
		var cluster string
		var w int
		cluster, s, w, _ = uniseg.FirstGraphemeClusterInString(s, -1)
		v.put(cluster, w)
	}
	return len(p), nil
}

func (v *vt) grow() {
	for v.row >= len(v.rows) {
		v.rows = append(v.rows, vtRow{})
	}
}

func (v *vt) put(cluster string, w int) {
	if v.col+w > v.width {
		v.rows[v.row].wrapped = true
		v.row++
		v.col = 0
		v.grow()
	}
	r := &v.rows[v.row]
	for len(r.cells) < v.col+w {
		r.cells = append(r.cells, " ")
	}
	r.cells[v.col] = cluster
	for i := 1; i < w; i++ {
		r.cells[v.col+i] = ""
	}
	v.col += w
	v.widest = max(v.widest, v.col)
}

func (v *vt) escape(s string) string {
	end := strings.IndexFunc(s[2:], func(r rune) bool { return r >= '@' }) + 2
	n, _ := strconv.Atoi(s[2:end])
	switch s[end] {
	case 'A':
		top := max(0, len(v.rows)-v.height)
		v.row = max(top, v.row-max(1, n))
	case 'K':
		v.erase()
	case 'J':
		v.erase()
		v.rows = v.rows[:v.row+1]
	case 'm':
	default:
		v.t.Fatalf("escape %q on the terminal", s[:end+1])
	}
	return s[end+1:]
}

func (v *vt) erase() {
	r := &v.rows[v.row]
	r.cells, r.wrapped = r.cells[:min(len(r.cells), v.col)], false
}

// resize breaks the lines anew; the cursor stays with its character.
func (v *vt) resize(width, height int) {
	var rows []vtRow
	row, col := 0, 0
	for i := 0; i < len(v.rows); {
		var cells []string
		at := -1
		for {
			if i == v.row {
				at = len(cells) + v.col
			}
			cells = append(cells, v.rows[i].cells...)
			i++
			if !v.rows[i-1].wrapped || i == len(v.rows) {
				break
			}
		}
		if at >= 0 {
			row, col = len(rows)+at/width, at%width
			if at > 0 && at == len(cells) && col == 0 { // behind the last column
				row, col = row-1, width
			}
		}
		for len(cells) > width {
			rows = append(rows, vtRow{cells: append([]string(nil), cells[:width]...), wrapped: true})
			cells = cells[width:]
		}
		rows = append(rows, vtRow{cells: append([]string(nil), cells...)})
	}
	v.rows, v.row, v.col, v.width, v.height = rows, row, col, width, height
	v.grow()
}

// text returns scrollback and screen.
func (v *vt) text() string {
	var b strings.Builder
	for i, r := range v.rows {
		line := strings.Join(r.cells, "")
		if !r.wrapped {
			line = strings.TrimRight(line, " ")
			if i < len(v.rows)-1 {
				line += "\n"
			}
		}
		b.WriteString(line)
	}
	return b.String()
}
