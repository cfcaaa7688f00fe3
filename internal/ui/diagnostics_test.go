package ui

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
)

func TestDiagnostics(t *testing.T) {
	src := "step \"file\" \"motd\" {\n  path = var.secret\n  mod  = \"0644\" # \x1b[2J\u202e\u009b\n}\n"
	parser := hclparse.NewParser()
	f, diags := parser.ParseHCL([]byte(src), "server.hcl")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	attrs, _ := f.Body.(interface {
		Content(*hcl.BodySchema) (*hcl.BodyContent, hcl.Diagnostics)
	}).Content(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "step", LabelNames: []string{"kind", "name"}}}})
	body, _ := attrs.Blocks[0].Body.JustAttributes()
	mistake := &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: "Unknown argument", Detail: "Did you mean \"mode\"?\x1b[31m",
		Subject: body["mod"].NameRange.Ptr(),
	}
	diags = hcl.Diagnostics{
		mistake,
		{Severity: hcl.DiagWarning, Summary: "No place", Detail: "Nowhere."},
		{
			Severity: hcl.DiagError, Summary: "Wrong value", Detail: "A path begins with a slash.",
			Subject: body["path"].Expr.Range().Ptr(), Expression: body["path"].Expr,
			EvalContext: &hcl.EvalContext{Variables: map[string]cty.Value{
				"var": cty.ObjectVal(map[string]cty.Value{"secret": cty.StringVal("hunter2")}),
			}},
		},
		mistake, // once for each host that it is found for
	}
	var buf bytes.Buffer
	if err := Diagnostics(&buf, diags, parser.Files(), Style{Width: 80}); err != nil {
		t.Fatal(err)
	}
	golden(t, "diagnostics.txt", buf.String())
	if text := buf.String(); strings.Contains(text, "hunter2") || Clean(text) != text {
		t.Errorf("a secret or a control in %q", text)
	}
	if diags[2].EvalContext == nil {
		t.Error("the caller's diagnostic was changed")
	}

	buf.Reset()
	if err := Diagnostics(&buf, nil, nil, Style{}); err != nil || buf.Len() > 0 {
		t.Errorf("no diagnostics: %q, %v", buf.String(), err)
	}
}

func TestDiagnosticsInOrder(t *testing.T) {
	var diags hcl.Diagnostics
	for _, line := range []int{12, 3, 7} {
		diags = append(diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: fmt.Sprintf("Mistake in line %d", line),
			Subject: &hcl.Range{Filename: "b.hcl", Start: hcl.Pos{Line: line, Byte: line * 10}, End: hcl.Pos{Line: line, Byte: line * 10}},
		})
	}
	var buf bytes.Buffer
	if err := Diagnostics(&buf, diags, nil, Style{}); err != nil {
		t.Fatal(err)
	}
	text := buf.String()
	if a, b, c := strings.Index(text, "line 3"), strings.Index(text, "line 7"), strings.Index(text, "line 12"); a < 0 || a > b || b > c {
		t.Errorf("not in the order of the places:\n%s", text)
	}
	if !strings.HasSuffix(text, "3 errors.\n") {
		t.Errorf("no count at the end:\n%s", text)
	}
}
