# apt_sources SKIP: a line "FILE|URI|SUITE|KEY" for every archive that the other sources of apt name, as sources.list(5) has
# them. SKIP is the file that the step writes. A key in the text of a file is "inline".
apt_sources() {
	for sources_file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -f "$sources_file" ] && [ "$sources_file" != "$1" ] || continue
		awk -v file="$sources_file" '
			$1 != "deb" && $1 != "deb-src" { next }
			{
				sub(/#.*/, "")
				key = "none"; at = 2
				if ($2 ~ /^\[/) {
					while (at <= NF) {
						word = $at
						gsub(/[][]/, "", word)
						if (word ~ /^signed-by=/) key = substr(word, 11)
						if ($(at++) ~ /\]$/) break
					}
				}
				if (at < NF) print file "|" $at "|" $(at + 1) "|" key
			}' "$sources_file" || return 1
	done
	for sources_file in /etc/apt/sources.list.d/*.sources; do
		[ -f "$sources_file" ] && [ "$sources_file" != "$1" ] || continue
		awk -v file="$sources_file" '
			function flush(i, j, n, m, u, s) {
				if (enabled != "no") {
					n = split(uris, u, " "); m = split(suites, s, " ")
					for (i = 1; i <= n; i++) for (j = 1; j <= m; j++) print file "|" u[i] "|" s[j] "|" (key == "" ? "none" : key)
				}
				uris = suites = key = enabled = field = ""
			}
			/^#/ { next }
			/^[ \t]*$/ { flush(); next }
			/^[^ \t]/ {
				field = tolower($0); sub(/:.*/, "", field)
				value = $0; sub(/^[^:]*:[ \t]*/, "", value); sub(/[ \t\r]+$/, "", value)
				if (field == "uris") uris = value
				if (field == "suites") suites = value
				if (field == "signed-by") key = value
				if (field == "enabled") enabled = tolower(value)
				next
			}
			field == "uris" { uris = uris " " $0 }
			field == "suites" { suites = suites " " $0 }
			field == "signed-by" { key = "inline" }
			END { flush() }' "$sources_file" || return 1
	done
}
