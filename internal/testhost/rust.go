package testhost

// rust is a host with the programs that newer Ubuntus have in place of GNU's coreutils and of sudo, and with doas. There is no init.
func rust() recipe {
	from := bare()
	return recipe{name: "rust", suite: newest, init: "none", from: &from, packages: []string{"rust-coreutils", "sudo-rs", "opendoas"}}
}

// Uutils makes hosts with uutils in place of GNU coreutils.
func Uutils() Option {
	return func(s *setup) {
		s.recipe = rust
		// Each is put in place under its name: what a program is called tells it what to do.
		s.edits = append(s.edits, `for program in /usr/lib/cargo/bin/coreutils/*; do ln -f "$program" "/usr/bin/${program##*/}.new" && /usr/lib/cargo/bin/coreutils/mv -f "/usr/bin/${program##*/}.new" "/usr/bin/${program##*/}"; done
ls --version | grep -q uutils`)
	}
}

// SudoRS makes hosts with sudo-rs in place of sudo, and logs in as the user admin, whom it asks for [Host.Password].
func SudoRS() Option {
	return func(s *setup) {
		AsAdminPassword()(s)
		s.recipe = rust
		s.edits = append(s.edits, `ln -sf /usr/lib/cargo/bin/sudo /usr/bin/sudo`)
	}
}

// Doas makes hosts that have doas and no sudo, and logs in as the user admin with these rules of doas.conf(5).
func Doas(rules string) Option {
	return func(s *setup) {
		AsAdminPassword()(s)
		s.recipe = rust
		s.edits = append(s.edits, `rm -f /usr/bin/sudo /usr/bin/sudo-rs; printf '%s\n' '`+rules+`' >/etc/doas.conf; chmod 0400 /etc/doas.conf`)
	}
}
