# Facts of the host, as variables F_… for probes and operations, and print_facts.
F_OS_ID=linux F_OS_NAME=Linux F_OS_VERSION= F_OS_LIKE=
for facts_file in /etc/os-release /usr/lib/os-release; do
	[ -r "$facts_file" ] || continue
	while IFS='=' read -r facts_key facts_value; do
		case $facts_value in
		\"*\") facts_value=${facts_value#\"} facts_value=${facts_value%\"} ;;
		\'*\') facts_value=${facts_value#\'} facts_value=${facts_value%\'} ;;
		esac
		case $facts_key in
		ID) F_OS_ID=$facts_value ;;
		PRETTY_NAME) F_OS_NAME=$facts_value ;;
		VERSION_ID) F_OS_VERSION=$facts_value ;;
		ID_LIKE) F_OS_LIKE=$facts_value ;;
		esac
	done <"$facts_file"
	break
done
F_OS_LIKE="$F_OS_ID${F_OS_LIKE:+ $F_OS_LIKE}"

# yum of Red Hat 8 and later is dnf under its old name; CentOS 7 has yum 3 alone.
F_PACKAGE_MANAGER=
for facts_key in apt-get dnf yum apk zypper pacman; do
	if have "$facts_key"; then
		F_PACKAGE_MANAGER=$facts_key
		break
	fi
done
[ "$F_PACKAGE_MANAGER" != apt-get ] || F_PACKAGE_MANAGER=apt

if [ -d /run/systemd/system ]; then
	F_INIT=systemd
elif have openrc || [ -x /sbin/openrc-run ]; then
	F_INIT=openrc
elif [ -d /etc/init.d ]; then
	F_INIT=sysv
else
	F_INIT=
fi

F_UID=$(id -u)

print_facts() {
	say os_id "$F_OS_ID"
	say os_name "$F_OS_NAME"
	say os_version "$F_OS_VERSION"
	say os_like "$F_OS_LIKE"
	facts_value=$(uname -m -r -n)
	# uname prints nodename, release, machine in this order whatever the order of the options.
	say hostname "${facts_value%% *}"
	say arch "${facts_value##* }"
	facts_value=${facts_value#* }
	say kernel "${facts_value%% *}"
	facts_value=0
	while IFS=' :	' read -r facts_key facts_file; do
		[ "$facts_key" != processor ] || facts_value=$((facts_value + 1))
	done </proc/cpuinfo
	have nproc && facts_value=$(nproc)
	say cpus "$facts_value"
	while IFS=': ' read -r facts_key facts_value facts_file; do
		if [ "$facts_key" = MemTotal ]; then
			say memory_mb $((facts_value / 1024))
			break
		fi
	done </proc/meminfo
	say user "${SUDO_USER:-${DOAS_USER:-$(id -un)}}"
	if [ -n "${SUDO_USER:-${DOAS_USER:-}}" ]; then
		say home "$(home_of "${SUDO_USER:-$DOAS_USER}")"
		say is_root false
	else
		say home "${HOME:-/}"
		if [ "$F_UID" = 0 ]; then say is_root true; else say is_root false; fi
	fi
	say package_manager "$F_PACKAGE_MANAGER"
	say init "$F_INIT"
	if [ -r /sys/fs/selinux/enforce ]; then
		IFS= read -r facts_value </sys/fs/selinux/enforce
		if [ "$facts_value" = 1 ]; then say selinux enforcing; else say selinux permissive; fi
	else
		say selinux disabled
	fi
	IFS= read -r facts_value </proc/sys/kernel/random/boot_id
	say boot_id "$facts_value"
}
