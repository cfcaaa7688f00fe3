package kinds

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"provision/internal/steps"
	"provision/internal/steps/kit"
)

// TestINIEditIsWhatTheHostSees edits random files and lets the awk of the probe judge the
// result: the two readings of such a file must never disagree.
func TestINIEditIsWhatTheHostSees(t *testing.T) {
	awks := [][]string{}
	for _, awk := range [][]string{{"mawk"}, {"gawk"}, {"original-awk"}, {"busybox", "awk"}} {
		if _, err := exec.LookPath(awk[0]); err == nil {
			awks = append(awks, awk)
		}
	}
	if len(awks) == 0 {
		lack(t, "no awk on this machine")
		return
	}
	lines := rapid.SampledFrom([]string{
		"[a]", "[b]", "k: 1", "k : 2", "k:2", "w=1", "w = 2", "w: 1", "l: a=b", "u:v = 1", "\tw = 1", " [a] ; x", "[a", "[]", "k=1", "k = 2", "\tk = 3", "k", "k=", "=", "= v", "l=1\\", "  more", "\t\tmore = x", "", "  ", "# c", " ; c", "k=1 \r", "[a]\r", "l : 2", "k=a\\\\", "kk=1", "K=1",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(lines, 0, 12).Draw(t, "lines"), "\n") + rapid.SampledFrom([]string{"", "\n"}).Draw(t, "end")
		step := &ini{
			Section: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "section"),
			Edit:    kit.Edit{State: rapid.SampledFrom([]string{"present", "present", "absent"}).Draw(t, "state")},
			Values: []steps.Variable{
				{Name: "k", Value: steps.Plain(rapid.SampledFrom([]string{"1", "2", "", "a b = \\n"}).Draw(t, "k"))},
				{Name: "l", Value: steps.Plain(rapid.SampledFrom([]string{"01", "a=b", "c: d"}).Draw(t, "l"))},
			},
			Where: rapid.SampledFrom([][]steps.Variable{nil, {{Name: "w", Value: steps.Plain("1")}}}).Draw(t, "where"),
		}
		if step.Section == "" {
			step.Where = nil
		}
		if rapid.IntRange(0, 9).Draw(t, "mark") == 0 {
			text = kit.ByteOrderMark + text
		}
		for i, awk := range awks {
			var change steps.Change
			judged := judgeINI(t, awk, step, text)
			after, err := step.edit(&change, text)
			if err != nil {
				continue // several sections
			}
			if (judged == "same") != (len(change.Diff) == 0) {
				t.Fatalf("%v says %s; the edit has %d differences", awk, judged, len(change.Diff))
			}
			if step.State == "present" && !strings.HasPrefix(after, text[:min(3, len(text))]) && strings.HasPrefix(text, kit.ByteOrderMark) {
				t.Fatalf("the byte order mark is gone: %q", after)
			}
			if judged == "same" && after != text {
				t.Fatalf("the edit touched a file that was as it should be: %q", after)
			}
			if got := judgeINI(t, awks[i], step, after); got != "same" {
				t.Fatalf("%v says %s of the edited text %q", awk, got, after)
			}
		}
	})
}

func judgeINI(t *rapid.T, awk []string, step *ini, text string) string {
	var keys, values []string
	for _, v := range step.Values {
		keys, values = append(keys, v.Name), append(values, v.Value.Reveal())
	}
	var whereKeys, whereValues []string
	for _, v := range step.Where {
		whereKeys, whereValues = append(whereKeys, v.Name), append(whereValues, v.Value.Reveal())
	}
	cmd := exec.Command(awk[0], append(awk[1:], iniAwk)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "SECTION=" + step.Section, "MODE=" + step.mode(),
		"KEYS=" + strings.Join(keys, "\n"), "VALUES=" + strings.Join(values, "\n"),
		"WKEYS=" + strings.Join(whereKeys, "\n"), "WVALUES=" + strings.Join(whereValues, "\n"),
	}
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", awk, err, out)
	}
	return strings.TrimSpace(string(out))
}

func FuzzReadINI(f *testing.F) {
	f.Add("[a]\nk = 1\n  more\n; c\n[b\n=\n")
	f.Fuzz(func(t *testing.T, text string) {
		var b strings.Builder
		for _, e := range readINI(text) {
			b.WriteString(e.text)
		}
		if b.String() != text {
			t.Errorf("the entries of %q make %q", text, b.String())
		}
		step := &ini{Section: "a", Edit: kit.Edit{State: "present"}, Values: []steps.Variable{{Name: "k", Value: steps.Plain("v")}}}
		var change steps.Change
		once, err := step.edit(&change, text)
		if err != nil {
			return
		}
		change = steps.Change{}
		if twice, _ := step.edit(&change, once); twice != once || len(change.Diff) > 0 {
			t.Errorf("%q became %q, and then %q", text, once, twice)
		}
	})
}

// TestINIKeepsTheFormOfTheFile edits files that other programs wrote in their own way.
func TestINIKeepsTheFormOfTheFile(t *testing.T) {
	const peers = "[Interface]\nPrivateKey = x\n\n[Peer]\nPublicKey = AAA=\nEndpoint = a:1\n\n[Peer]\nPublicKey = BBB=\nEndpoint = b:1\n"
	for _, c := range []struct{ name, before, args, after, err string }{
		{"colon", "[s]\nkey: old\nother : x\n", `key = "key"` + "\n" + `value = "new"`, "[s]\nkey: new\nother : x\n", ""},
		{"colon, there", "[s]\nkey: new\n", `key = "key"` + "\n" + `value = "new"`, "[s]\nkey: new\n", ""},
		{"emptied beside a new key", "[s]\nk: 1\n", "values = { k = \"\", l = \"a=b\" }", "[s]\nk:\nl: a=b\n", ""},
		{"emptied last line beside a new key", "[s]\nk = 1", "values = { k = \"\", l = \"2\" }", "[s]\nk =\nl = 2\n", ""},
		{"colon and blanks", "[s]\nkey  :   old\n", `key = "key"` + "\n" + `value = "new"`, "[s]\nkey  :   new\n", ""},
		{"colon, value with an equals sign", "[s]\nurl: http://x/?a=b\n", `key = "url"` + "\n" + `value = "http://y/?a=b"`, "[s]\nurl: http://y/?a=b\n", ""},
		{"bare colon, value with an equals sign", "[s]\nk:v\n", `key = "k"` + "\n" + `value = "a=b"`, "[s]\nk: a=b\n", ""},
		{"new key beside colons", "[s]\na: 1\n", `key = "b"` + "\n" + `value = "2"`, "[s]\na: 1\nb: 2\n", ""},
		{"name with a colon", "[s]\nfruit:metadata = stream\n", `key = "fruit:metadata"` + "\n" + `value = "netatalk"`, "[s]\nfruit:metadata = netatalk\n", ""},
		{"name with a colon beside colons", "[s]\na: 1\n", `key = "b:c"` + "\n" + `value = "2"`, "[s]\na: 1\nb:c=2\n", ""},
		{"value with a colon", "[s]\nExecStart=/bin/x: y\n", `key = "ExecStart"` + "\n" + `value = "/bin/y: z"`, "[s]\nExecStart=/bin/y: z\n", ""},
		{"crlf", "[s]\r\na = 1\r\n", "values = { a = \"2\", b = \"3\" }", "[s]\r\na = 2\r\nb = 3\r\n", ""},
		{"crlf, there", "[s]\r\na = 1\r\n", "values = { a = \"1\" }", "[s]\r\na = 1\r\n", ""},
		{"mark before the section", "\uFEFF[s]\na=1\n", "values = { a = \"2\" }", "\uFEFF[s]\na=2\n", ""},
		{"mark, secret", "\uFEFF[s]\na=1\n", "values = { a = sensitive(\"2\") }", "\uFEFF[s]\na=2\n", ""},
		{"indented", "[s]\n  a = 1\n  b = 2\n", "values = { b = \"3\", c = \"4\" }", "[s]\n  a = 1\n  b = 3\n  c = 4\n", ""},
		{"other case", "[s]\nKey=1\n", "values = { key = \"2\" }", "[s]\nKey=1\nkey=2\n", ""},
		{"quotes and specials", "[s]\na=\"x\"\n", `values = { a = "\"y $z ` + "`w`" + ` \\ & | %s * '\"" }`, "[s]\na=\"y $z `w` \\ & | %s * '\"\n", ""},
		{"latin-1 beside", "[s]\na=\xe9\nb=1\n", "values = { b = \"2\" }", "[s]\na=\xe9\nb=2\n", ""},
		{"two sections, nothing to do", "[s]\na=1\n[s]\nb=1\n", "values = { a = \"1\", b = \"1\" }", "[s]\na=1\n[s]\nb=1\n", ""},
		{"two sections", peers, "section = \"Peer\"\nvalues = { Endpoint = \"c:1\" }", peers, "2 sections [Peer]"},
		{"two sections, secret", peers, "section = \"Peer\"\nvalues = { PresharedKey = sensitive(\"c\") }", peers, "2 sections [Peer]"},
		{"two sections, absent key", peers, "section = \"Peer\"\nkey = \"Endpoint\"\nstate = \"absent\"", peers, "2 sections [Peer]"},
		{"the second of two", peers, "section = \"Peer\"\nwhere = { PublicKey = \"BBB=\" }\nvalues = { Endpoint = \"c:1\" }", strings.Replace(peers, "b:1", "c:1", 1), ""},
		{"the first of two", peers, "section = \"Peer\"\nwhere = { PublicKey = \"AAA=\" }\nvalues = { PresharedKey = sensitive(\"c\") }", strings.Replace(peers, "a:1\n", "a:1\nPresharedKey = c\n", 1), ""},
		{"a third one", peers, "section = \"Peer\"\nwhere = { PublicKey = \"CCC=\" }\nvalues = { Endpoint = \"c:1\" }", peers + "\n[Peer]\nPublicKey = CCC=\nEndpoint = c:1\n", ""},
		{"a third one, secret", peers, "section = \"Peer\"\nwhere = { PublicKey = \"CCC=\" }\nvalues = { PresharedKey = sensitive(\"c\") }", peers + "\n[Peer]\nPublicKey = CCC=\nPresharedKey = c\n", ""},
		{"one of two goes", peers, "section = \"Peer\"\nwhere = { PublicKey = \"BBB=\" }\nstate = \"absent\"", "[Interface]\nPrivateKey = x\n\n[Peer]\nPublicKey = AAA=\nEndpoint = a:1\n\n", ""},
		{"a key of one of two goes", peers, "section = \"Peer\"\nwhere = { PublicKey = \"AAA=\" }\nkey = \"Endpoint\"\nstate = \"absent\"", strings.Replace(peers, "Endpoint = a:1\n", "", 1), ""},
		{"none to go", peers, "section = \"Peer\"\nwhere = { PublicKey = \"CCC=\" }\nstate = \"absent\"", peers, ""},
		{"two that match", peers + "[Peer]\nPublicKey = BBB=\n", "section = \"Peer\"\nwhere = { PublicKey = \"BBB=\" }\nvalues = { Endpoint = \"c:1\" }", peers + "[Peer]\nPublicKey = BBB=\n", "2 sections [Peer] with PublicKey BBB="},
		{"section with blanks and quotes", "[remote \"o r\"]\n\turl = a\n", "section = \"remote \\\"o r\\\"\"\nvalues = { url = \"b\" }", "[remote \"o r\"]\n\turl = b\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, sh := range availableShells(t, "") {
				h := &host{shell: sh, work: t.TempDir()}
				path := h.work + "/f"
				if err := os.WriteFile(path, []byte(c.before), 0o644); err != nil {
					t.Fatal(err)
				}
				args := "path = \"" + path + "\"\n" + c.args + "\n"
				if !strings.Contains(c.args, "section =") {
					args += "section = \"s\"\n"
				}
				got := h.settled(t, stepOf(t, "ini", args))
				if b, _ := os.ReadFile(path); (got != "") != (c.err != "") || !strings.Contains(got, c.err) || string(b) != c.after {
					t.Errorf("%v: %q; %q, want %q", sh, got, b, c.after)
				}
			}
		})
	}
}
