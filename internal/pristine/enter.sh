# Enters the file system in $ROOT as a machine of its own, and runs $COMMAND there. It needs private mount and pid namespaces, a proc
# for them, and the variables ROOT, GO, MODULES, SOURCE, LAYERS, CACHE, ACCOUNT, DIR and COMMAND.
#
# A plain chroot would not do: in one, the kernel refuses user namespaces.
set -eu
mount --bind "$ROOT" "$ROOT"
cd "$ROOT"
mkdir -p usr/local/go ".$SOURCE" old

show() {
	mkdir -p ".$2"
	mount --bind "$1" ".$2"
	mount -o remount,bind,ro ".$2"
}
show "$GO" /usr/local/go
show "$MODULES" "$HOMEDIR/go/pkg/mod"
# What the machine outside has compiled with the same compiler need not be compiled again. It is no program that a test could find.
if [ "$ACCOUNT" = root ] && [ -d "$CACHE" ]; then
	mkdir -p "$LAYERS/upper" "$LAYERS/work" root/.cache/go-build
	mount -t overlay cache -o "lowerdir=$CACHE,upperdir=$LAYERS/upper,workdir=$LAYERS/work" root/.cache/go-build ||
		echo 'the cache of Go cannot be shared: everything is compiled' >&2
fi

mount -t proc proc proc
mount --rbind /sys sys
mount -t tmpfs -o mode=0755 dev dev
for device in null zero full random urandom tty; do
	: >"dev/$device"
	mount --bind "/dev/$device" "dev/$device"
done
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
ln -s pts/ptmx dev/ptmx
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 pts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
[ ! -e /etc/resolv.conf ] || cat /etc/resolv.conf >etc/resolv.conf

pivot_root . old
cd /
umount -l /old
if [ "$ACCOUNT" != root ]; then
	id "$ACCOUNT" >/dev/null 2>&1 || useradd "$ACCOUNT"
	mkdir -p "$DIR"
	[ -e "$DIR/test" ] || cp -R "$SOURCE/." "$DIR"
	chown -R "$ACCOUNT" "$DIR"
	chown "$ACCOUNT" "$HOMEDIR" "$HOMEDIR/go" "$HOMEDIR/go/pkg"
	become="setpriv --reuid $ACCOUNT --regid $ACCOUNT --init-groups"
fi
cd "$DIR"
exec ${become:-} env -i HOME="$HOMEDIR" USER="$ACCOUNT" LOGNAME="$ACCOUNT" TERM=dumb \
	PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	GOFLAGS=-count=1 $VARIABLES /bin/sh -c "$COMMAND"
