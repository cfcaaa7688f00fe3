# debconf_installed PACKAGE
debconf_installed() {
	have dpkg-query && [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# debconf_look PACKAGE QUESTION absent|secret|open [VALUE]: says what the database has. Nothing is locked.
debconf_look() {
	if ! have debconf-set-selections; then
		[ "$F_PACKAGE_MANAGER" = apt ] || fail "debconf belongs to Debian and its derivatives, and this is $F_OS_NAME; leave the step out with when"
		need command debconf-set-selections
		say question absent
		return 0
	fi
	[ "$F_UID" = 0 ] || fail "only root may read and set debconf's answers; set become = true"
	perl -MDebconf::Db -MDebconf::Question -e '
		my ($package, $name, $how, $wanted) = @ARGV;
		Debconf::Db->load(readonly => "true");
		my $q = Debconf::Question->get($name);
		if (!$q || !$q->template) { print "question absent\n"; exit 0 }
		my $real = ($q->template->description || "") ne "Dummy template";
		print "question ", $real ? "package" : "seed", "\n";
		print "owner ", (grep { $_ eq $package } split /, /, $q->owners) ? "yes" : "no", "\n";
		exit 0 if $how eq "absent";
		my $type = $q->type || "";
		print "type $type\n";
		print "seen ", ($q->flag("seen") || "") eq "true" ? "true" : "false", "\n";
		exit 0 if $how eq "secret";
		my $value = $q->value;
		$value = "" unless defined $value;
		$value =~ s/\n/\001/g;
		print "value $value\n";
		my $choices = $q->template->choices;
		exit 0 unless $real && $type eq "select" && defined $choices && $choices ne "" && $choices !~ /\$\{/;
		my @all = $q->choices_split;
		print "refused ", join(", ", @all), "\n" unless grep { $_ eq $wanted } @all;
	' "$@" || fail "debconf's database cannot be read"
	[ "$3" = secret ] || return 0
	debconf_sum=$({ printf '%s' "$SALT"; perl -MDebconf::Db -MDebconf::Question -e '
		Debconf::Db->load(readonly => "true");
		my $q = Debconf::Question->get($ARGV[0]);
		my $value = $q ? $q->value : "";
		print defined $value ? $value : "";
	' "$2"; } | sha256sum) || return 1
	say sum "${debconf_sum%% *}"
}

# debconf_retry COMMAND...: runs it with $debconf_in as its input, and again as long as another program has the database.
debconf_retry() {
	debconf_left=60
	while :; do
		debconf_out=$(printf '%s\n' "$debconf_in" | "$@" 2>&1) && return 0
		case $debconf_out in *'locked by another process'*) ;; *) fail "$debconf_out" ;; esac
		[ "$debconf_left" -gt 0 ] || fail "another program has debconf's database for a minute already, such as an apt that asks: $debconf_out"
		debconf_left=$((debconf_left - 1))
		sleep 1
	done
}

# debconf_set PACKAGE QUESTION SEEN: the line of the answer comes by standard input.
debconf_set() {
	debconf_in=$(cat)
	debconf_retry debconf-set-selections -u
	debconf_in="$1 $2 seen $3"
	debconf_retry debconf-set-selections
}

# debconf_forget PACKAGE QUESTION
debconf_forget() {
	debconf_in="unregister $2"
	debconf_retry debconf-communicate "$1"
	case $debconf_out in 0*) ;; *) fail "debconf-communicate: $debconf_out" ;; esac
}
