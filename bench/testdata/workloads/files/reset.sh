systemctl disable --now site
rm -rf /srv/site /etc/motd /etc/systemd/system/site.service /etc/site.environment /var/lib/provision
systemctl daemon-reload
grep -v internal /etc/hosts >/tmp/h; cat /tmp/h >/etc/hosts; rm /tmp/h
