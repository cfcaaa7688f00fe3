package ui

import (
	"fmt"
	"strings"
	"testing"

	"provision/internal/event"
)

// More messages than a screen can hold are not lost without a word.
func TestMessagesThatAreNotKeptAreCounted(t *testing.T) {
	var m messages
	for i := range messagesKept + 50 {
		for _, host := range []string{"web1", "web2"} {
			m.add(host, &event.Message{Addr: "message.m", Text: fmt.Sprintf("token %03d", i)})
		}
	}
	shown := strings.Join(m.lines(Style{}, true), "\n")
	if n := strings.Count(shown, "token"); n != messagesKept || !strings.Contains(shown, "100 more messages, which --json has") {
		t.Errorf("%d are shown, and at the end:\n%s", n, shown[max(0, len(shown)-200):])
	}
	for name, text := range map[string]string{"Markdown": m.markdown(Style{}), "page": fmt.Sprint(m.named(true))} {
		if !strings.Contains(text, " more messages") {
			t.Errorf("%s says nothing of the others", name)
		}
	}
}
