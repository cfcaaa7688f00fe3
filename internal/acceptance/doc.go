// Package acceptance tests the product as its users meet it: the built binary applies playbooks to booted hosts through the real
// ssh, sshd, sudo, systemd and apt. The tests have the build tag acceptance and need what testhost.Require asks for:
//
//	go test -tags acceptance ./internal/acceptance
//
// Each test looks at the host through Docker, never through the code that it tests.
package acceptance
