# The deployment of a release: an archive, a tree, a link to the one in force, and the service that runs it.

step "user" "app" {
  name   = "app"
  system = true
  home   = "/srv/app"
}
step "directory" "d" {
  for_each = toset(["/srv/app", "/srv/app/releases", "/srv/app/releases/7", "/srv/app/shared"])
  path     = each.value
  owner    = "app"
  mode     = "0755"
}
step "archive" "vendor" {
  source  = "content/vendor.tar.gz"
  dest    = "/srv/app/releases/7/vendor"
  creates = "/srv/app/releases/7/vendor/lib/0.txt"
}
step "sync" "code" {
  source = "content/code"
  dest   = "/srv/app/releases/7/code"
  owner  = "app"
}
step "file" "settings" {
  path   = "/srv/app/shared/settings.conf"
  source = "content/settings.conf"
  owner  = "app"
  mode   = "0640"
}
step "symlink" "current" {
  path   = "/srv/app/current"
  target = "/srv/app/releases/7"
}
step "file" "unit" {
  path    = "/etc/systemd/system/app.service"
  content = "[Service]\nUser=app\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
  mode    = "0644"
}
step "service" "app" {
  name      = "app"
  state     = "started"
  enabled   = true
  on_change = { restart = [step.sync.code, step.file.settings, step.symlink.current] }
}
