# A new release of a web shop goes out to a fleet: first to one web server, then to a quarter of them, then to the rest.
#
#   provision validate examples/fleet
#   provision hosts examples/fleet
#   provision plan --var release=v2.4.1 examples/fleet
#   provision apply --var release=v2.4.1 examples/fleet
#
# The plays run in the order in which they stand here, each when the one before has ended on all its hosts.

variable "release" {
  description = "The tag of the release."
  type        = string
  default     = "v2.4.0"
}

variable "repository" {
  description = "Where the shop comes from. The hosts must be able to reach it."
  type        = string
  default     = "https://git.example.com/shop.git"
}

variable "postgresql" {
  description = "The major version of PostgreSQL that the distribution has."
  type        = number
  default     = 15
}

locals {
  # As in hosts.hcl: what the load balancers send requests to.
  web = { for n in range(1, 8) : format("web%02d", n) => "10.0.1.${10 + n}" }
}

play "shop" {
  hosts  = ["shop"]
  become = true

  step "package" "tools" {
    names = ["ca-certificates", "curl"]
  }

  step "file" "motd" {
    path    = "/etc/motd"
    content = "${host.name} (${join(", ", host.groups)}). Questions: ${host.vars.contact}\n"
  }
}

# The databases first, since the new release may want what is set here. One at a time, and none if the first fails.
play "databases" {
  hosts  = ["db"]
  become = true
  tags   = ["db"]

  step "package" "postgresql" {
    name = "postgresql"
  }

  step "file" "settings" {
    path    = "/etc/postgresql/${var.postgresql}/main/conf.d/fleet.conf"
    content = "shared_buffers = ${host.vars.shared_buffers}\nlisten_addresses = '${host.address}'\n"
  }

  step "service" "postgresql" {
    name      = "postgresql"
    state     = "started"
    enabled   = true
    on_change = { restart = [step.file.settings] }
  }

  rollout {
    batch = 1
  }
}

play "web" {
  hosts  = ["web"]
  become = true
  tags   = ["web"]

  step "package" "server" {
    names = ["git", "nginx"]
  }

  step "user" "shop" {
    name   = "shop"
    system = true
  }

  step "directory" "srv" {
    path  = "/srv/shop"
    owner = "shop"
  }

  step "git" "release" {
    repo   = var.repository
    ref    = var.release
    dest   = "/srv/shop/current"
    run_as = "shop"
  }

  # The database follows the release: on the first web server, before any of them serves it.
  step "command" "migrate" {
    run       = ["/srv/shop/current/bin/migrate"]
    run_as    = "shop"
    once      = true
    on_change = [step.git.release]
  }

  step "file" "site" {
    path     = "/etc/nginx/conf.d/shop.conf"
    template = "files/shop.conf.tmpl"
    backup   = true
  }

  step "service" "nginx" {
    name      = "nginx"
    state     = "started"
    enabled   = true
    on_change = { reload = [step.file.site, step.git.release] }
  }

  # Before the next batch begins: this host answers, or it has failed.
  step "http_check" "answers" {
    url     = "http://127.0.0.1:8080/health"
    timeout = "30s"
  }

  # One web server is the canary, then a quarter of them, then the others. When more than one has failed, no further one
  # begins: the rest still serves the old release. A host that is down is left out and told.
  rollout {
    batch          = ["1", "25%", "100%"]
    max_failures   = 1
    on_unreachable = "skip"
    pause          = "10s"
  }
}

# The load balancers last, one after the other, so that one always answers.
play "balancers" {
  hosts  = ["lb"]
  become = true
  tags   = ["lb"]

  step "package" "haproxy" {
    name = "haproxy"
  }

  step "file" "haproxy" {
    path     = "/etc/haproxy/haproxy.cfg"
    template = "files/haproxy.cfg.tmpl"
    validate = "haproxy -c -f %s"
  }

  step "service" "haproxy" {
    name      = "haproxy"
    state     = "started"
    enabled   = true
    on_change = { reload = [step.file.haproxy] }
  }

  rollout {
    batch = 1
  }
}

check "shop" {
  hosts  = ["lb"]
  http   = "http://127.0.0.1/health"
  status = 200
}
