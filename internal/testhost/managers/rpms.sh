# Makes /srv/rpm/base and /srv/rpm/updates, repositories of tiny packages. The second holds what the first has, and what came later.
# Every package has one file, /usr/share/fruit/NAME, with its version.

work=$(mktemp -d)
mkdir -p /srv/rpm/base /srv/rpm/updates

# rpm DIRECTORY NAME VERSION [LINE OF THE SPEC]...
rpm_of() {
	directory=$1 name=$2 version=$3
	shift 3
	{
		printf '%s\n' "Name: $name" "Version: $version" 'Release: 1' "Summary: $name" 'License: MIT' 'BuildArch: noarch' 'AutoReqProv: no'
		for line in "$@"; do case $line in '%'*) ;; *) printf '%s\n' "$line" ;; esac; done
		printf '%s\n' '%description' "$name" '%install' 'mkdir -p %{buildroot}/usr/share/fruit' "echo $version >%{buildroot}/usr/share/fruit/$name"
		for line in "$@"; do case $line in '%'*) printf '%b\n' "$line" ;; esac; done
		printf '%s\n' '%files' "/usr/share/fruit/$name"
	} >"$work/$name.spec"
	rpmbuild --quiet -bb --define "_topdir $work" --define "_rpmdir $work/rpms" --define '_binary_payload w0.ufdio' "$work/$name.spec"
	mv "$work"/rpms/noarch/*.rpm "$directory/"
}

# zypper wants a package glibc before it installs anything.
rpm_of /srv/rpm/base glibc 2.40 'Provides: /bin/sh'
rpm_of /srv/rpm/base apple 1.0
rpm_of /srv/rpm/base banana 1.0 'Epoch: 1'
rpm_of /srv/rpm/base cherry 1.0
rpm_of /srv/rpm/base date 1.0 'Requires: apple'
rpm_of /srv/rpm/base fig 1.0
rpm_of /srv/rpm/base grape 1.0
# Its transaction stays open as long as /run/hold is there.
rpm_of /srv/rpm/base lime 1.0 '%post\nwhile [ -e /run/hold ]; do sleep 0.1; done'
cp /srv/rpm/base/*.rpm /srv/rpm/updates/
rpm_of /srv/rpm/updates apple 2.0
rpm_of /srv/rpm/updates banana 1.5 'Epoch: 1'
rpm_of /srv/rpm/updates cherry-ng 2.0 'Obsoletes: cherry < 2' 'Provides: cherry = 2.0'
rpm_of /srv/rpm/updates fig 1.1
rpm_of /srv/rpm/updates grape 1.1

for directory in /srv/rpm/base /srv/rpm/updates; do createrepo_c --quiet "$directory"; done
# advisory KIND NAME VERSION
advisory() {
	cat <<END
<update from="test@example.com" status="final" type="$1" version="1"><id>TEST-$2</id><title>$2 $3</title><severity>Important</severity>
<issued date="2026-01-01 00:00:00"/><description>$2</description><pkglist><collection short="t"><name>t</name>
<package name="$2" version="$3" release="1" epoch="0" arch="noarch" src="$2-$3-1.src.rpm"><filename>$2-$3-1.noarch.rpm</filename></package>
</collection></pkglist></update>
END
}
{
	echo '<?xml version="1.0" encoding="UTF-8"?><updates>'
	advisory security fig 1.1
	advisory bugfix grape 1.1
	echo '</updates>'
} >"$work/updateinfo.xml"
modifyrepo_c "$work/updateinfo.xml" /srv/rpm/updates/repodata >/dev/null
rm -r "$work"
