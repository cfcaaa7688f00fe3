package kinds

import (
	"fmt"
	"strings"

	"provision/internal/shell"
)

// iniAwk reads a file as readINI does, and judges the sections that are meant: those of the name $SECTION that have the keys $WKEYS with
// the values $WVALUES. $MODE says what it prints:
//
//	present   "same" if each of $KEYS is there once with its value of $VALUES, or "differ"
//	absent    "same" if none of $KEYS is there, or "differ"
//	section   "same" if there is no such section, or "differ"
//	count     how often each of $KEYS is there, a number a line
//	value     the value of the only one of $KEYS, without a line break
//
// Keys and values come one a line. Lines that continue a value are joined to it by a line break,
// which no wanted value has.
const iniAwk = `function trim(s) { sub(/^[ \t\r]+/, "", s); sub(/[ \t\r]+$/, "", s); return s }
function indent(s) { match(s, /^[ \t]*/); return RLENGTH }
function separator(s, e, c) {
	e = index(s, "=")
	c = index(s, ":")
	if (!c || e && e < c) return e
	return !e || substr(s, c + 1, 1) ~ /[ \t]/ ? c : e
}
BEGIN {
	n = split(ENVIRON["KEYS"], k, "\n"); split(ENVIRON["VALUES"], v, "\n")
	w = split(ENVIRON["WKEYS"], wk, "\n"); split(ENVIRON["WVALUES"], wv, "\n")
	inside = sections = (ENVIRON["SECTION"] == "")
}
NR == 1 { sub(/^\357\273\277/, "") }
{
	text = trim($0)
	end = substr(text, 1, 1) == "[" ? index(text, "]") : 0
	if (open && (slash || text != "" && indent($0) > deep && text !~ /^[#;]/ && !end)) {
		if (at) got[sections, at] = got[sections, at] "\n" text
		for (j = 1; j <= w; j++) if (whole[j]) { has[sections, j]--; whole[j] = 0 }
		slash = (text ~ /\\$/)
		next
	}
	if (text == "") open = 0
	if (text == "" || text ~ /^[#;]/) next
	open = at = 0
	if (end) {
		inside = (ENVIRON["SECTION"] != "" && trim(substr(text, 2, end - 2)) == ENVIRON["SECTION"])
		sections += inside
		next
	}
	open = 1
	deep = indent($0)
	slash = (text ~ /\\$/)
	eq = separator(text)
	key = eq ? trim(substr(text, 1, eq - 1)) : text
	value = eq ? trim(substr(text, eq + 1)) : ""
	for (j = 1; j <= w; j++) {
		whole[j] = inside && wk[j] "" == key && wv[j] "" == value
		if (whole[j]) has[sections, j]++
	}
	if (!inside) next
	for (i = 1; i <= n; i++) if (k[i] "" == key) {
		at = i
		count[sections, i]++
		got[sections, i] = value
	}
}
END {
	mode = ENVIRON["MODE"]
	for (c = 1; c <= sections; c++) {
		meant = 1
		for (j = 1; j <= w; j++) if (!has[c, j]) meant = 0
		if (!meant) continue
		there++
		for (i = 1; i <= n; i++) if (count[c, i]) { total[i] += count[c, i]; found[i] = got[c, i] }
	}
	if (mode == "value") { printf "%s", found[1]; exit }
	for (i = 1; i <= n; i++) {
		if (mode == "count") print total[i] + 0
		if (mode == "present" && (total[i] != 1 || found[i] "" != v[i] "")) bad = 1
		if (mode == "absent" && total[i]) bad = 1
	}
	if (mode == "section" && there) bad = 1
	if (mode != "count") print bad ? "differ" : "same"
}`

func (s *ini) Probe() string {
	var b strings.Builder
	var keys, values []string
	for _, v := range s.wanted() {
		keys = append(keys, v.Name)
		if !s.secret() {
			values = append(values, v.Value.Reveal())
		}
	}
	var whereKeys, whereValues []string
	for _, v := range s.Where {
		whereKeys, whereValues = append(whereKeys, v.Name), append(whereValues, v.Value.Reveal())
	}
	fmt.Fprintf(&b, "SECTION=%s MODE=%s\nKEYS=%s\nVALUES=%s\nWKEYS=%s WVALUES=%s\nexport SECTION MODE KEYS VALUES WKEYS WVALUES\nprogram=%s\n",
		shell.Quote(s.Section), s.mode(), shell.Quote(strings.Join(keys, "\n")), shell.Quote(strings.Join(values, "\n")),
		shell.Quote(strings.Join(whereKeys, "\n")), shell.Quote(strings.Join(whereValues, "\n")), shell.Quote(iniAwk))
	if s.secret() {
		return s.ProbeSecret(b.String() + s.probeSums())
	}
	return s.Edit.Probe(b.String() + "r=$(awk \"$program\" <\"$p\")")
}

func (s *ini) mode() string {
	switch {
	case s.secret():
		return "count"
	case s.State == "absent" && len(s.wanted()) == 0:
		return "section"
	}
	return s.State
}

// probeSums is sh that prints for every key the salted sum of its value, or how often it is
// there instead of once. The wanted values are not known on the host: the content is always sent.
func (s *ini) probeSums() string {
	var b strings.Builder
	b.WriteString("counts=$(awk \"$program\" <\"$p\") || exit 1\nMODE=value\n")
	for i, v := range s.wanted() {
		fmt.Fprintf(&b, "count=${counts%%%%\"\n\"*} counts=${counts#*\"\n\"}\nKEYS=%s\n", shell.Quote(v.Name))
		fmt.Fprintf(&b, `if [ "$count" = 1 ]; then
	s=$({ printf '%%s' "$SALT"; awk "$program" <"$p"; } | sha256sum) || exit 1
	say value.%d "${s%%%% *}"
else
	say value.%d "times $count"
fi
`, i+1, i+1)
	}
	return b.String()
}
