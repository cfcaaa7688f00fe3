# SQLite, built from source into /usr/local. CentOS 7 has 3.7.17, and Django 2.2 needs 3.8.3.

variable "release" {
  description = "The release to build where no version fits."
  type        = string
  nullable    = false
  default     = "3.46.1"

  validation {
    condition     = can(regex("^3\\.[0-9]{1,2}\\.[0-9]{1,2}$", var.release))
    error_message = "release is a version of SQLite 3 such as 3.46.1."
  }
}

variable "accept" {
  description = "Versions that are left alone, such as \">= 3.8.3\". Left out, it must be the release exactly."
  type        = string
  default     = null
}

variable "url" {
  description = "Address of the source archive. Left out, that of sqlite.org, for the releases that the module knows."
  type        = string
  default     = null
}

variable "sha256" {
  description = "SHA-256 of the source archive. Needed for a release that the module does not know, or with a url."
  type        = string
  default     = null
}

variable "prefix" {
  description = "Where it is installed."
  type        = string
  nullable    = false
  default     = "/usr/local"
}

variable "configure" {
  description = "Further arguments of configure."
  type        = list(string)
  nullable    = false
  default     = []
}

locals {
  # The year is part of the address.
  known = {
    "3.29.0" = { year = 2019, sha256 = "8e7c1e2950b5b04c5944a981cb31fffbf9d2ddda939d536838ebc854481afd5b" }
    "3.46.1" = { year = 2024, sha256 = "67d3fe6d268e6eaddcae3727fce58fcc8e9c53869bdd07a0c61e38ddf2965071" }
  }
  unknown = { year = 0, sha256 = "(the SHA-256 of SQLite ${var.release}: set url and sha256)" }
  parts   = split(".", var.release)
  archive = format("sqlite-autoconf-%d%02d%02d00.tar.gz", tonumber(local.parts[0]), tonumber(local.parts[1]), tonumber(local.parts[2]))
  here    = lookup(local.known, var.release, local.unknown)

  url    = var.url != null ? var.url : "https://sqlite.org/${local.here.year}/${local.archive}"
  sha256 = var.sha256 != null ? var.sha256 : var.url == null ? local.here.sha256 : local.unknown.sha256

  build = {
    apt    = ["gcc", "libc6-dev", "make", "curl", "ca-certificates"]
    apk    = ["gcc", "musl-dev", "make"]
    pacman = ["gcc", "make"]
    zypper = ["gcc", "make", "tar", "gzip"]
    dnf    = ["gcc", "glibc-devel", "make", "tar", "gzip"]
    yum    = ["gcc", "glibc-devel", "make"]
  }
}

step "package" "build" {
  names = lookup(local.build, fact.package_manager, [])
  when  = contains(keys(local.build), fact.package_manager)
}

step "source_build" "sqlite" {
  name   = "sqlite"
  url    = local.url
  sha256 = local.sha256
  prefix = var.prefix

  # One library, which the shell uses as Python does: sqlite3 --version then tells the library's. By default the whole
  # of SQLite would be compiled three times.
  configure = concat(["--disable-static", "--disable-static-shell"], var.configure)

  # With accept, a version of the distribution that fits will do; otherwise only the one in prefix counts.
  installed = {
    command = "${var.accept == null ? shellquote("${var.prefix}/bin/sqlite3") : "PATH=${shellquote("${var.prefix}/bin")}:$PATH sqlite3"} --version"
    version = var.accept == null ? var.release : var.accept
  }
}

output "version" {
  description = "The version that is installed."
  value       = step.source_build.sqlite.version
}

output "prefix" {
  description = "Where it is installed."
  value       = var.prefix
}
