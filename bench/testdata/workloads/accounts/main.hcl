# Accounts, packages and services.

step "group" "g" {
  for_each = toset(["wheel", "app", "ops"])
  name     = each.value
}
step "user" "u" {
  for_each = toset(["ann", "bob", "cid", "dan", "eve", "fay"])
  name     = each.value
  groups   = ["app", "wheel"]
  shell    = "/bin/bash"
}
step "authorized_key" "k" {
  for_each = toset(["ann", "bob", "cid", "dan", "eve", "fay"])
  user     = each.value
  key      = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0CgHUsTGsbX4XYHyFyRDPyLkwMjeFtXHYnVfUSkGKO ${each.value}@example.com"
}
step "package" "p" {
  for_each = toset(["sudo", "procps", "iproute2"])
  name     = each.value
}
step "file" "sudoers" {
  path     = "/etc/sudoers.d/wheel"
  content  = "%wheel ALL=(ALL) NOPASSWD: ALL\n"
  mode     = "0440"
  validate = "visudo -cf %s"
}
step "file" "unit" {
  for_each = toset(["one", "two", "three"])
  path     = "/etc/systemd/system/work-${each.value}.service"
  content  = "[Service]\nUser=ann\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
  mode     = "0644"
}
step "service" "s" {
  for_each = toset(["one", "two", "three"])
  name     = "work-${each.value}"
  state    = "started"
  enabled  = true
}
step "service" "ssh" {
  name      = "ssh"
  state     = "started"
  enabled   = true
}
