# Where it runs. A host of your own: its address, and who logs in.

host "server" {
  address = "203.0.113.10"
  user    = "root"
}
