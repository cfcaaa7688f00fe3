# A Docker Compose project from a local directory: its secrets, its files, its images, its services up and healthy.

variable "app" {
  description = "The local project directory, an absolute path, such as \"$${path.root}/app\"."
  type        = string
  nullable    = false
}

variable "dir" {
  description = "Where it goes on the host."
  type        = string
  nullable    = false
}

variable "owner" {
  description = "The user that the files belong to."
  type        = string
  nullable    = false
}

variable "files" {
  description = "The compose files, relative to the project directory. Left out, those that compose finds."
  type        = list(string)
  default     = null
}

variable "project" {
  description = "Name of the project. Left out, that in the files, or the name of dir."
  type        = string
  default     = null
}

variable "env_path" {
  description = "Where the environment file goes, relative to dir, such as .envs/.production. Left out, there is none."
  type        = string
  default     = null

  validation {
    condition     = var.env_path == null || can(regex("^([^/]+/)?[^/]+$", var.env_path))
    error_message = "env_path is the name of a file in dir, or in a directory of dir."
  }
}

variable "env_source" {
  description = "A local file with the environment, kept outside of app. It travels byte for byte. One of env_source and env_values goes with env_path."
  type        = string
  default     = null
}

variable "env_values" {
  description = "The environment itself, in place of env_source."
  type        = map(string)
  sensitive   = true
  default     = null
}

variable "build" {
  description = "Whether images are built on the host."
  type        = bool
  nullable    = false
  default     = true
}

variable "build_args" {
  description = "Arguments for building."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "pull" {
  description = "Whether images that are not built are pulled at each deployment."
  type        = bool
  nullable    = false
  default     = false
}

variable "patience" {
  description = "How long to wait until everything is healthy."
  type        = string
  nullable    = false
  default     = "3m"
}

variable "rollback" {
  description = "Whether the previous files and images come back if the new ones fail."
  type        = bool
  nullable    = false
  default     = true
}

variable "supervisor_config" {
  description = "A supervisord.conf, such as module.supervisor.config: then supervisor keeps docker compose up running."
  type        = string
  default     = null
}

locals {
  name  = var.project != null ? var.project : lower(basename(var.dir))
  split = var.env_path == null ? [] : split("/", var.env_path)
}

step "directory" "dir" {
  path  = var.dir
  owner = var.owner
  mode  = "0755"
}

step "directory" "env" {
  when  = length(local.split) == 2
  path  = "${var.dir}/${length(local.split) == 2 ? local.split[0] : ""}"
  owner = var.owner
  mode  = "0700"
}

step "env_file" "env" {
  when   = var.env_path != null
  path   = "${var.dir}/${var.env_path == null ? ".env" : var.env_path}"
  source = var.env_source
  values = var.env_path == null && var.env_source == null ? { UNUSED = "" } : var.env_values
  owner  = var.owner
}

# A changed environment changes nothing that is there before the step above has run.
step "compose" "app" {
  dir            = var.dir
  source         = var.app
  files          = var.files
  project        = local.name
  owner          = var.owner
  build          = var.build
  build_args     = var.build_args
  pull           = var.pull
  wait           = var.patience
  rollback       = var.rollback
  remove_orphans = true
  on_change      = { update = [step.env_file.env] }
}

# The step above has deployed; what supervisor runs stays attached to it, and brings containers back that somebody stopped.
step "supervisor_program" "app" {
  when        = var.supervisor_config != null
  name        = local.name
  config      = var.supervisor_config
  directory   = var.dir
  command     = "docker compose -p ${local.name} ${join(" ", [for f in var.files == null ? [] : var.files : "-f ${f}"])} up --no-build --no-recreate"
  autorestart = "true"
  startsecs   = 5
  options     = { stopasgroup = "true", killasgroup = "true", stopwaitsecs = "60", redirect_stderr = "true" }
}

output "dir" {
  description = "Where the project is on the host."
  value       = var.dir
}
