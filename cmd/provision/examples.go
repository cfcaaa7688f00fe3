package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// exampleLines are command lines that the help of each command shows, as they can be typed.
var exampleLines = map[string]string{
	"apply": `
provision apply --sandbox server.hcl
provision apply server.hcl
provision apply --yes --limit web --report run.html site`,
	"completion": `
provision completion bash > ~/.local/share/bash-completion/completions/provision
provision completion fish > ~/.config/fish/completions/provision.fish`,
	"fmt": `
provision fmt
provision fmt --check site
provision fmt - < server.hcl`,
	"hosts": `
provision hosts site
provision hosts --json --limit web site`,
	"init": `
provision init demo
provision init django-centos7 shop`,
	"plan": `
provision plan server.hcl
provision plan --detailed-exitcode --limit 'web,!web3' site
provision plan --out monday.plan site`,
	"resume": `
provision resume last
provision resume last --playbook site --yes`,
	"run": `
provision run --limit web site -- uptime
provision run --become site -- systemctl restart nginx
provision run -- sh -c 'df -h / | tail -1'`,
	"runs": `
provision runs
provision runs last
provision runs last --host web1`,
	"runs merge": `
provision runs merge --out whole shard-1/20260301-101500-ab12 shard-2/20260301-101502-cd34
provision runs merge --out whole --force shard-*/*`,
	"sandbox": `
provision sandbox
provision sandbox --image debian-with-systemd`,
	"show": `
provision show monday.plan
provision show --markdown monday.plan`,
	"steps": `
provision steps
provision steps file`,
	"test": `
provision test server.hcl
provision test --image debian-with-systemd --keep server.hcl`,
	"trust": `
provision trust server.hcl
provision trust --limit web site`,
	"validate": `
provision validate
provision validate --var domain=example.test server.hcl
provision validate --json site`,
	"version": `
provision version
provision --version`,
}

// addExamples gives the commands below root their examples.
func addExamples(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		name := strings.TrimPrefix(cmd.CommandPath(), "provision ")
		if text, ok := exampleLines[name]; ok {
			cmd.Example = "  " + strings.ReplaceAll(strings.TrimPrefix(text, "\n"), "\n", "\n  ")
		}
		addExamples(cmd)
	}
}
