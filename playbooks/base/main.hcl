# The first minutes on a fresh server: somebody other than root, who may become root, and a system that is up to date.

variable "user" {
  description = "Name of the account to work with."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_-]{0,31}$", var.user)) && var.user != "root"
    error_message = "user is a name of small letters, digits, _ and -, at most 32 of them, and not root."
  }
}

variable "password_hash" {
  description = "Its password as openssl passwd -6 prints it. Without one the account is for keys only, and sudo asks for no password."
  type        = string
  sensitive   = true
  default     = null

  validation {
    condition     = var.password_hash == null || can(regex("^\\$(1|2[aby]|5|6|y|gy)\\$", var.password_hash))
    error_message = "password_hash is a hash such as \"openssl passwd -6\" prints, not the password itself."
  }
}

variable "authorized_keys" {
  description = "Public keys that may log in as the user, such as [file(\"~/.ssh/id_ed25519.pub\")]."
  type        = list(string)
  nullable    = false
  default     = []
}

variable "groups" {
  description = "Groups that it belongs to. They are made where they are missing. The first one may use sudo."
  type        = list(string)
  nullable    = false
  default     = ["wheel"]

  validation {
    condition     = length(var.groups) > 0
    error_message = "groups names at least the group that may use sudo."
  }
}

variable "sudo_password" {
  description = "Whether sudo asks for the password. Left out, it does if there is a password_hash."
  type        = bool
  default     = null
}

variable "shell" {
  description = "Its login shell."
  type        = string
  nullable    = false
  default     = "/bin/bash"
}

variable "upgrade" {
  description = "Whether all packages are brought up to date."
  type        = bool
  nullable    = false
  default     = true
}

variable "packages" {
  description = "Further packages that every server shall have."
  type        = list(string)
  nullable    = false
  default     = []
}

locals {
  asks = var.sudo_password == null ? nonsensitive(var.password_hash != null) : var.sudo_password
}

# A minimal system has no sudo, and Alpine no bash: who has a login shell that is not there cannot log in.
step "package" "sudo" {
  names = concat(["sudo"], endswith(var.shell, "/bash") ? ["bash"] : [], var.packages)
}

step "group" "groups" {
  for_each = toset(var.groups)
  name     = each.value
}

step "user" "user" {
  name          = var.user
  groups        = var.groups
  shell         = var.shell
  password_hash = var.password_hash
}

step "authorized_key" "keys" {
  when = length(var.authorized_keys) > 0
  user = var.user
  keys = var.authorized_keys
}

# CentOS gives wheel this right already, with the password; Debian does not know the group.
step "file" "sudo" {
  path     = "/etc/sudoers.d/${var.groups[0]}"
  content  = "%${var.groups[0]} ALL=(ALL) ${local.asks ? "" : "NOPASSWD: "}ALL\n"
  mode     = "0440"
  validate = "visudo -cf %s"
}

step "package_upgrade" "all" {
  when = var.upgrade
}

output "user" {
  description = "Name of the account."
  value       = var.user
}

output "home" {
  description = "Its home directory."
  value       = step.user.user.home
}
