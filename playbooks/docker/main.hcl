# Docker's own engine with the compose plugin, for hosts with yum, dnf or apt.

variable "baseurl" {
  description = "Where Docker's packages are, with centos, fedora, debian and the like below it."
  type        = string
  nullable    = false
  default     = "https://download.docker.com/linux"

  validation {
    condition     = can(regex("^(https?|file)://[^ ]*[^ /]$", var.baseurl))
    error_message = "baseurl is an address that begins with https://, http:// or file:// and has no slash at its end."
  }
}

variable "gpgcheck" {
  description = "Whether packages must be signed with Docker's key. Only a mirror of your own that signs nothing needs false."
  type        = bool
  nullable    = false
  default     = true
}

variable "gpgkey" {
  description = "Docker's key: an https address, or a path on the host. Left out, gpg beside the packages."
  type        = string
  default     = null
}

variable "repository" {
  description = "Whether to add Docker's repository. Without it packages names what the distribution has."
  type        = bool
  nullable    = false
  default     = true
}

variable "packages" {
  description = "The packages."
  type        = list(string)
  nullable    = false
  default     = ["containerd.io", "docker-ce-cli", "docker-ce", "docker-buildx-plugin", "docker-compose-plugin"]
}

variable "versions" {
  description = "Versions of single packages, such as { docker-ce = \"26.1.4\" }. Left out: the newest; on CentOS 7 the last ones that were made for it."
  type        = map(string)
  default     = null
}

variable "suite" {
  description = "Codename of the release (apt). Left out, it is told from the version."
  type        = string
  default     = null
}

variable "users" {
  description = "Users that may use Docker without sudo. That makes them as good as root. They are made if they do not exist."
  type        = list(string)
  nullable    = false
  default     = []
}

variable "daemon" {
  description = "What /etc/docker/daemon.json holds, such as { log-opts = { max-size = \"10m\" } }. Left out, the file is not touched."
  type        = any
  default     = null

  validation {
    condition     = var.daemon == null || can(keys(var.daemon))
    error_message = "daemon is an object, such as { live-restore = true }."
  }
}

variable "smoke_test" {
  description = "Whether a container is run when Docker was installed or its configuration changed. It needs no registry."
  type        = bool
  nullable    = false
  default     = true
}

variable "compose_v1" {
  description = "Whether to install docker-compose 1.29.2 by pip as well, for old scripts. It is unsupported since 2023."
  type        = bool
  nullable    = false
  default     = false
}

variable "compose_v1_python" {
  description = "The Python 3 that docker-compose 1 runs with; 3.6 at least, and less than 3.12."
  type        = string
  nullable    = false
  default     = "python3"
}

variable "index_url" {
  description = "The index that pip asks for docker-compose 1. Left out, pip's own."
  type        = string
  default     = null
}

locals {
  centos7 = fact.os.id == "centos" && fact.os.version == "7"
  redhat  = contains(["yum", "dnf"], fact.package_manager)
  major   = split(".", fact.os.version)[0]

  # Docker has a directory for each of these. CentOS's serves Rocky, Alma and Oracle, too.
  family = contains(["debian", "ubuntu", "raspbian", "fedora", "rhel"], fact.os.id) ? fact.os.id : local.redhat ? "centos" : contains(fact.os.like, "ubuntu") ? "ubuntu" : "debian"
  suites = {
    "debian11"    = "bullseye", "debian12" = "bookworm", "debian13" = "trixie", "raspbian11" = "bullseye", "raspbian12" = "bookworm",
    "ubuntu20.04" = "focal", "ubuntu22.04" = "jammy", "ubuntu24.04" = "noble",
  }
  suite = var.suite != null ? var.suite : lookup(local.suites, "${local.family}${fact.os.version}", "stable")

  gpgkey = var.gpgkey != null ? var.gpgkey : "${var.baseurl}/${local.family}/gpg"

  # Nothing newer will ever come for it.
  last = {
    "containerd.io"        = "1.6.33", "docker-ce" = "26.1.4", "docker-ce-cli" = "26.1.4",
    "docker-buildx-plugin" = "0.14.1", "docker-compose-plugin" = "2.27.1",
  }
  versions = var.versions != null ? var.versions : local.centos7 && var.repository ? local.last : {}
  pinned   = [for name in var.packages : name if contains(keys(local.versions), name)]
  others   = [for name in var.packages : name if !contains(keys(local.versions), name)]

  plain_host = var.index_url == null ? null : try(regex("^http://([^/:]+)", var.index_url)[0], null)
}

step "command" "preflight" {
  unless = "case $(uname -r) in [012].* | 3.[0-9].*) false ;; esac && { [ ! -e /run/ostree-booted ]; } && ! rpm -q podman-docker >/dev/null 2>&1"
  script = <<-EOT
    case $(uname -r) in [012].* | 3.[0-9].*) echo "Docker needs Linux 3.10 or later, and this is $(uname -r)" >&2 ;; esac
    [ ! -e /run/ostree-booted ] || echo 'an ostree system takes no packages of yum: use its own Docker or Podman' >&2
    ! rpm -q podman-docker >/dev/null 2>&1 || echo 'podman-docker stands in for docker: remove it (a step of the kind package, state = "absent")' >&2
    exit 1
  EOT
}

# A minimal Debian has nothing that fetches the key, and cannot check the certificate of the repository.
step "package" "fetch" {
  when  = var.repository && fact.package_manager == "apt"
  names = ["ca-certificates", "curl"]
}

step "repository" "docker" {
  when        = var.repository
  name        = "docker-ce-stable"
  description = "Docker CE Stable"
  baseurl     = "${var.baseurl}/${local.family}/${local.family == "fedora" ? "$releasever" : local.major}/$basearch/stable"
  gpgkey      = var.gpgcheck ? local.gpgkey : null
  gpgcheck    = var.gpgcheck
  uris        = ["${var.baseurl}/${local.family}"]
  suites      = [local.suite]
  components  = ["stable"]
  # apt would trust a key that anyone on the way could replace.
  signed_by = var.gpgcheck && !startswith(local.gpgkey, "http://") ? local.gpgkey : null
}

# The packages would make it, with a number that nobody can foretell: a plan could not go on past them.
step "group" "docker" {
  name   = "docker"
  system = true
}

step "package" "pinned" {
  for_each = local.pinned
  name     = each.value
  version  = local.versions[each.value]
}

step "package" "docker" {
  when  = length(local.others) > 0
  names = local.others
}

step "directory" "etc" {
  when = var.daemon != null
  path = "/etc/docker"
}

step "file" "daemon" {
  when    = var.daemon != null
  path    = "/etc/docker/daemon.json"
  content = "${jsonencode(var.daemon)}\n"
  mode    = "0644"
}

step "service" "docker" {
  name      = "docker"
  state     = "started"
  enabled   = true
  on_change = { restart = [step.file.daemon] }
}

step "user" "users" {
  for_each = var.users
  name     = each.value
  groups   = ["docker"]
}

# The runbook's hello-world without a registry: a command of the host and its libraries make an image.
step "command" "smoke" {
  when       = var.smoke_test
  repeatable = true
  on_change  = [step.package.pinned, step.package.docker, step.service.docker]
  script     = <<-EOT
    program=$(command -v true)
    case $program in /*) ;; *) program=/bin/true ;; esac
    program=$(readlink -f "$program")
    image=provision-smoke-test:$$
    trap 'docker rmi -f "$image" >/dev/null 2>&1' EXIT
    # The libraries as the dynamic linker names them: links are followed.
    libraries=$(ldd "$program" 2>/dev/null | awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^\//) print $i }' | sort -u)
    tar -chf - $program $libraries 2>/dev/null | docker import - "$image" >/dev/null
    docker run --rm --network none "$image" "$program" || { echo 'a container cannot be run; journalctl -u docker may say why' >&2; exit 1; }
    echo "Docker runs containers: $(docker version --format '{{.Server.Version}}')"
  EOT
}

step "command" "without_root" {
  for_each   = var.users
  run_as     = each.value
  on_change  = [step.package.pinned, step.package.docker, step.service.docker, step.user.users]
  run        = ["docker", "info", "--format", "{{.ServerVersion}}"]
  repeatable = true
}

# PyYAML 5.4.1 is the last that it takes, docker 7 breaks it, and urllib3 2 refuses OpenSSL 1.0.2.
step "pip" "compose_v1" {
  when         = var.compose_v1
  virtualenv   = "/opt/docker-compose"
  python       = var.compose_v1_python
  index_url    = var.index_url
  trusted_host = local.plain_host
  names        = ["docker-compose==1.29.2", "docker==6.1.3", "PyYAML==5.4.1", "urllib3<2", "requests<2.32"]
}

step "symlink" "compose_v1" {
  when   = var.compose_v1
  path   = "/usr/local/bin/docker-compose"
  target = "/opt/docker-compose/bin/docker-compose"
}

output "users" {
  description = "The users that may use Docker without sudo."
  value       = var.users
}
