# The archives that a person downloads by hand, as their projects publish them, and an index for tests. Sourced by build.sh.
mkdir -p /out/src sqlite

# Debian has SQLite's tree of development; the archive with a configure is what that tree makes for release.
tar -x --strip-components=1 -C sqlite -f sqlite3.orig
version=$(cat sqlite/VERSION)
(cd sqlite && ./configure --quiet --disable-tcl && make amalgamation-tarball)
sqlite=$(cd sqlite && ls sqlite-autoconf-*.tar.gz)
mv "sqlite/$sqlite" /out/src/

python=$(tar -tzf python3.11.orig | sed -n '1s,/.*,,p')
mv python3.11.orig "/out/src/$python.tgz"

entry() { printf '"%s": {"version": "%s", "path": "src/%s", "sha256": "%s"}' "$1" "$2" "$3" "$(sha256sum "/out/src/$3" | cut -d' ' -f1)"; }
printf '{%s,\n %s}\n' "$(entry sqlite "$version" "$sqlite")" "$(entry python "${python#Python-}" "$python.tgz")" >/out/src/index.json
