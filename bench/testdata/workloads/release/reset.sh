systemctl disable --now app
rm -rf /etc/systemd/system/app.service /srv/app /var/lib/provision
systemctl daemon-reload
userdel app
true
