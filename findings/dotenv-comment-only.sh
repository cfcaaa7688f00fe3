#!/usr/bin/env bash
# In an env file of Docker Compose, a line that sets nothing and explains itself sets the explanation: `TOKEN= # filled in by CI`
# gives TOKEN the value "# filled in by CI". A comment is one only behind a value and a blank; a tab before it does not do, and
# what stands behind a closing quote is dropped without an error.
#
# Versions: compose-go v2.16.2 (package dotenv, which Compose reads env files with).
# Why it matters: people leave optional settings empty with a note beside them. Shells, systemd and most dotenv libraries see an empty
# value there; the container sees text, so "is it set?" is answered yes. A provisioning tool that checks env files has to warn.
set -euo pipefail

dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'MOD'
module finding
go 1.24
MOD
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

func main() {
	for _, line := range []string{"TOKEN= # later", "TOKEN=a # later", "TOKEN=a\t# later", `TOKEN="a"b`} {
		values, err := dotenv.ParseWithLookup(strings.NewReader(line+"\n"), os.LookupEnv)
		fmt.Printf("%q gives %q, error %v\n", line, values["TOKEN"], err)
	}
}
GO
go get github.com/compose-spec/compose-go/v2/dotenv@v2.16.2 >/dev/null 2>&1
go run . | tee seen

cat >expected <<'SEEN'
"TOKEN= # later" gives "# later", error <nil>
"TOKEN=a # later" gives "a", error <nil>
"TOKEN=a\t# later" gives "a\t# later", error <nil>
"TOKEN=\"a\"b" gives "a", error <nil>
SEEN
cmp seen expected
