# What server.hcl says, as somebody would write it by hand: idempotent, one process for each look.
set -e
getent group wheel >/dev/null || groupadd wheel
getent group app >/dev/null || groupadd -r app
id app >/dev/null 2>&1 || useradd -m -g app -s /bin/bash app
for g in app wheel; do id -nG app | grep -qw "$g" || usermod -aG "$g" app; done
id deploy >/dev/null 2>&1 || useradd -m -s /bin/bash deploy
key='ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0CgHUsTGsbX4XYHyFyRDPyLkwMjeFtXHYnVfUSkGKO deploy@example.com'
install -d -m 0700 -o deploy -g deploy /home/deploy/.ssh
grep -qF "$key" /home/deploy/.ssh/authorized_keys 2>/dev/null || {
  echo "$key" >>/home/deploy/.ssh/authorized_keys
  chmod 600 /home/deploy/.ssh/authorized_keys
  chown deploy:deploy /home/deploy/.ssh/authorized_keys
}
dpkg-query -W sudo procps iproute2 >/dev/null 2>&1 || apt-get install -y sudo procps iproute2
for d in /srv/app /srv/app/conf /srv/app/data /srv/app/log /srv/app/tmp /srv/app/releases; do
  install -d -m 0750 -o app "$d"
done
put() { # path owner mode
  cat >"$1.new"
  if cmp -s "$1.new" "$1"; then rm "$1.new"; else chown "$2" "$1.new"; chmod "$3" "$1.new"; mv "$1.new" "$1"; fi
}
for f in a b c d e f g h; do
  printf 'name = %s\nworkers = 4\nlisten = 127.0.0.1:8000\n' "$f" | put "/srv/app/conf/$f.conf" app 0640
done
echo 'Be kind to this server.' | put /etc/motd root 0644
echo '%wheel ALL=(ALL) NOPASSWD: ALL' >/tmp/sudoers.new
visudo -cf /tmp/sudoers.new >/dev/null
put /etc/sudoers.d/wheel root 0440 </tmp/sudoers.new
rm /tmp/sudoers.new
[ "$(readlink /srv/app/current)" = /srv/app/releases ] || ln -sfn /srv/app/releases /srv/app/current
grep -qxF '127.0.0.1 app.internal' /etc/hosts || echo '127.0.0.1 app.internal' >>/etc/hosts
grep -qxF 'APP_ENV=production' /etc/environment 2>/dev/null || echo 'APP_ENV=production' >>/etc/environment
grep -q '^SystemMaxUse=200M' /etc/systemd/journald.conf || sed -i 's/^\[Journal\]$/&\nSystemMaxUse=200M/' /etc/systemd/journald.conf
systemctl is-enabled ssh >/dev/null || systemctl enable ssh
systemctl is-active ssh >/dev/null || systemctl start ssh
[ -e /srv/app/data/installed ] || date >/srv/app/data/installed
