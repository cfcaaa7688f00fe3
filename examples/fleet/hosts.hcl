# Where it runs: two load balancers, six web servers and two databases behind a bastion. See what this comes to with
#
#   provision hosts examples/fleet

ssh {
  user = "deploy"
  jump = "bastion"
}

host "bastion" {
  address = "203.0.113.1"
  jump    = []
}

host "lb[1:2]" {
  address = "10.0.0.[11:12]"
  groups  = ["lb"]
}

host "web[01:06]" {
  address = "10.0.1.[11:16]"
  groups  = ["web"]
}

host "db[1:2]" {
  address = "10.0.2.[11:12]"
  groups  = ["db"]
}

# The last web server is larger than the others, and says so for itself.
host "web07" {
  address = "10.0.1.17"
  groups  = ["web"]
  vars    = { cached_files = 20000 }
}

group "web" {
  vars = { cached_files = 1000 }
}

group "db" {
  vars = { shared_buffers = "2GB" }
}

# What all that serves the shop has in common; the bastion is not part of it.
group "shop" {
  children = ["lb", "web", "db"]
  vars     = { contact = "operations@example.com" }
}
