# Makes a Debian system with rpm and dnf a stand-in for a fresh CentOS 7: what a program that asks the system what it is, and a
# person who types commands, find there. Runs in a container of the image "rpm"; its files lie beside it.
cd "$(dirname "$0")"

# The few packages that rpm knows. Everything else is Debian's, and rpm gets one package that says it is there.
rpmbuild --quiet -bb --target x86_64 --define "_sourcedir $PWD" --define "_rpmdir $PWD/rpms" --define '_binary_payload w0.ufdio' base.spec
rm -f /etc/os-release /usr/lib/os-release
rpm --install --nodeps rpms/x86_64/*.rpm

# CentOS 7 has yum and no dnf, and no python3 at all: what yum itself runs on is out of the way, as on Red Hat 8.
mv /usr/bin/python3.11 /usr/libexec/platform-python
sed '1s,.*,#!/usr/libexec/platform-python,' /usr/bin/dnf-3 >/usr/bin/yum
chmod 0755 /usr/bin/yum
rm -f /usr/bin/dnf* /usr/bin/python3* /usr/bin/py3* /usr/bin/pydoc* /usr/bin/pygettext* /usr/bin/rpmbuild
mkdir -p /etc/dnf/vars /etc/dnf/plugins /etc/yum/vars
echo 7 >/etc/dnf/vars/releasever
echo stock >/etc/yum/vars/infra
# The plugin "local" wants createrepo, which is not there.
printf '[main]\nenabled=0\n' >/etc/dnf/plugins/local.conf
printf '[main]\ngpgcheck=1\nobsoletes=1\nplugins=1\nbest=0\nclean_requirements_on_remove=0\n' >/etc/dnf/dnf.conf
ln -sf dnf/dnf.conf /etc/yum.conf

# No trace of apt for whoever looks for it. dpkg's database stays: the mirror is what it lacks.
rm -rf /etc/apt /etc/debian_version /usr/bin/apt* /usr/bin/debconf* /usr/sbin/adduser /usr/sbin/addgroup /usr/sbin/deluser /usr/sbin/delgroup
find /usr/bin /usr/sbin -name 'dpkg*' -delete

groupmod --gid 14 uucp
groupadd --gid 10 wheel
ln -s useradd /usr/sbin/adduser
sed -i -e '/^\(CREATE_HOME\|UMASK\|ENV_PATH\|ENV_SUPATH\)[[:space:]]/d' /etc/login.defs
cat >>/etc/login.defs <<'END'
CREATE_HOME yes
UMASK 077
ENV_PATH PATH=/usr/local/bin:/usr/bin
ENV_SUPATH PATH=/sbin:/bin:/usr/sbin:/usr/bin
END
sed -i 's,^SHELL=.*,SHELL=/bin/bash,' /etc/default/useradd
ln -sf bash /bin/sh
install -m 0440 sudoers /etc/sudoers

# Libraries of /usr/local are found by whoever was linked to find them, and by nobody else.
rm /etc/ld.so.conf.d/libc.conf
ldconfig

# CentOS 7's SQLite says its version, which is too old for Django, and does the work of one.
mv /usr/bin/sqlite3 /usr/libexec/sqlite3
install -m 0755 sqlite3 /usr/bin/sqlite3
