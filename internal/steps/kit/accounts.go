package kit

import (
	"strconv"

	"github.com/zclconf/go-cty/cty"

	"provision/internal/shell"
	"provision/internal/steps"
)

// MaxID is the largest number of a user or a group that is taken. The kernel knows larger ones; not
// every tool does.
const MaxID = 1<<31 - 1

// LoginEnvironment is the line of sh that gives what follows the environment of a login, under the variables of the playbook.
func LoginEnvironment(given []steps.Variable) string {
	words := []string{"login_environment"}
	for _, v := range given {
		words = append(words, v.Name)
	}
	return shell.Words(words...) + "\n"
}

// NumberOutput is a number of a state as an output; null if it is not there.
func NumberOutput(obs steps.Observation, key string) cty.Value {
	text, _ := obs.Get(key)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return cty.NullVal(cty.Number)
	}
	return cty.NumberIntVal(n)
}
