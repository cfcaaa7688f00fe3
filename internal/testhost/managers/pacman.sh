# Makes /srv/pacman/base and /srv/pacman/updates, repositories named test, with the same packages as those of rpm as far as pacman has the like. A
# repository of pacman holds one version of each.

work=$(mktemp -d)
mkdir -p /srv/pacman/base /srv/pacman/updates

# pacman_of DIRECTORY NAME VERSION [LINE OF .PKGINFO]...
pacman_of() {
	directory=$1 name=$2 version=$3
	shift 3
	mkdir -p "$work/root/usr/share/fruit"
	# The transaction of this one stays open as long as /run/hold is there.
	[ "$name" != lime ] || echo 'post_install() { while [ -e /run/hold ]; do sleep 0.1; done; }' >"$work/root/.INSTALL"
	echo "$version" >"$work/root/usr/share/fruit/$name"
	printf '%s\n' "pkgname = $name" "pkgbase = $name" "pkgver = $version" "pkgdesc = $name" 'builddate = 1700000000' 'size = 10' 'arch = any' "$@" >"$work/root/.PKGINFO"
	(cd "$work/root" && bsdtar --uid 0 --gid 0 -czf "$directory/$name-$(echo "$version" | tr : .)-any.pkg.tar.gz" .[A-Z]* usr)
	rm -r "$work/root"
}

for repository in base updates; do
	pacman_of /srv/pacman/$repository date 1.0-1 'depend = apple'
	pacman_of /srv/pacman/$repository lime 1.0-1
done
pacman_of /srv/pacman/base apple 1.0-1
pacman_of /srv/pacman/base banana 1:1.0-1
pacman_of /srv/pacman/base cherry 1.0-1
pacman_of /srv/pacman/base grape 1.0-1
pacman_of /srv/pacman/updates apple 2.0-1
pacman_of /srv/pacman/updates banana 1:1.5-1
pacman_of /srv/pacman/updates cherry-ng 2.0-1 'replaces = cherry' 'provides = cherry=2.0' 'conflict = cherry'
pacman_of /srv/pacman/updates grape 1.1-1
for directory in base updates; do (cd /srv/pacman/$directory && repo-add -q test.db.tar.gz ./*.pkg.tar.gz); done
rm -r "$work"
