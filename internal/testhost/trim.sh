# What no host needs or no two hosts may share goes before the system becomes an image.
# The RSA key may stay: making one takes as long as the boot, and the two others tell hosts apart.
rm -f /etc/apt/sources.list /etc/apt/apt.conf.d/90machine /etc/ssh/ssh_host_ed25519_* /etc/ssh/ssh_host_ecdsa_*
: >/etc/machine-id
[ ! -d /var/lib/dbus ] || ln -sf /etc/machine-id /var/lib/dbus/machine-id
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/log/*.log /var/log/apt
# The directories stay: update-alternatives in some packages' scripts fails without man1.
for dir in doc info locale man; do
	[ ! -d /usr/share/$dir ] || find /usr/share/$dir ! -type d -delete
done
