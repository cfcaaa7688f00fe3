# CentOS Linux 7 after its end of life on 2024-06-30: mirrorlist.centos.org is gone, and yum fails until its
# repositories point at the archive. Any other system is left alone.

variable "baseurl" {
  description = "The archive of 7.9.2009, with os, updates and extras below it. Other architectures: https://vault.centos.org/altarch/7.9.2009."
  type        = string
  nullable    = false
  default     = "https://vault.centos.org/7.9.2009"

  validation {
    condition     = can(regex("^(https?|file)://[^ ]*[^ /]$", var.baseurl))
    error_message = "baseurl is an address that begins with https://, http:// or file:// and has no slash at its end."
  }
}

variable "gpgcheck" {
  description = "Whether packages must be signed with CentOS's key. Only a mirror of your own that signs nothing needs false."
  type        = bool
  nullable    = false
  default     = true
}

variable "epel" {
  description = "Whether to add EPEL 7, which is archived too."
  type        = bool
  nullable    = false
  default     = false
}

variable "epel_baseurl" {
  description = "The archive of EPEL 7, with x86_64 and the like below it."
  type        = string
  nullable    = false
  default     = "https://archives.fedoraproject.org/pub/archive/epel/7"

  validation {
    condition     = can(regex("^(https?|file)://[^ ]*[^ /]$", var.epel_baseurl))
    error_message = "epel_baseurl is an address that begins with https://, http:// or file:// and has no slash at its end."
  }
}

variable "epel_gpgkey" {
  description = "The key that signs EPEL 7."
  type        = string
  nullable    = false
  default     = "https://archives.fedoraproject.org/pub/archive/epel/RPM-GPG-KEY-EPEL-7"
}

locals {
  applies = fact.os.id == "centos" && fact.os.version == "7"
  flag    = var.gpgcheck ? 1 : 0

  # Enabled repositories in other files that ask a server which no longer exists, as "FILE [SECTION] ADDRESS".
  dead = <<-EOT
    cd /etc/yum.repos.d && awk '
      function told() { if (on && address != "") print file " " section " " address; on = 1; address = "" }
      FNR == 1 { told(); file = FILENAME; section = "" }
      /^\[/ { told(); section = $0 }
      /^enabled *= *0/ { on = 0 }
      /^(mirrorlist|baseurl) *=.*:\/\/(mirrorlist|mirror|buildlogs)\.centos\.org/ { sub(/^[a-z]+ *= */, ""); address = $0 }
      END { told() }
    ' $(ls | grep '\.repo$' | grep -v '^CentOS-Base\.repo$') </dev/null
  EOT
}

# The new file is tried before it takes the place of the old one, so an archive that cannot be reached changes nothing.
step "file" "repositories" {
  when   = local.applies
  path   = "/etc/yum.repos.d/CentOS-Base.repo"
  mode   = "0644"
  backup = true
  content = join("\n", [for name, title in { os = "Base", updates = "Updates", extras = "Extras" } : <<-EOT
    [${name == "os" ? "base" : name}]
    name=CentOS-7 - ${title} (archive)
    baseurl=${var.baseurl}/${name}/$basearch/
    enabled=1
    gpgcheck=${local.flag}
    gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-CentOS-7
  EOT
  ])
  validate = join("; ", [
    "d=$(mktemp -d) && cp -- %s \"$d/archive.repo\" && yum -y -q --setopt=reposdir=\"$d\" --setopt=skip_if_unavailable=0 makecache",
    "status=$?",
    "rm -rf -- \"$d\"",
    "[ $status = 0 ] || { echo 'the archive of CentOS 7 cannot be used, so nothing was changed: see yum above, and the variable baseurl' >&2; exit 1; }",
  ])
}

step "command" "preflight" {
  when   = local.applies
  unless = "[ -z \"$(${local.dead})\" ]"
  script = <<-EOT
    echo 'these repositories are enabled and their server is gone since CentOS 7 ended, so yum would fail:' >&2
    ( ${local.dead} ) >&2
    echo 'set enabled=0 in them, or point them at https://vault.centos.org with a step of the kind ini or repository' >&2
    exit 1
  EOT
}

step "repository" "epel" {
  when        = local.applies && var.epel
  name        = "epel"
  description = "Extra Packages for Enterprise Linux 7 (archive)"
  baseurl     = "${var.epel_baseurl}/$basearch"
  gpgkey      = var.epel_gpgkey
  gpgcheck    = var.gpgcheck
}

output "applies" {
  description = "Whether the host is CentOS Linux 7."
  value       = local.applies
}
