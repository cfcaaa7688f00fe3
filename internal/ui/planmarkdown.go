package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"provision/internal/event"
)

// MarkdownLimit is the size in bytes that Markdown keeps to, unless told otherwise: GitHub
// refuses a comment of more than 65536 characters.
const MarkdownLimit = 60 << 10

// Markdown writes the plan for a pull request in at most limit bytes (MarkdownLimit if 0): the
// sum first, then what is dangerous, then each group of hosts with its changes as far as they
// fit. Content cannot end the fence that it stands in, nor become markup.
func (p *Plan) Markdown(w io.Writer, limit int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if limit <= 0 {
		limit = MarkdownLimit
	}
	s := Style{Unicode: true}
	var head strings.Builder
	fmt.Fprintf(&head, "### %s\n\n", escapeMarkdown(p.summary(s)))
	if p.playbook != "" {
		fmt.Fprintf(&head, "Playbook %s\n\n", codeSpan(Line(p.playbook)))
	}
	texts, hosts := p.dangers()
	if len(texts) > 0 {
		head.WriteString("**Take care:**\n\n")
		for i, text := range texts {
			if i == 20 {
				fmt.Fprintf(&head, "- … %d more\n", len(texts)-i)
				break
			}
			fmt.Fprintf(&head, "- %s (%s)\n", escapeMarkdown(cut(text, 300, "…")), escapeMarkdown(s.hostList(hosts[text], 3)))
		}
		head.WriteString("\n")
	}
	head.WriteString(p.messages.markdown(s))
	wrong := p.wrong(s)
	for i, text := range wrong {
		if i == markdownWrong {
			fmt.Fprintf(&head, "- … %d more\n", len(wrong)-i)
			break
		}
		fmt.Fprintf(&head, "- %s\n", text)
	}
	if len(wrong) > 0 {
		head.WriteString("\n")
	}
	text := head.String()
	room := limit - 400 // for what says that something is missing
	if len(text) > room {
		text = strings.ToValidUTF8(text[:max(room, 0)], "") + "\n"
	}
	left := 0
	for _, g := range p.groups(false) {
		g.steps = slices.DeleteFunc(slices.Clone(g.steps), func(step *event.PlanStep) bool { return step.Error != nil })
		if len(g.steps) == 0 {
			continue
		}
		block, rest := s.markdownGroup(g, room-len(text))
		text += block
		left += rest
	}
	if left > 0 {
		text += fmt.Sprintf("%s of this plan did not fit. `provision plan` shows all of it.\n", count(left, "change"))
	}
	_, err := io.WriteString(w, text)
	return err
}

// markdownWrong is how many of the lines that say what is wrong Markdown has at most.
const markdownWrong = 40

// wrong lists as Markdown why there is no plan for a host or a step, the same on several hosts once.
func (p *Plan) wrong(s Style) []string {
	var order []string
	hosts := map[string][]string{}
	add := func(name, head, why string) {
		text := head + ": " + escapeMarkdown(cut(why, 600, "…"))
		if hosts[text] == nil {
			order = append(order, text)
		}
		hosts[text] = append(hosts[text], name)
	}
	for _, name := range p.troubled() {
		add(name, "", p.hosts[name].trouble)
	}
	for _, name := range p.counts().faulty {
		for _, step := range p.hosts[name].unplanned() {
			why := Line(step.Error.Message)
			if step.Error.Hint != "" {
				why += "; " + Line(step.Error.Hint)
			}
			add(name, " "+codeSpan(Line(step.Addr))+" ("+escapeMarkdown(place(step.Source))+") "+unplannedWords, why)
		}
	}
	list := make([]string, len(order))
	for i, text := range order {
		list[i] = "**✗ " + escapeMarkdown(s.hostList(hosts[text], 6)) + "**" + text
	}
	return list
}

// markdownGroup writes as many steps of a group as fit into room bytes, and returns how many
// do not.
func (s Style) markdownGroup(g *group, room int) (string, int) {
	title := s.hostList(g.hosts, 6)
	if len(g.hosts) > 1 {
		title = count(len(g.hosts), "host") + ": " + title
	}
	title = "<details open><summary>" + escapeHTML(title) + "</summary>\n\n"
	const end = "\n</details>\n\n"
	var body strings.Builder
	shown := 0
	for _, step := range g.steps {
		var block strings.Builder
		for _, l := range s.stepLines(step, false, map[string]bool{}) {
			block.WriteString(diffLine(l))
		}
		if text := g.differs(step); text != "" {
			block.WriteString(diffLine(line{depth: 1, text: text}))
		}
		// Twice 40 bytes stand for the fences, whose length depends on what is in them.
		if len(title)+body.Len()+block.Len()+len(end)+80 > room {
			break
		}
		body.WriteString(block.String())
		shown++
	}
	if shown == 0 {
		return "", len(g.steps)
	}
	fence := fenceFor(body.String())
	if len(fence) > 30 {
		return "", len(g.steps) // somebody plays with us
	}
	return title + fence + "diff\n" + body.String() + fence + "\n" + end, len(g.steps) - shown
}

// diffLine puts the sign of a line into the first column, where GitHub colours it.
func diffLine(l line) string {
	sign := " "
	switch l.sign {
	case "+", "-":
		sign = l.sign
	case "~", "!", "▶", "?":
		sign = "!"
	}
	text := strings.Repeat("    ", l.depth) + l.text
	if l.depth == 0 {
		text = l.text + "  " + l.word
		if l.sign != "+" && l.sign != "-" {
			text = l.sign + " " + text
		}
		if l.tail != "" {
			text += "  (" + l.tail + ")"
		}
		sign += " "
	}
	return strings.TrimRight(sign+text, " ") + "\n"
}

// fenceFor returns a code fence longer than any run of backticks in the text.
func fenceFor(text string) string {
	longest, run := 2, 0
	for _, c := range text {
		if c != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return strings.Repeat("`", longest+1)
}

// codeSpan shows a line as code, whatever backticks are in it.
func codeSpan(text string) string {
	if !strings.Contains(text, "`") {
		return "`" + text + "`"
	}
	fence := fenceFor(text)
	return fence + " " + text + " " + fence
}

func escapeHTML(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// escapeMarkdown takes the meaning from whatever Markdown or GitHub reads as markup, mentions
// of people among it.
func escapeMarkdown(text string) string {
	return strings.NewReplacer(
		"&", "&amp;", "<", "&lt;", ">", "&gt;", `\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`,
		"[", `\[`, "]", `\]`, "|", `\|`, "#", `\#`, "~", `\~`, "@", "&#64;", "!", `\!`,
	).Replace(text)
}
