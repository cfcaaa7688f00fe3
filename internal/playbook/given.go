package playbook

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// GivenBy tells where the value of a variable comes from: "--var", "environment", the path of a file as it was given or
// found, or "" if it is the default or there is no such variable.
func (pb *Playbook) GivenBy(name string) string {
	from := pb.given[name].from
	if strings.HasPrefix(from, "the environment variable ") {
		return "environment"
	}
	return strings.TrimPrefix(from, "the file ")
}

// FromEnvironment returns the texts of the variables whose values come from PROVISION_VAR_name.
func (pb *Playbook) FromEnvironment() map[string]string {
	texts := map[string]string{}
	for name := range pb.given {
		if pb.GivenBy(name) == "environment" {
			texts[name] = pb.environ["PROVISION_VAR_"+name]
		}
	}
	return texts
}

// Digest returns a sum of the HCL files that the playbook consists of, wherever they lie, except for those named: files of
// variables that come and go with the command. Values of sensitive variables take no part in it.
func (pb *Playbook) Digest(except ...string) string {
	var sums []string
	for name, f := range pb.Files() {
		if slices.Contains(except, name) {
			continue
		}
		sum := sha256.Sum256(f.Bytes)
		sums = append(sums, hex.EncodeToString(sum[:]))
	}
	slices.Sort(sums)
	all := sha256.Sum256([]byte(strings.Join(sums, "\n")))
	return hex.EncodeToString(all[:])
}
