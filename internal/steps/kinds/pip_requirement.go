package kinds

import (
	"errors"
	"fmt"
	"strings"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

func checkPipName(s string) error {
	if !pipRequirement.MatchString(s) {
		return fmt.Errorf("%q is no requirement: write it as \"pipenv\", \"pipenv==2023.1\" or \"urllib3>=1.26,<2\"", s)
	}
	return nil
}

func pipNameArg(name string, to *string, doc string) steps.Arg {
	return kit.ParsedArg(name, to, doc, parsePipName)
}

// pipNamesArg is a list of requirements; an empty one is a value of its own.
func pipNamesArg(name string, to *[]string, doc string) steps.Arg {
	a := kit.ListArg(name, to, doc, parsePipName)
	a.Empty = true
	return a
}

func parsePipName(s string) (string, error) {
	s = strings.TrimSpace(s)
	return s, checkPipName(s)
}

func pythonArg(name string, to *string, doc string) steps.Arg {
	a := kit.ParsedArg(name, to, doc, func(s string) (string, error) {
		if !pythonName.MatchString(s) {
			return "", fmt.Errorf("%q is no command: give a name such as \"python3\", or an absolute path", s)
		}
		return s, nil
	})
	a.Default = *to
	return a
}

// requirementLines returns the requirements of a file, without its comments, options and hashes. See
// https://pip.pypa.io/en/stable/reference/requirements-file-format/.
func requirementLines(text string) ([]string, error) {
	var list []string
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", " ")
	for i, line := range strings.Split(text, "\n") {
		if at := strings.Index(" "+line, " #"); at >= 0 {
			line = line[:at]
		}
		line, _, _ = strings.Cut(line, " --")
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case strings.HasPrefix(line, "-r") || strings.HasPrefix(line, "-c") || strings.HasPrefix(line, "--requirement") || strings.HasPrefix(line, "--constraint"):
			return nil, fmt.Errorf("line %d refers to another file, which would not travel along; put its lines into this file", i+1)
		case strings.HasPrefix(line, "-e") || strings.HasPrefix(line, "--editable"):
			return nil, fmt.Errorf("line %d is an editable install, which is not supported; use a step of the kind command", i+1)
		case line[0] == '-':
		case pipRequirement.MatchString(line) || pipURL.MatchString(line):
			list = append(list, line)
		default:
			return nil, fmt.Errorf("line %d is no requirement that can be compared with what is installed: %q; name the package, as NAME @ URL", i+1, line)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("there is no requirement in the file")
	}
	return list, nil
}

// normal is a name as PEP 503 compares it.
func normal(requirement string) string {
	return strings.ToLower(pipSeparators.ReplaceAllString(pipBareName.FindString(requirement), "-"))
}
