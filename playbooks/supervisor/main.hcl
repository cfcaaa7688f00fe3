# Supervisor, for the whole system or, as in ~/etc, for one user, and started at boot.

variable "user" {
  description = "The user whose supervisor it is, with everything below HOME/etc. Left out, it is the system's and runs as root."
  type        = string
  default     = null
}

variable "home" {
  description = "The user's home directory. Left out, /home/USER."
  type        = string
  default     = null
}

variable "method" {
  description = "Where it comes from: pip, into a virtual environment, or package, from the distribution."
  type        = string
  nullable    = false
  default     = "pip"

  validation {
    condition     = contains(["pip", "package"], var.method)
    error_message = "method is \"pip\" or \"package\"."
  }
}

variable "release" {
  description = "The version for pip. Python 2.7 and 3.4 and later will do for 4.2.5."
  type        = string
  nullable    = false
  default     = "4.2.5"
}

variable "python" {
  description = "The Python that makes the virtual environment."
  type        = string
  nullable    = false
  default     = "python3"
}

variable "virtualenv" {
  description = "The virtual environment for pip."
  type        = string
  nullable    = false
  default     = "/opt/supervisor"
}

variable "index_url" {
  description = "The index that pip asks. Left out, pip's own."
  type        = string
  default     = null
}

variable "environment_path" {
  description = "The PATH of supervised programs."
  type        = string
  nullable    = false
  default     = "/usr/local/bin:/usr/bin:/bin"
}

locals {
  pip  = var.method == "pip"
  own  = var.user != null
  home = var.home != null ? var.home : "/home/${local.own ? var.user : "root"}"

  # The distribution's layout, where its package serves the system.
  theirs = !local.pip && !local.own
  apt    = fact.package_manager == "apt"

  root     = local.own ? "${local.home}/etc" : "/etc"
  config   = local.theirs ? (local.apt ? "/etc/supervisor/supervisord.conf" : "/etc/supervisord.conf") : "${local.root}/supervisord.conf"
  conf_dir = local.theirs ? (local.apt ? "/etc/supervisor/conf.d" : "/etc/supervisord.d") : "${local.root}/supervisor/conf.d"
  service  = local.theirs ? (local.apt ? "supervisor" : "supervisord") : local.own ? "supervisord-${var.user}" : "supervisord"
  bin      = local.pip ? "${var.virtualenv}/bin" : "/usr/bin"

  state = local.own ? "${local.root}/supervisor/var" : "/run"
  log   = local.own ? "${local.root}/supervisor/var/log" : "/var/log/supervisor"
  # In order: each one's parent first.
  dirs = local.theirs ? [] : compact([
    local.own ? local.root : "", "${local.root}/supervisor", local.conf_dir, local.own ? local.state : "", local.log,
  ])

  plain_host = var.index_url == null ? null : try(regex("^http://([^/:]+)", var.index_url)[0], null)
}

step "package" "venv" {
  when = local.pip && local.apt && var.python == "python3"
  name = "python3-venv"
}

step "pip" "supervisor" {
  when         = local.pip
  name         = "supervisor==${var.release}"
  virtualenv   = var.virtualenv
  python       = var.python
  index_url    = var.index_url
  trusted_host = local.plain_host
}

step "package" "supervisor" {
  when = !local.pip
  name = "supervisor"
}

step "directory" "dirs" {
  for_each = local.dirs
  path     = each.value
  owner    = local.own ? var.user : "root"
  mode     = "0755"
}

# Supervisor expands no ~, so every path is written out.
step "file" "config" {
  when    = !local.theirs
  path    = local.config
  owner   = local.own ? var.user : "root"
  mode    = "0644"
  content = <<-EOT
    [unix_http_server]
    file=${local.state}/supervisor.sock
    chmod=0700

    [supervisord]
    logfile=${local.log}/supervisord.log
    pidfile=${local.state}/supervisord.pid
    childlogdir=${local.log}
    environment=PATH="${var.environment_path}"

    [rpcinterface:supervisor]
    supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

    [supervisorctl]
    serverurl=unix://${local.state}/supervisor.sock

    [include]
    files = ${local.conf_dir}/*.ini
  EOT
}

# systemd gives the daemon its user's groups, docker among them, each time that it starts.
step "file" "unit" {
  when    = !local.theirs
  path    = "/etc/systemd/system/${local.service}.service"
  mode    = "0644"
  content = <<-EOT
    [Unit]
    Description=Supervisor${local.own ? " of ${var.user}" : ""}
    After=network-online.target docker.service
    Wants=network-online.target

    [Service]
    ${local.own ? "User=${var.user}\n    " : ""}ExecStart=${local.bin}/supervisord -n -c ${local.config}
    ExecStop=${local.bin}/supervisorctl -c ${local.config} shutdown
    KillMode=mixed
    TimeoutStopSec=90
    Restart=on-failure
    RestartSec=5

    [Install]
    WantedBy=multi-user.target
  EOT
}

step "symlink" "supervisorctl" {
  when   = local.pip
  path   = "/usr/local/bin/supervisorctl"
  target = "${local.bin}/supervisorctl"
}

step "service" "supervisor" {
  name      = local.service
  state     = "started"
  enabled   = true
  on_change = { restart = [step.file.config, step.file.unit, step.pip.supervisor] }
}

output "config" {
  description = "Path of supervisord.conf, for supervisorctl -c and for steps of the kind supervisor_program."
  value       = local.config
}

output "conf_dir" {
  description = "The directory of the programs."
  value       = local.conf_dir
}

output "log_dir" {
  description = "The directory of the logs."
  value       = local.log
}
