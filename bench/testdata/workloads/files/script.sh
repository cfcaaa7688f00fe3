set -e
put() { # path mode
  cat >"$1.new"
  if cmp -s "$1.new" "$1"; then rm "$1.new"; else chmod "$2" "$1.new"; mv "$1.new" "$1"; fi
}
line() { grep -qxF "$2" "$1" 2>/dev/null || echo "$2" >>"$1"; }
for d in /srv/site /srv/site/conf /srv/site/data /srv/site/log; do install -d -m 0755 "$d"; done
@@each content/*.conf@@
echo 'Be kind to this server.' | put /etc/motd 0644
printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' | put /etc/systemd/system/site.service 0644
systemctl daemon-reload
systemctl is-enabled site >/dev/null 2>&1 || systemctl enable site
systemctl is-active site >/dev/null || systemctl start site
dpkg-query -W sudo procps iproute2 >/dev/null 2>&1 || apt-get install -y sudo procps iproute2
for l in current previous stable shared assets; do
  [ "$(readlink "/srv/site/$l")" = /srv/site/data ] || ln -sfn /srv/site/data "/srv/site/$l"
done
for h in app db cache queue mail; do line /etc/hosts "127.0.0.1 $h.internal"; done
for l in APP_ENV=production APP_PORT=8000 APP_WORKERS=4; do line /etc/site.environment "$l"; done
[ -e /srv/site/data/installed ] || date >/srv/site/data/installed
