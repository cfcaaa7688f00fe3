//go:build acceptance

package acceptance

import "provision/internal/testhost"

// A disturbance is a change by hand of what the example of a kind has made.
type disturbance struct {
	shows  string            // the one line of the plan then: ADDRESS ACTION
	script string            // sh, as root on the host; "" if there is nothing that can be disturbed
	before string            // sh that makes what the example takes for granted
	files  map[string]string // beside the playbook, likewise
	runs   []string          // lines that every plan of the example shows, because a bare command has no state
	always bool              // some of the example runs each time, so that no plan is empty
	clean  bool              // a fresh host may be as the example wants it already
	alone  []testhost.Option // not nil: on a host of its own
	skip   string            // why it cannot be tried
}

// A repository of one package in two versions, in place of all others: an upgrade of the whole system would take minutes.
const oldPackage = `
set -e
: >/etc/apt/sources.list
mkdir -p /srv/repo && cd /srv/repo
: >Packages
for v in 1 2; do
	rm -rf tree && mkdir -p tree/DEBIAN
	printf 'Package: acceptance-demo\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: demo\n' $v >tree/DEBIAN/control
	dpkg-deb --build tree demo_$v.deb >/dev/null
	{ cat tree/DEBIAN/control; printf 'Filename: ./demo_%s.deb\nSize: %s\nSHA256: %s\n\n' $v "$(stat -c %s demo_$v.deb)" "$(sha256sum demo_$v.deb | cut -d' ' -f1)"; } >>Packages
done
echo 'deb [trusted=yes] file:/srv/repo ./' >/etc/apt/sources.list.d/acceptance.list
apt-get update -qq
`

// A project of one container, from an image of nothing but busybox.
const demoProject = `
set -e
mkdir -p /srv/demo-compose && cd /srv/demo-compose
tar -C / -c bin/busybox usr/bin/busybox 2>/dev/null | docker import - demo:busybox >/dev/null
printf 'services:\n  web:\n    image: demo:busybox\n    command: ["/usr/bin/busybox", "sleep", "100000"]\n' >docker-compose.yml
docker-compose up -d 2>/dev/null || docker-compose up -d
`

// disturbances has one for every kind.
func disturbances() map[string]disturbance {
	return map[string]disturbance{
		"archive":        {shows: "step.archive.demo create", script: "rm -r /opt/demo"},
		"authorized_key": {shows: "step.authorized_key.deploy update", script: "sed -i /alice/d /home/deploy/.ssh/authorized_keys"},
		"compose":        {shows: "step.compose.demo delete", script: demoProject, alone: []testhost.Option{}},
		"command": {
			shows: "step.command.locale run", script: "rm /opt/demo/stamp",
			runs: []string{"step.command.kernel run"}, always: true,
		},
		"directory":    {shows: "step.directory.releases update", script: "chmod 0777 /srv/app/releases"},
		"docker_image": {shows: "step.docker_image.old delete", script: "tar -C /etc -c hostname | docker import - demo:old >/dev/null", alone: []testhost.Option{}},
		"download":     {shows: "step.download.release update", script: "chmod 0600 /opt/debian_version"},
		"env_file":     {shows: "step.env_file.app update", script: "echo OTHER=1 >>/etc/demo.env"},
		"file":         {shows: "step.file.motd update", script: "echo 'Go away.' >/etc/motd"},
		"git":          {shows: "step.git.demo update", script: "cd /srv/demo-work && echo more >more && git add more && git -c user.name=demo -c user.email=demo@example.org commit -q -m second && git push -q /srv/demo.git HEAD:refs/heads/main"},
		"group":        {shows: "step.group.metrics update", script: "groupmod -g 4201 metrics"},
		"http_check": {
			shows:  "step.http_check.hello run",
			script: "pkill -x python3; systemd-run --quiet --working-directory=/srv/hello sh -c 'sleep 6; exec python3 -m http.server 8765 --bind 127.0.0.1'",
		},
		"ini":                {shows: "step.ini.fastest update", script: "sed -i s/30/31/ /etc/demo.ini"},
		"line":               {shows: "step.line.level update", script: "sed -i s/level=2/level=3/ /etc/demo.conf"},
		"package":            {shows: "step.package.tools create", script: "apt-get purge -y -qq tree >/dev/null"},
		"package_upgrade":    {shows: "step.package_upgrade.all update", before: oldPackage, script: "apt-get install -y -qq --allow-downgrades acceptance-demo=1 >/dev/null", clean: true, alone: []testhost.Option{}},
		"pip":                {shows: "step.pip.wheel create", script: "/opt/demo/bin/python -m pip --quiet uninstall -y wheel"},
		"reboot":             {shows: "step.reboot.kernel run", script: "touch /run/reboot-required", clean: true, alone: []testhost.Option{}},
		"repository":         {shows: "step.repository.demo update", script: "sed -i 's/packages/elsewhere/' /etc/apt/sources.list.d/demo.*"},
		"service":            {shows: "step.service.cron update", script: "systemctl stop cron"},
		"source_build":       {shows: "step.source_build.greet update", script: "sed -i s/1.2/1.1/ /usr/local/bin/greet"},
		"supervisor_program": {shows: "step.supervisor_program.clock update", script: "supervisorctl -c /etc/demo/supervisord.conf stop clock >/dev/null"},
		"sync":               {shows: "step.sync.playbook update", script: "echo '# by hand' >>/srv/playbook/steps.hcl"},
		"symlink":            {shows: "step.symlink.current update", script: "ln -sfn /tmp /srv/demo/current"},
		"user":               {shows: "step.user.app update", script: "gpasswd -d bicycle wheel >/dev/null"},
		"wait_for":           {shows: "step.wait_for.quiet run", script: "systemd-run --quiet timeout 6 busybox nc -l -p 59999", clean: true},
	}
}
