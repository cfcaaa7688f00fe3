# Wraps Debian's packages, one rpm each, and makes repositories of them. Sourced by build.sh, in its directory.

# el7 DEB-NAME: the name that CentOS 7, or Docker's site for it, has for a package.
el7() {
	case $1 in
	libssl-dev) echo openssl-devel ;;
	libbz2-dev) echo bzip2-devel ;;
	libexpat1-dev) echo expat-devel ;;
	libgdbm-dev) echo gdbm-devel ;;
	libreadline-dev) echo readline-devel ;;
	libsqlite3-dev) echo sqlite-devel ;;
	zlib1g-dev) echo zlib-devel ;;
	libffi-dev) echo libffi-devel ;;
	libc6-dev) echo glibc-devel ;;
	linux-libc-dev) echo kernel-headers ;;
	dnf-plugins-core) echo yum-utils ;;
	docker.io) echo docker-ce ;;
	docker-cli) echo docker-ce-cli ;;
	containerd) echo containerd.io ;;
	docker-buildx) echo docker-buildx-plugin ;;
	docker-compose) echo docker-compose-plugin ;;
	*) echo "$1" ;;
	esac
}

# unpack DEB: its files into root/, with merged /usr as on the host, and their names into files/NAME.
unpack() {
	name=$(dpkg-deb --field "$1" Package)
	dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C root --exclude=./usr/share/doc --exclude=./usr/share/man \
		--exclude=./usr/share/info --exclude=./usr/share/locale --exclude=./usr/share/lintian
	dpkg-deb --fsys-tarfile "$1" | tar -t | sed -n -e '/\/$/d' -e '\,^./usr/share/\(doc\|man\|info\|locale\|lintian\)/,d' \
		-e 's,^\./\(bin\|sbin\|lib\|lib64\)/,./usr/\1/,' -e 's,^\.,,p' >"files/$name"
	dpkg-deb --field "$1" >"fields/$name"
}

field() { sed -n "s/^$2: //p" "fields/$1"; }

# describe NAME: its part of the spec. Dependencies on what the host has anyway are left out.
describe() {
	name=$(el7 "$1")
	version=$(field "$1" Version | sed 's/^[0-9]*://; s/-[^-]*$//; s/[~+].*//')
	[ "$name" != sqlite-devel ] || version=3.7.17
	echo "%package -n $name"
	echo "Version: $version"
	echo "Summary: $(field "$1" Description)"
	echo "AutoReqProv: no"
	for needed in $(printf '%s, %s\n' "$(field "$1" Pre-Depends)" "$(field "$1" Depends)" | sed 's/|[^,]*//g; s/([^)]*)//g; s/:any//g; s/,/ /g'); do
		[ ! -e "fields/$needed" ] || echo "Requires: $(el7 "$needed")"
	done
	printf '%%description -n %s\nDebian'"'"'s package %s.\n' "$name" "$1"
	# A library is found by name only through the cache.
	case $1 in lib*) echo "%post -n $name -p /sbin/ldconfig" ;; esac
	[ "$1" != docker.io ] || printf '%%post -n docker-ce\ngetent group docker >/dev/null || groupadd --system docker\nsystemctl daemon-reload >/dev/null 2>&1 || :\n'
	[ "$1" != containerd ] || printf '%%post -n containerd.io\nsystemctl daemon-reload >/dev/null 2>&1 || :\n'
	echo "%files -n $name"
	sed -e 's,.*,"&",' -e 's,^"/etc/,%config(noreplace) &,' "files/$1"
}

mkdir -p root/usr/bin root/usr/sbin root/usr/lib root/usr/lib64 files fields repos
for dir in bin sbin lib lib64; do ln -s "usr/$dir" "root/$dir"; done
for deb in $(sed 's,^,debs/,' debs.el7) newer-debs/*.deb; do unpack "$deb"; done

# What maintainer scripts and other packages of Debian would do.
ln -s gcc root/usr/bin/cc
echo /usr/bin/cc >>files/gcc
# The plugin has no compose of its own in PATH.
sed -i '\,^/usr/bin/docker-compose$,d' files/docker-compose
# The engine refuses networks where it cannot switch IPv6 off, as inside a container.
sed -i 's/^\[Service\]$/&\nEnvironment=DOCKER_ALLOW_IPV6_ON_IPV4_INTERFACE=1/' root/usr/lib/systemd/system/docker.service
sed -i '/init\.d/d' files/docker.io
# What containers were run by years ago, and nothing runs any more.
sed -i '/shim$\|shim-runc-v1$/d' files/containerd
# The engine of Docker's site has runc in the package of containerd, and no other name for it.
echo 'Depends: runc' >>fields/docker-buildx
printf '#!/bin/sh\nexec yum config-manager "$@"\n' >root/usr/bin/yum-config-manager
chmod 0755 root/usr/bin/yum-config-manager
echo /usr/bin/yum-config-manager >>files/dnf-plugins-core
sed -i '\,/dnf-plugins/local\.py$\|/plugins/local\.conf$,d' files/dnf-plugins-core

{
	cat <<'END'
%define debug_package %{nil}
%define _build_id_links none
%define __spec_install_post %{nil}
%define _unpackaged_files_terminate_build 0
Name: wrapped
Version: 1
Release: 1.el7
Summary: Debian's packages as rpms
License: see the Debian packages
%description
Debian's packages as rpms.
%install
rmdir %{buildroot} && mv /w/root %{buildroot}
END
	for name in $(ls fields); do describe "$name"; done
	for name in device-mapper-persistent-data lvm2; do
		printf '%%package -n %s\nSummary: Stand-in\nAutoReqProv: no\n%%description -n %s\nEmpty: a container has no devices to map.\n%%files -n %s\n' $name $name $name
	done
} >wrapped.spec
rpmbuild --quiet -bb --target x86_64 --define '_rpmdir /w/rpms' --define '_binary_payload w0.ufdio' wrapped.spec
rpmbuild --quiet -bb --target x86_64 --define '_rpmdir /w/updates' --define "_sourcedir $here/../el7" \
	--define 'release_minor 1' --define 'tzdata_version 2024a' "$here/../el7/base.spec"
rm -f updates/x86_64/base-stand-in-*

# A repository that is checked needs a key. It lives as long as this content, and signs nothing else.
export GNUPGHOME=/w/gnupg
mkdir -m 0700 $GNUPGHOME
gpg --batch --quiet --passphrase '' --quick-gen-key 'CentOS-7 stand-in for tests' rsa2048 sign never
find rpms updates -name '*.rpm' -print0 | xargs -0 -P 2 -n 8 rpmsign --define '__gpg /usr/bin/gpg' --define '_gpg_name CentOS-7' --addsign

centos=/out/7.9.2009 docker=/out/docker/linux/centos
mkdir -p $centos/os/x86_64 $centos/updates/x86_64 $centos/extras/x86_64 $docker/7/x86_64/stable
for name in docker.io docker-cli containerd docker-buildx docker-compose runc tini; do
	mv rpms/x86_64/"$(el7 $name)"-[0-9]*.rpm $docker/7/x86_64/stable/
done
mv rpms/x86_64/*.rpm $centos/os/x86_64/
mv updates/x86_64/*.rpm $centos/updates/x86_64/
for repo in $centos/*/x86_64 $docker/7/x86_64/stable; do createrepo_c --quiet --general-compress-type=gz "$repo"; done
gpg --armor --export >/out/RPM-GPG-KEY-CentOS-7
cp /out/RPM-GPG-KEY-CentOS-7 $docker/gpg
cp "$here/docker-ce.repo" $docker/
