package savedplan

import (
	"bytes"
	"testing"

	"provision/internal/event"
)

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"provision_plan": 2, "run": "r", "made": "2026-01-02T03:04:05Z", "playbook": "/p", "typed": "p", "salt": "00112233445566778899aabbccddeeff", ` +
		`"inputs": "00112233445566778899aabbccddeeff", "shown": [{"addr": "a", "kind": "file", "source": {}, "action": "create"}], "hosts": [{"name": "h", "address": "h:22", "user": "u", "facts": "00", "steps": [{"shown": 0}]}]}`))
	f.Add([]byte(`{"provision_plan": 2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, err := Decode(bytes.NewReader(data))
		if err != nil {
			return
		}
		// What is accepted can be shown, compared and applied without a slip.
		plan.Replay(event.Tee())
		NewApproval(plan, NewSealer(plan.Salt)).Step("h", "a")
		if stale := Stale(plan, plan); len(stale) > 0 {
			t.Errorf("it is stale against itself: %v", stale)
		}
		again, err := plan.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(bytes.NewReader(again)); err != nil {
			t.Errorf("written again: %v", err)
		}
	})
}

func TestSealerIsSlow(t *testing.T) {
	s := NewSealer("salt")
	if s.Cost < 1<<14 {
		t.Errorf("a guess is cheap: scrypt with N = %d", s.Cost)
	}
	if s.Secret("a") == s.Seal("a", false) {
		t.Error("a secret is sealed as anything is")
	}
}
