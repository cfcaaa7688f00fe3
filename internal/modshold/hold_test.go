//go:build modshold

package modshold

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"provision/internal/testhost"
)

func TestMain(m *testing.M) { testhost.Main(m) }

func TestHold(t *testing.T) {
	site := testhost.Mirror(t)
	h := testhost.EL7(t)
	out, _ := json.Marshal(map[string]any{"site": site, "host": h})
	os.WriteFile("/tmp/mods/hold.json", out, 0o600)
	for i := 0; i < 3600; i++ {
		time.Sleep(time.Second)
		if _, err := os.Stat("/tmp/mods/stop"); err == nil {
			return
		}
	}
}
