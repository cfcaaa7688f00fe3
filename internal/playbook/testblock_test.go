package playbook

import "testing"

// The image may depend on a variable, so that one command tests a playbook on several.
func TestImageOfTests(t *testing.T) {
	write(t, map[string]string{"site.hcl": `
variable "release" {
  default = "7"
}

test {
  image = "centos:${var.release}"
}

step "directory" "x" {
  path = "/x"
}
`})
	if got := load(t, Options{Vars: map[string]string{"release": "8"}}).Test().Image; got != "centos:8" {
		t.Errorf("the image is %q", got)
	}
}
