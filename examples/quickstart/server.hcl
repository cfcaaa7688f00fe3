# A small server: who may log in, what the application finds there, and what happens when its
# configuration changes. Try it on a throw-away copy of this machine:
#
#   provision apply --sandbox examples/quickstart

variable "app_user" {
  description = "The account that the application belongs to."
  type        = string
  default     = "bicycle"
}

variable "workers" {
  description = "How many processes serve requests."
  type        = number
  default     = 4

  validation {
    condition     = var.workers >= 1 && var.workers <= 64
    error_message = "There must be between 1 and 64 workers."
  }
}

variable "secret_key" {
  description = "Signs sessions. Set your own: PROVISION_VAR_secret_key, or --var-file."
  type        = string
  sensitive   = true
  default     = "only-for-trying-it-out"
}

locals {
  root = "/srv/${var.app_user}"
}

# Replace the address by that of your server, and leave out --sandbox.
host "web1" {
  address = "203.0.113.10"
}

play "server" {
  become = true

  # Someone who may become root, and logs in with a key.
  step "group" "wheel" {
    name = "wheel"
  }

  step "user" "app" {
    name   = var.app_user
    groups = ["wheel"]
    shell  = "/bin/sh"
  }

  step "authorized_key" "app" {
    user = var.app_user
    key  = file("${path.module}/files/id_ed25519.pub")
  }

  # A minimal system has neither sudo nor systemd, and so lacks the directories of their settings.
  step "directory" "etc" {
    for_each = toset(["/etc/sudoers.d", "/etc/systemd"])
    path     = each.value
  }

  step "file" "sudoers" {
    path     = "/etc/sudoers.d/wheel"
    content  = "%wheel ALL=(ALL) NOPASSWD: ALL\n"
    mode     = "0440"
    validate = "! command -v visudo >/dev/null || visudo -cf %s"
  }

  # A loop: one directory each.
  step "directory" "root" {
    for_each = toset(["", "/conf", "/data", "/log"])
    path     = "${local.root}${each.value}"
    owner    = var.app_user
    mode     = "0750"
  }

  # A file from a template.
  step "file" "config" {
    path     = "${local.root}/conf/app.conf"
    template = "files/app.conf.tmpl"
    owner    = var.app_user
    mode     = "0640"
  }

  # One setting of a file that has others; comments and order stay.
  step "ini" "journal" {
    path    = "/etc/systemd/journald.conf"
    section = "Journal"
    key     = "SystemMaxUse"
    value   = "200M"
    when    = contains(fact.os.like, "debian")
  }

  # Secrets: mode 0600, never shown, never in a log.
  step "env_file" "production" {
    path  = "${local.root}/.env"
    owner = var.app_user
    values = {
      APP_SECRET_KEY = var.secret_key
      APP_WORKERS    = var.workers
    }
  }

  # Runs only when the configuration changed, even if the run that changed it was cut off.
  step "command" "reload" {
    script    = "date -u +%FT%TZ >> ${local.root}/log/reloads"
    run_as    = var.app_user
    on_change = [step.file.config, step.env_file.production]
  }
}

# Only root and the application may read its configuration.
check "config" {
  script = "grep -q '^workers = ${var.workers}$' ${local.root}/conf/app.conf"
  become = true
}

check "login" {
  script = "id -nG ${var.app_user} | grep -qw wheel"
}
