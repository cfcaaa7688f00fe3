// Package pristine tests the README's commands on a machine that has nothing: the smallest Debian, with git and Go, and no sudo, sshd,
// compiler or init.
package pristine
