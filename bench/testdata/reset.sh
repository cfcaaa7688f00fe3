# Undoes server.hcl and script.sh, so that the next first apply is one.
userdel -r app
userdel -r deploy
groupdel app
groupdel wheel
rm -rf /srv/app /etc/sudoers.d/wheel /etc/motd /var/lib/provision
sed -i '/app.internal/d' /etc/hosts >/dev/null 2>&1 || { grep -v app.internal /etc/hosts >/tmp/h; cat /tmp/h >/etc/hosts; rm /tmp/h; }
sed -i '/APP_ENV/d' /etc/environment
sed -i '/^SystemMaxUse/d' /etc/systemd/journald.conf
true
