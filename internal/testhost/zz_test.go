package testhost

import (
	"fmt"
	"os"
	"testing"
	"time"
)

func TestZZ(t *testing.T) {
	m := Mirror(t)
	h := EL7(t, AsAdminPassword())
	fmt.Printf("%+v\n%+v\n", m, h)
	f, _ := os.Create("/tmp/el7zz")
	fmt.Fprintf(f, "H=%s\nM=%s\nSQL=%s\nPY=%s\nPW=%s\nSSH='%s'\n", h.Name, m.URL, m.SQLite.URL, m.Python.URL, h.Password, fmt.Sprint(h.SSHArgs()))
	f.Close()
	for i := 0; i < 3000; i++ {
		if _, err := os.Stat("/tmp/el7stop"); err == nil {
			return
		}
		time.Sleep(time.Second)
	}
}
