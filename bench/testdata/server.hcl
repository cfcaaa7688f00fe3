# Thirty everyday steps, which script.sh does by hand.

step "group" "wheel" { name = "wheel" }
step "group" "app" {
  name   = "app"
  system = true
}
step "user" "app" {
  name   = "app"
  groups = ["app", "wheel"]
  shell  = "/bin/bash"
}
step "user" "deploy" {
  name  = "deploy"
  shell = "/bin/bash"
}
step "authorized_key" "deploy" {
  user = "deploy"
  key  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0CgHUsTGsbX4XYHyFyRDPyLkwMjeFtXHYnVfUSkGKO deploy@example.com"
}
step "package" "tools" { names = ["sudo", "procps", "iproute2"] }
step "directory" "d" {
  for_each = toset(["/srv/app", "/srv/app/conf", "/srv/app/data", "/srv/app/log", "/srv/app/tmp", "/srv/app/releases"])
  path     = each.value
  owner    = "app"
  mode     = "0750"
}
step "file" "conf" {
  for_each = toset(["a", "b", "c", "d", "e", "f", "g", "h"])
  path     = "/srv/app/conf/${each.value}.conf"
  content  = "name = ${each.value}\nworkers = 4\nlisten = 127.0.0.1:8000\n"
  owner    = "app"
  mode     = "0640"
}
step "file" "motd" {
  path    = "/etc/motd"
  content = "Be kind to this server.\n"
  mode    = "0644"
}
step "file" "sudoers" {
  path     = "/etc/sudoers.d/wheel"
  content  = "%wheel ALL=(ALL) NOPASSWD: ALL\n"
  mode     = "0440"
  validate = "visudo -cf %s"
}
step "symlink" "current" {
  path   = "/srv/app/current"
  target = "/srv/app/releases"
}
step "line" "hosts" {
  path = "/etc/hosts"
  line = "127.0.0.1 app.internal"
}
step "line" "shell" {
  path = "/etc/environment"
  line = "APP_ENV=production"
  create = true
}
step "ini" "journal" {
  path    = "/etc/systemd/journald.conf"
  section = "Journal"
  key     = "SystemMaxUse"
  value   = "200M"
}
step "service" "ssh" {
  name    = "ssh"
  state   = "started"
  enabled = true
}
step "command" "stamp" {
  script  = "date > /srv/app/data/installed"
  creates = "/srv/app/data/installed"
}
