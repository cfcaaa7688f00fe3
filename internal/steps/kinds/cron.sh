# cron_reader: says which program will read a file in /etc/cron.d, where that is not cron(8).
cron_reader() {
	if have cron || have bcron-sched || [ -e /usr/lib/systemd/system-generators/systemd-crontab-generator ]; then
		return 0
	elif ! have crond; then
		need command 'cron or crond'
	elif is_busybox crond; then
		say reader busybox
	fi
}

# is_busybox COMMAND: is it an applet of busybox?
is_busybox() {
	case $(readlink -f "$(command -v "$1")") in */busybox*) return 0 ;; esac
	return 1
}

# cron_user NAME: an account that the job needs.
cron_user() {
	account passwd "$1" >/dev/null
	case $? in
	0) ;;
	2) need user "$1" ;;
	*) fail "the account $1 could not be looked up" ;;
	esac
}

# cron_table USER: prints the crontab of a user; nothing where there is none.
cron_table() {
	cron_options "$1"
	# shellcheck disable=SC2086
	table_error=$(crontab $CRON_OPTIONS -l 2>&1 >/dev/null) || {
		case $table_error in *"no crontab for"* | *"No such file"* | *"does not exist"*) return 0 ;; esac
		fail "the crontab of $1 cannot be read: $table_error"
	}
	# shellcheck disable=SC2086
	crontab $CRON_OPTIONS -l
}

# cron_options USER: sets CRON_OPTIONS to those that make crontab(1) take the table of a user, whose name needs no quotes.
cron_options() {
	CRON_OPTIONS="-u $1"
	[ "$(id -u)" -ne 0 ] || return 0
	CRON_OPTIONS=
	[ "$(id -un)" = "$1" ] || fail "only root may use the crontab of $1; set become = true, or run_as = \"$1\""
}

# cron_jobs WORD MARK LINE: reads a crontab. With "look" it says "job LINE" for the job after a mark, "bare" where there is none, and
# "unmarked" for LINE without a mark. With "set" it prints the table with one mark and LINE in the first of these places, or
# at the end; with "drop" the table without any of them. Cron passes over a mark, and over what stands between it and a job: comments,
# empty lines and variables after a mark stay where they are. Behind them the job is known by its command, and "between LINE" is a
# job of which nobody can tell whose it is.
cron_jobs() {
	CRON_WORD=$1 CRON_MARK=$2 CRON_LINE=$3
	export CRON_WORD CRON_MARK CRON_LINE
	awk '
	BEGIN {
		word = ENVIRON["CRON_WORD"]; mark = ENVIRON["CRON_MARK"]; line = ENVIRON["CRON_LINE"]
		command = line
		for (i = line ~ /^@/ ? 1 : 5; i > 0; i--) sub(/^[^ ]+ +/, "", command)
	}
	function found(text) {
		if (word == "look") print text
		else if (word == "set" && !done) { print mark; printf "%s", held; print line; held = "" }
		if (word != "look") printf "%s", held
		held = ""
		done = 1
	}
	# What no job follows comes after the job.
	function bare() {
		text = held
		held = ""
		found("bare yes")
		if (word != "look") printf "%s", text
	}
	# An editor may have left blanks or a carriage return behind the command.
	function ours(text) {
		sub(/[ \t\r]+$/, "", text)
		return command != "" && length(text) > length(command) && substr(text, length(text) - length(command)) ~ /^[ \t]/ &&
			substr(text, length(text) - length(command) + 1) == command
	}
	function is_mark(text) {
		sub(/[ \t\r]+$/, "", text)
		return text == mark
	}
	# No job, and neither the mark of another one nor one that somebody has commented out.
	marked && !/^[ \t]*[0-9*@~?%&!-]/ && !/^# provision: / && !/^[ \t]*#+[ \t]*(@[a-z]+|[0-9*][^ \t]*[ \t]+[0-9*][^ \t]*[ \t]+[^ \t]+[ \t]+[^ \t]+[ \t]+[^ \t]+)[ \t]+[^ \t]/ {
		held = held $0 "\n"
		next
	}
	marked {
		marked = 0
		if ($0 !~ /^[ \t]*#/) {
			if (held == "" || ours($0)) { found("job " $0); next }
			if (word == "look") print "between " $0
		}
		bare()
	}
	is_mark($0) { marked = 1; foreign = 0; next }
	# A job behind the mark of another step belongs to that step, even if it is the same.
	/^# provision: / { foreign = 1 }
	foreign && /^[ \t]*[0-9*@~?%&!-]/ { foreign = 0; if (word != "look") print; next }
	line != "" && $0 == line { found("unmarked yes"); next }
	word != "look" { print }
	END {
		if (marked) bare()
		if (word == "set" && !done) found("")
	}'
}

# cron_write USER WORD MARK LINE: puts a crontab in place as cron_jobs makes it.
cron_write() {
	write_user=$1
	cron_options "$1"
	write_table=$(cron_table "$1" && echo .) || exit 1 # with the empty lines at the end
	write_table=${write_table%.}
	case $write_table in '' | *"$NL") ;; *) write_table=$write_table$NL ;; esac
	shift
	# shellcheck disable=SC2086
	printf '%s' "$write_table" | cron_jobs "$@" | crontab $CRON_OPTIONS - ||
		fail "crontab does not take the table of $write_user; correct the lines that it names, or let the user run cron jobs (cron.allow, cron.deny)"
}
