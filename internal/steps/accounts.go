package steps

import (
	"strconv"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
)

// maxID is the largest number of a user or a group that is taken. The kernel knows larger ones; not
// every tool does.
const maxID = 1<<31 - 1

// loginEnvironment is the line of sh that gives what follows the environment of a login, under the variables of the playbook.
func loginEnvironment(given []Variable) string {
	words := []string{"login_environment"}
	for _, v := range given {
		words = append(words, v.Name)
	}
	return shell.Words(words...) + "\n"
}

// idOutput is a number of a state as an output; null if it is not there.
func idOutput(obs Observation, key string) cty.Value {
	text, _ := obs.Get(key)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return cty.NullVal(cty.Number)
	}
	return cty.NumberIntVal(n)
}
