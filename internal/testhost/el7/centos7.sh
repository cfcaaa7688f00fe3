# Makes an image of CentOS 7 boot as a server. Its repositories are dead: yum gets another address for this once, and the host
# starts with those that CentOS shipped.
cp -a /etc/yum.repos.d /etc/yum.repos.d.shipped
sed -i -e 's,^mirrorlist=,#&,' -e "s,^#baseurl=http://mirror.centos.org/centos/\$releasever,baseurl=$VAULT," /etc/yum.repos.d/CentOS-Base.repo
yum --quiet --assumeyes install openssh-server openssh-clients sudo iproute iptables curl
yum --quiet clean all
rm -r /etc/yum.repos.d
mv /etc/yum.repos.d.shipped /etc/yum.repos.d
systemctl enable sshd.service
: >/etc/machine-id
