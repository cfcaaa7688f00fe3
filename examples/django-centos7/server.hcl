# A fresh CentOS 7 server becomes one that serves a Django project from containers, with one command:
#
#   provision plan      shows what differs
#   provision apply     makes it so
#   provision test      does it to a container, and needs nothing but Docker here
#
# Before: the address in hosts.hcl, your key, and .envs/.production with DJANGO_SECRET_KEY (see README.md).

variable "user" {
  description = "The account to work with."
  type        = string
  default     = "bicycle"
}

variable "authorized_key" {
  description = "The public key that logs in as the user."
  type        = string
  default     = "~/.ssh/id_ed25519.pub"
}

variable "env_file" {
  description = "The variables of production, which travel byte for byte and are never shown."
  type        = string
  default     = ".envs/.production"
}

variable "supervised" {
  description = "Have supervisor run docker compose, as the runbook did, rather than Docker's own restart policies."
  type        = bool
  default     = false
}

# Mirrors: for a server without a way to the internet, or with a slow one.
variable "vault" {
  description = "The archive of CentOS 7."
  type        = string
  default     = "https://vault.centos.org/7.9.2009"
}

variable "docker" {
  description = "Docker's packages, with centos below it, and their versions; {} is what the mirror has."
  type = object({
    baseurl  = optional(string, "https://download.docker.com/linux")
    versions = optional(map(string))
  })
  default = {}
}

variable "sqlite" {
  description = "The release of SQLite, its source if it is not to come from sqlite.org, and further arguments of configure."
  type        = object({ release = string, url = optional(string), sha256 = optional(string), configure = optional(list(string), []) })
  default     = { release = "3.46.1" }
}

variable "python" {
  description = "The release of Python, its source if it is not to come from python.org, and further arguments of configure."
  type        = object({ release = string, url = optional(string), sha256 = optional(string), configure = optional(list(string), []) })
  default     = { release = "3.9.19" }
}

variable "pypi" {
  description = "The index of Python packages. Left out, pypi.org."
  type        = string
  default     = null
}

variable "pipenv" {
  description = "The version of pipenv; null for none."
  type        = string
  default     = "2023.12.1"
}

variable "build_args" {
  description = "Arguments for building the images, such as { PIP_INDEX_URL = \"https://…\" }."
  type        = map(string)
  default     = {}
}

variable "base_image" {
  description = "An image to build upon without a registry: its name, and a local archive of docker save."
  type        = object({ name = string, archive = string })
  default     = null
}

# What provision test boots, and what it uses in place of your key and your secret.
test {
  image = "quay.io/centos/centos:centos7"
  vars  = { authorized_key = "test/key.pub", env_file = "test/production.env" }
}

locals {
  build_args = merge(var.base_image == null ? {} : { BASE_IMAGE = var.base_image.name }, var.build_args)

  home = "/home/${var.user}"
  dir  = "${local.home}/Applications/project"
}

play "server" {
  become = true

  # yum works again: the mirrors of CentOS 7 are gone.
  module "centos7" {
    tags    = ["system"]
    source  = "provision/centos7"
    baseurl = var.vault
  }

  # adduser, usermod -aG wheel, yum update.
  module "base" {
    tags            = ["system"]
    source          = "provision/base"
    user            = var.user
    authorized_keys = [file(var.authorized_key)]
  }

  module "sqlite" {
    tags    = ["python"]
    source  = "provision/sqlite"
    release = var.sqlite.release
    url     = var.sqlite.url
    sha256  = var.sqlite.sha256

    configure = var.sqlite.configure
  }

  # Linked against that SQLite.
  module "python" {
    tags           = ["python"]
    source         = "provision/python"
    release        = var.python.release
    url            = var.python.url
    sha256         = var.python.sha256
    sqlite_version = var.sqlite.release
    pipenv         = var.pipenv
    index_url      = var.pypi
    configure      = var.python.configure
  }

  module "docker" {
    tags     = ["docker"]
    source   = "provision/docker"
    baseurl  = var.docker.baseurl
    versions = var.docker.versions
    users    = [var.user]
    daemon   = { log-driver = "json-file", log-opts = { max-size = "10m", max-file = "3" } }
  }

  module "supervisor" {
    tags      = ["app"]
    when      = var.supervised
    source    = "provision/supervisor"
    user      = var.user
    python    = module.python.python
    index_url = var.pypi
  }

  step "docker_image" "base" {
    tags = ["app"]
    when = var.base_image != null
    load = var.base_image == null ? "none" : var.base_image.archive
  }

  step "directory" "applications" {
    tags  = ["app"]
    path  = "${local.home}/Applications"
    owner = var.user
    mode  = "0755"
  }

  # provision apply --tags app deploys and does no more.
  module "app" {
    tags              = ["app"]
    source            = "provision/compose_app"
    app               = "${path.root}/app"
    dir               = local.dir
    owner             = var.user
    files             = ["production.yml"]
    env_source        = "${path.root}/${var.env_file}"
    env_path          = ".envs/.production"
    build_args        = local.build_args
    supervisor_config = var.supervised ? module.supervisor.config : null
  }
}

check "site" {
  http   = "http://127.0.0.1/"
  status = 200
  body   = "It rides."
}

# nginx takes it from the volume that both containers share.
check "static" {
  http   = "http://127.0.0.1/static/pages/style.css"
  status = 200
  body   = "bicycle"
}

# The secret has arrived, byte for byte: the page shows a code that only who knows the key can compute.
check "secret" {
  script = <<-EOT
    /usr/local/bin/python3 - <<'END'
    import hashlib, hmac, sys, urllib.request
    lines = open("${local.dir}/.envs/.production").read().splitlines()
    key = next(line.partition("=")[2] for line in lines if line.startswith("DJANGO_SECRET_KEY="))
    want = hmac.new(key.encode(), b"provision", hashlib.sha256).hexdigest()
    got = urllib.request.urlopen("http://127.0.0.1/proof", timeout=5).read().decode().strip()
    sys.exit(got != want)
    END
  EOT
  become = true
}
