package testhost

// Init makes hosts with another init than systemd, from the packages of tomorrow's Debian: "openrc", "sysv" or "runit", or "none".
func Init(name string) Option {
	return func(s *setup) { s.recipe = func() recipe { return withInit(name) } }
}

func withInit(name string) recipe {
	from := bare()
	if name == "none" {
		return from
	}
	return recipe{
		name: name, suite: newest, init: name, from: &from,
		packages: map[string][]string{
			"openrc": {"openrc", "sysvinit-core", "cron"},
			"sysv":   {"sysvinit-core", "sysv-rc", "insserv", "cron"},
			"runit":  {"runit", "runit-init", "cron"},
		}[name],
		// There are no consoles to ask for a login, and no disks to check.
		setup: "[ ! -e /etc/inittab ] || sed -i '/getty/d' /etc/inittab; [ ! -d /etc/runit ] || ln -s /etc/sv/ssh /etc/runit/runsvdir/default/ssh; rm -rf /etc/runit/runsvdir/default/getty-*",
	}
}
