set -e
put() { # path mode
  cat >"$1.new"
  if cmp -s "$1.new" "$1"; then rm "$1.new"; else chmod "$2" "$1.new"; mv "$1.new" "$1"; fi
}
for g in wheel app ops; do getent group "$g" >/dev/null || groupadd "$g"; done
for u in ann bob cid dan eve fay; do
  id "$u" >/dev/null 2>&1 || useradd -m -s /bin/bash "$u"
  for g in app wheel; do id -nG "$u" | grep -qw "$g" || usermod -aG "$g" "$u"; done
  key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0CgHUsTGsbX4XYHyFyRDPyLkwMjeFtXHYnVfUSkGKO $u@example.com"
  install -d -m 0700 -o "$u" -g "$u" "/home/$u/.ssh"
  grep -qF "$key" "/home/$u/.ssh/authorized_keys" 2>/dev/null || {
    echo "$key" >>"/home/$u/.ssh/authorized_keys"
    chmod 600 "/home/$u/.ssh/authorized_keys"
    chown "$u:$u" "/home/$u/.ssh/authorized_keys"
  }
done
for p in sudo procps iproute2; do dpkg-query -W "$p" >/dev/null 2>&1 || apt-get install -y "$p"; done
echo '%wheel ALL=(ALL) NOPASSWD: ALL' >/tmp/sudoers.new
visudo -cf /tmp/sudoers.new >/dev/null
put /etc/sudoers.d/wheel 0440 </tmp/sudoers.new
rm /tmp/sudoers.new
for s in one two three; do
  printf '[Service]\nUser=ann\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' | put "/etc/systemd/system/work-$s.service" 0644
done
systemctl daemon-reload
for s in work-one work-two work-three ssh; do
  systemctl is-enabled "$s" >/dev/null 2>&1 || systemctl enable "$s"
  systemctl is-active "$s" >/dev/null || systemctl start "$s"
done
