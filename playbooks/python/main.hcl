# Python 3, built from source and linked against the SQLite in sqlite_prefix.

variable "release" {
  description = "The release to build where no version fits. OpenSSL 1.0.2, which CentOS 7 has, allows 3.9 at most."
  type        = string
  nullable    = false
  default     = "3.9.19"

  validation {
    condition     = can(regex("^3\\.[0-9]{1,2}\\.[0-9]{1,2}$", var.release))
    error_message = "release is a version of Python 3 such as 3.9.19."
  }
}

variable "accept" {
  description = "Versions that are left alone, such as \">= 3.9, < 3.10\". Left out, it must be the release exactly."
  type        = string
  default     = null
}

variable "url" {
  description = "Address of the source archive. Left out, that of python.org, for the releases that the module knows."
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

variable "sqlite_prefix" {
  description = "Where the SQLite is that Python shall use. Its library there is found at run time too, without ldconfig."
  type        = string
  nullable    = false
  default     = "/usr/local"
}

variable "sqlite_version" {
  description = "The version that sqlite3.sqlite_version must be, such as module.sqlite.version. A Python that has another one is built anew."
  type        = string
  default     = null
}

variable "alternative" {
  description = "Install only pythonX.Y and pipX.Y, and leave python3 and pip3 as they are."
  type        = bool
  nullable    = false
  default     = false
}

variable "optimize" {
  description = "Build with --enable-optimizations: some 10 % faster programs for many minutes of building."
  type        = bool
  nullable    = false
  default     = false
}

variable "configure" {
  description = "Further arguments of configure, such as --with-openssl."
  type        = list(string)
  nullable    = false
  default     = []
}

variable "pipenv" {
  description = "The version of pipenv to install with it, or \"latest\". Left out, none is installed."
  type        = string
  default     = null
}

variable "index_url" {
  description = "The index that pip asks. Left out, pip's own."
  type        = string
  default     = null
}

locals {
  known = {
    "3.7.4"  = "d63e63e14e6d29e17490abbe6f7d17afb3db182dbd801229f14e55f4157c4ba3"
    "3.9.19" = "f5f9ec8088abca9e399c3b62fd8ef31dbd2e1472c0ccb35070d4d136821aaf71"
    "3.11.9" = "e7de3240a8bc2b1e1ba5c81bf943f06861ff494b69fda990ce2722a504c6153d"
  }
  unknown = "(the SHA-256 of Python ${var.release}: set url and sha256)"
  minor   = tonumber(split(".", var.release)[1])
  binary  = "${var.prefix}/bin/python3.${local.minor}"

  url    = var.url != null ? var.url : "https://www.python.org/ftp/python/${var.release}/Python-${var.release}.tgz"
  sha256 = var.sha256 != null ? var.sha256 : var.url == null ? lookup(local.known, var.release, local.unknown) : local.unknown

  # Python leaves out what it finds no headers for, without an error: pip needs zlib and ssl, and from 3.7 on ctypes.
  redhat = ["gcc", "glibc-devel", "make", "openssl-devel", "bzip2-devel", "expat-devel", "gdbm-devel", "readline-devel", "sqlite-devel", "zlib-devel", "libffi-devel"]
  build = {
    yum    = local.redhat
    dnf    = concat(local.redhat, ["xz-devel", "tar", "gzip"])
    zypper = ["gcc", "make", "tar", "gzip", "libopenssl-devel", "libbz2-devel", "libexpat-devel", "gdbm-devel", "readline-devel", "sqlite3-devel", "zlib-devel", "libffi-devel", "xz-devel"]
    apt    = ["gcc", "libc6-dev", "make", "curl", "ca-certificates", "xz-utils", "libssl-dev", "libbz2-dev", "libexpat1-dev", "libgdbm-dev", "libreadline-dev", "libsqlite3-dev", "zlib1g-dev", "libffi-dev", "liblzma-dev"]
    apk    = ["gcc", "musl-dev", "make", "linux-headers", "openssl-dev", "bzip2-dev", "expat-dev", "gdbm-dev", "readline-dev", "sqlite-dev", "zlib-dev", "libffi-dev", "xz-dev"]
    pacman = ["gcc", "make", "openssl", "bzip2", "expat", "gdbm", "readline", "sqlite", "zlib", "libffi", "xz"]
  }

  works = join("; ", compact([
    "import ctypes, platform, sqlite3, ssl, zlib",
    var.sqlite_version == null ? "" : "assert sqlite3.sqlite_version == '${var.sqlite_version == null ? "" : var.sqlite_version}', 'it uses SQLite ' + sqlite3.sqlite_version + ', not ${var.sqlite_version == null ? "" : var.sqlite_version}'",
    "print(platform.python_version())",
  ]))

  # "OpenSSL 1.0.2k-fips  26 Jan 2017", or the name of the library where the command is not installed.
  openssl     = "$(openssl version 2>/dev/null || ls /usr/lib64 2>/dev/null | grep '^libssl[.]so[.]1[.]0')"
  old_openssl = "case ${local.openssl} in 'OpenSSL 0.'* | 'OpenSSL 1.0.'* | libssl.so.1.0*) true ;; *) false ;; esac"

  # pip trusts an index without TLS only if its host is named.
  plain_host = var.index_url == null ? null : try(regex("^http://([^/:]+)", var.index_url)[0], null)
}

step "command" "preflight" {
  when    = local.minor >= 10 && !anytrue([for word in var.configure : startswith(word, "--with-openssl=")])
  only_if = local.old_openssl
  script  = <<-EOT
    echo "Python ${var.release} needs OpenSSL 1.1.1 or later, and this host has ${local.openssl}." >&2
    echo 'Set release to 3.9.19 or earlier, or install a newer OpenSSL (openssl11-devel of EPEL) and name it with configure = ["--with-openssl=DIR"].' >&2
    exit 1
  EOT
}

step "package" "build" {
  names = lookup(local.build, fact.package_manager, [])
  when  = contains(keys(local.build), fact.package_manager)
}

step "source_build" "python" {
  name   = "python"
  url    = local.url
  sha256 = local.sha256
  prefix = var.prefix

  configure = concat(
    ["LDFLAGS=-L${var.sqlite_prefix}/lib", "CPPFLAGS=-I${var.sqlite_prefix}/include"],
    var.optimize ? ["--enable-optimizations"] : [],
    var.configure,
  )
  # The linker writes it into what it makes, so the SQLite in sqlite_prefix is found at run time.
  env          = { LD_RUN_PATH = "${var.sqlite_prefix}/lib" }
  make_install = [var.alternative ? "altinstall" : "install"]

  # One that lacks ssl, or has another SQLite, counts as broken.
  installed = {
    command = "${shellquote(local.binary)} -c ${shellquote(local.works)}"
    version = var.accept == null ? var.release : var.accept
  }
}

step "pip" "pipenv" {
  when      = var.pipenv != null
  name      = var.pipenv == "latest" || var.pipenv == null ? "pipenv" : "pipenv==${var.pipenv}"
  python    = local.binary
  index_url = var.index_url

  trusted_host = local.plain_host
}

output "version" {
  description = "The version that is installed."
  value       = step.source_build.python.version
}

output "python" {
  description = "Path of the interpreter."
  value       = local.binary
}
