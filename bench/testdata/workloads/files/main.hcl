# Thirty steps, eight of them files of the control machine, of which one has 64 KiB, and a service that is started.

step "directory" "d" {
  for_each = toset(["/srv/site", "/srv/site/conf", "/srv/site/data", "/srv/site/log"])
  path     = each.value
  mode     = "0755"
}
step "file" "sourced" {
  for_each = toset(["a.conf", "b.conf", "c.conf", "d.conf", "e.conf", "f.conf", "g.conf", "large.conf"])
  path     = "/srv/site/conf/${each.value}"
  source   = "content/${each.value}"
  mode     = "0640"
}
step "file" "motd" {
  path    = "/etc/motd"
  content = "Be kind to this server.\n"
  mode    = "0644"
}
step "file" "unit" {
  path    = "/etc/systemd/system/site.service"
  content = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
  mode    = "0644"
}
step "service" "site" {
  name    = "site"
  state   = "started"
  enabled = true
}
step "package" "tools" { names = ["sudo", "procps", "iproute2"] }
step "symlink" "link" {
  for_each = toset(["current", "previous", "stable", "shared", "assets"])
  path     = "/srv/site/${each.value}"
  target   = "/srv/site/data"
}
step "line" "hosts" {
  for_each = toset(["app", "db", "cache", "queue", "mail"])
  path     = "/etc/hosts"
  line     = "127.0.0.1 ${each.value}.internal"
}
step "line" "environment" {
  for_each = toset(["APP_ENV=production", "APP_PORT=8000", "APP_WORKERS=4"])
  path     = "/etc/site.environment"
  line     = each.value
  create   = true
}
step "command" "stamp" {
  script  = "date >/srv/site/data/installed"
  creates = "/srv/site/data/installed"
}
