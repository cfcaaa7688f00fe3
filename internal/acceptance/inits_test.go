//go:build acceptance

package acceptance

import (
	"strings"
	"testing"

	"provision/internal/testhost"
)

// napd is a daemon that says which word it has read, and ends at once if that is "bad".
const napd = `cat >/usr/bin/napd <<'END'
#!/bin/sh
read -r word </etc/nap.conf
echo "$word" >/run/napd.word
[ "$word" != bad ] || { echo "napd: a bad word" >&2; exit 1; }
exec sleep 1000000
END
chmod 0755 /usr/bin/napd
echo one >/etc/nap.conf
`

// lsb makes an init script NAME for napd, which starts in these runlevels. It cannot reload.
const lsb = `lsb() {
	cat >/etc/init.d/$1 <<END
#!/bin/sh
### BEGIN INIT INFO
# Provides:          $1
# Required-Start:
# Required-Stop:
# Default-Start:     $2
# Default-Stop:      0 6
# Short-Description: $1
### END INIT INFO
case \$1 in
start) start-stop-daemon --start --background --make-pidfile --pidfile /run/$1.pid --startas /usr/bin/napd ;;
stop) start-stop-daemon --stop --oknodo --remove-pidfile --pidfile /run/$1.pid ;;
restart) \$0 stop; \$0 start ;;
status) start-stop-daemon --status --pidfile /run/$1.pid ;;
*) echo "Usage: \$0 start|stop|restart|status" >&2; exit 3 ;;
esac
END
	chmod 0755 /etc/init.d/$1
}
`

// An initHost is a host whose init is not systemd, with the service napd as its people would write it.
type initHost struct {
	name   string
	setup  string
	others func(*initLife) // runlevels and the like
}

var initHosts = []initHost{
	{
		name: "openrc",
		setup: napd + `cat >/etc/init.d/napd <<'END'
#!/sbin/openrc-run
command=/usr/bin/napd
command_background=yes
pidfile=/run/napd.pid
END
chmod 0755 /etc/init.d/napd
rc-update add napd nonetwork`,
		others: func(l *initLife) {
			l.host.Run(l.T, "rc-update show nonetwork | grep -q napd") // it is not for a step about booting to take that away
			l.enabled("procps", true, "no-op")                         // in sysinit
			l.enabled("single", true, "update")                        // in recovery alone
			l.applies(step("napd", "enabled = false"))
			l.host.Run(l.T, "rc-update show nonetwork | grep -q napd && ! rc-update show default | grep -q napd")
		},
	},
	{
		name:  "sysv",
		setup: napd + lsb + "lsb napd '2 3 4 5'\nlsb five 5\nupdate-rc.d five defaults",
		others: func(l *initLife) {
			l.enabled("procps", true, "no-op") // in rcS
			l.book.steps(step("five", "enabled = true"))
			if o := l.book.apply(); o.exit != 1 || !strings.Contains(o.output("step.service.s"), "Default-Start in /etc/init.d/five") {
				l.Errorf("a service of another runlevel: exit %d\n%s", o.exit, o.dump())
			}
			l.applies(step("procps", "enabled = false"))
			l.applies(step("procps", "enabled = true"))
		},
	},
	{
		name: "runit",
		setup: napd + lsb + `lsb napd '2 3 4 5'
mkdir -p /etc/sv/napd
printf '#!/bin/sh\nexec /usr/bin/napd\n' >/etc/sv/napd/run
chmod 0755 /etc/sv/napd/run`,
		others: func(l *initLife) {
			l.host.Run(l.T, "sv stop napd")
			l.book.steps(step("napd", `state = "started"`))
			if o := l.book.plan(); o.exit != 2 {
				l.Errorf("a service that runit has stopped: exit %d\n%s", o.exit, o.dump())
			}
			l.applies(step("napd", `state = "started"`))
			l.enabled("cron", true, "no-op") // an init script that runit has nothing for
		},
	},
}

// TestInits is one life of a service under each init but systemd: started and enabled, reloaded though it cannot, crashed, dying at once,
// and in runlevels that no boot goes through.
func TestInits(t *testing.T) {
	t.Parallel()
	for _, init := range initHosts {
		t.Run(init.name, func(t *testing.T) {
			takesTurn(t, init.name, "openrc", "sysv", "runit")
			t.Parallel()
			h := testhost.Fresh(t, testhost.Init(init.name))
			h.Run(t, init.setup)
			l := &initLife{T: t, host: h, book: newBook(t, h, "")}
			l.enabled("napd", true, "update")
			l.applies(step("napd", "state = \"started\"\n  enabled = true"))
			l.word("one")

			h.Run(t, "pkill -9 -f '[s]leep 1000000'")
			if init.name != "runit" { // which has started it again
				l.book.steps(step("napd", `state = "started"`))
				if o := l.book.plan(); o.exit != 2 {
					l.Errorf("a crashed service: exit %d\n%s", o.exit, o.dump())
				}
				l.applies(step("napd", `state = "started"`))
			}

			l.applies(configured("two"))
			l.word("two")
			l.book.steps(configured("bad"))
			if init.name != "runit" { // which tries again every second
				if o := l.book.apply(); o.exit != 1 || !strings.Contains(o.output("step.service.s"), "did not stay") {
					l.Errorf("a service that dies at once: exit %d\n%s", o.exit, o.dump())
				}
			}
			l.applies(configured("three"))
			l.word("three")
			init.others(l)
			tidy(t, h)
		})
	}
}

type initLife struct {
	*testing.T
	host *testhost.Host
	book *book
}

func step(name, args string) string {
	return "step \"service\" \"s\" {\n  name = \"" + name + "\"\n  " + args + "\n}\n"
}

// configured writes a word for napd, which is to be reloaded.
func configured(word string) string {
	return "step \"file\" \"conf\" {\n  path    = \"/etc/nap.conf\"\n  content = \"" + word + "\\n\"\n}\n" +
		step("napd", "state = \"started\"\n  on_change = { reload = [step.file.conf] }")
}

func (l *initLife) applies(steps string) {
	l.Helper()
	l.book.steps(steps)
	l.book.applied()
	l.book.converged()
}

// word fails the test if the daemon that runs has not read this word.
func (l *initLife) word(want string) {
	l.Helper()
	eventually(l.T, l.host, "napd reads "+want, "pgrep -f '[s]leep 1000000' && grep -qx "+want+" /run/napd.word")
}

// enabled fails the test if the plan for a service that is to start at boot is not this.
func (l *initLife) enabled(name string, want bool, action string) {
	l.Helper()
	l.book.steps(step(name, "enabled = "+map[bool]string{true: "true", false: "false"}[want]))
	if got := string(l.book.plan().planned("step.service.s").Action); got != action {
		l.Errorf("enabled = %v for %s: the plan is %q, want %q", want, name, got, action)
	}
}
