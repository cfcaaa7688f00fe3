# Leaves one package manager on the host, $MANAGER, under the names that it has in its distribution, with one repository, "test".
case $MANAGER in
dnf5) release='ID=fedora\nVERSION_ID=44\nPRETTY_NAME="Fedora Linux 44"\n' program=dnf5 names='dnf yum' now=rpm ;;
dnf) release='ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.6"\nPRETTY_NAME="Rocky Linux 9.6"\n' program=dnf-3 names='dnf yum' now=rpm ;;
zypper) release='ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="16.0"\nPRETTY_NAME="openSUSE Leap 16.0"\n' program=zypper names= now=rpm ;;
pacman) release='ID=arch\nPRETTY_NAME="Arch Linux"\n' program=pacman names= now=pacman ;;
esac
for other in apt apt-get apt-cache apt-mark dpkg dpkg-query dnf dnf-3 dnf5 zypper pacman; do
	[ "$other" = $program ] || mv /usr/bin/$other /usr/libexec/hidden-$other
done
for name in $names; do ln -s $program /usr/bin/$name; done
rm -f /etc/os-release /etc/apt/sources.list
printf "$release" >/etc/os-release
ln -sfn /srv/$now/base /srv/now
mkdir -p /etc/dnf/vars /etc/yum.repos.d /etc/zypp/repos.d
echo 44 >/etc/dnf/vars/releasever
printf '[main]\nenabled=0\n' >/etc/dnf/plugins/local.conf
repository='[test]\nname=test\nbaseurl=file:///srv/now\nenabled=1\ngpgcheck=0\n'
case $MANAGER in
dnf*)
	printf "$repository" >/etc/yum.repos.d/test.repo
	dnf -y -q makecache
	;;
zypper)
	printf "$repository" >/etc/zypp/repos.d/test.repo
	zypper --non-interactive --quiet refresh
	;;
pacman)
	printf '[options]\nHoldPkg = pacman glibc\nArchitecture = auto\nDisableSandbox\nSigLevel = Never\n[test]\nServer = file:///srv/now\n' >/etc/pacman.conf
	pacman -Sy --noconfirm >/dev/null
	;;
esac
[ $now != rpm ] || rpm --install --nodeps --nosignature --nodigest /srv/rpm/base/glibc-*.rpm
