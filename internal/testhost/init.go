package testhost

// An initSystem is how a host with another first process than systemd is asked and told.
type initSystem struct {
	ready   string // sh that says "running" once the boot is over, or "degraded"
	reload  string // sh after which sshd has read its configuration
	reboot  string // sh that returns before the host goes down
	explain string // sh that tells why a boot failed
}

// inits by the name in a recipe; "" is systemd.
var inits = map[string]initSystem{
	"": {
		ready:   "systemctl is-system-running",
		reload:  "systemctl restart sshd.service",
		reboot:  "systemctl --no-block reboot",
		explain: "systemctl --failed --no-legend; systemctl list-jobs --no-legend; journalctl -b -n 30 --no-pager",
	},
	// The first process of these is a loop of sh that starts sshd, see aloneInit.
	"none": {ready: "echo running", reload: reloadSSH, reboot: "kill 1", explain: "ps axf"},
	"openrc": {
		ready:   "[ \"$(rc-status -r)\" != default ] || ! rc-service ssh status >/dev/null || echo running",
		reload:  reloadSSH,
		reboot:  "shutdown -r now >/dev/null 2>&1 &",
		explain: "rc-status -a; ps axf",
	},
	"sysv": {
		ready:   "case $(runlevel) in *' 2') ! service ssh status >/dev/null || echo running ;; esac",
		reload:  reloadSSH,
		reboot:  "shutdown -r now >/dev/null 2>&1 &",
		explain: "runlevel; ps axf",
	},
	"runit": {
		ready:   "case $(sv status /etc/service/ssh) in run:*) echo running ;; esac",
		reload:  reloadSSH,
		reboot:  "init 6 >/dev/null 2>&1 &",
		explain: "ps axf; sv status /etc/service/*",
	},
}

const reloadSSH = "kill -HUP \"$(cat /run/sshd.pid)\""

// aloneInit is the first process of a host without an init: it starts sshd, and inherits and buries what others leave.
const aloneInit = `#!/bin/sh
trap 'exit 0' TERM
mkdir -p /run/sshd
/usr/sbin/sshd
while :; do sleep 1; done
`
