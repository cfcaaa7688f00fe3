# A server that somebody else set up: look at what is there, say what was found, and change only what is safe. Try it on a
# throw-away copy of this machine:
#
#   provision apply --sandbox examples/takeover

variable "service_user" {
  description = "The account that the application belongs to, if the server has one already."
  type        = string
  default     = "bicycle"
}

# Replace the address by that of your server, and leave out --sandbox.
host "web1" {
  address = "203.0.113.10"
}

play "server" {
  become = true

  # Data looks, and changes nothing. All of it is asked in one exchange, with the states of the steps.
  data "account" "app" {
    user = var.service_user
  }

  data "path" "release" {
    path  = "/etc/os-release"
    match = "^PRETTY_NAME="
  }

  data "find" "logs" {
    path        = "/var/log"
    name        = ["*.log", "*.log.*"]
    depth       = 3
    larger_than = 104857600
  }

  data "command" "room" {
    script = "df -Pk /srv | awk 'NR == 2 { print $4 }'"
  }

  # What must be so, or nothing is touched.
  step "assert" "room" {
    condition = tonumber(data.command.room.stdout) > 1024
    message   = "/srv has less than 1 MiB of room left: make some first."
  }

  # In the plan: whoever reads it knows what the server is.
  message "what" {
    text = "This is ${trim(trimprefix(data.path.release.matches[0], "PRETTY_NAME="), "\"")}."
    at   = "plan"
  }

  message "logs" {
    text = "${data.find.logs.count} logs have more than 100 MiB:\n${join("\n", data.find.logs.paths)}"
    when = data.find.logs.count > 0
    at   = "plan"
  }

  # The account is made only where there is none.
  step "user" "app" {
    name  = var.service_user
    home  = "/srv/${var.service_user}"
    shell = "/bin/sh"
    when  = !data.account.app.exists
  }

  # In its place it sees what the steps before it have made.
  data "account" "made" {
    user = var.service_user
  }

  step "file" "contact" {
    path    = "${data.account.made.home}/CONTACT"
    content = "This account is looked after by provision.\n"
    owner   = var.service_user
  }

  # After the run.
  message "done" {
    text = "The application lives in ${data.account.made.home}, as user ${data.account.made.uid}."
  }
}

check "contact" {
  script = "grep -q provision ~${var.service_user}/CONTACT"
}
