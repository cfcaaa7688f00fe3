for s in one two three; do systemctl disable --now "work-$s"; rm -f "/etc/systemd/system/work-$s.service"; done
systemctl daemon-reload
for u in ann bob cid dan eve fay; do userdel -r "$u"; done
for g in wheel app ops; do groupdel "$g"; done
rm -rf /etc/sudoers.d/wheel /var/lib/provision
true
