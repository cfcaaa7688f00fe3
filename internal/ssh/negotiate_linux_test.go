package ssh_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"provision/internal/ssh"
	"provision/internal/ssh/sshtest"
)

// What is advised where nothing is in common gets in: legacy, a list of ssh_config, or ssh with the lines that are named.
func TestAdviceWithoutCommonAlgorithms(t *testing.T) {
	binary, err := exec.LookPath("ssh")
	if err != nil {
		lack(t, "there is no OpenSSH client: install openssh-client")
	}
	within := regexp.MustCompile(`with (.*) for it in ssh_config`)
	for lines, c := range map[string]struct {
		change   func(*ssh.Target)
		want     string
		wantsNot string
	}{
		"MACs hmac-md5\nCiphers aes128-ctr":            {nil, `let ssh connect (transport = "openssh"), with MACs +hmac-md5 for it in ssh_config`, "legacy"},
		"MACs umac-64@openssh.com\nCiphers aes128-ctr": {nil, `let ssh connect (transport = "openssh")`, "with"},
		"MACs hmac-md5\nCiphers aes256-cbc":            {nil, "with Ciphers +aes256-cbc and MACs +hmac-md5 for it", "legacy"},
		"MACs hmac-md5,hmac-sha1\nCiphers aes128-ctr":  {nil, "set legacy = true", "transport"},
		"KexAlgorithms diffie-hellman-group18-sha512":  {nil, `let ssh connect (transport = "openssh")`, "with"},
		"KexAlgorithms sntrup761x25519-sha512@openssh.com\nCiphers aes128-cbc": {
			nil, `let ssh connect (transport = "openssh"), with Ciphers +aes128-cbc for it`, "legacy",
		},
		"MACs hmac-md5-etm@openssh.com\nCiphers aes192-ctr": {
			func(t *ssh.Target) { t.Legacy = true }, `(transport = "openssh" instead of legacy), with MACs +hmac-md5-etm@openssh.com for it`, "legacy = true",
		},
		"Ciphers aes256-ctr\nMACs hmac-sha1": {
			func(t *ssh.Target) { t.MACs = "hmac-sha2-256" }, "ssh_config says MACs hmac-sha2-256: name there what the host offers, such as hmac-sha1", "legacy",
		},
		"Ciphers aes256-ctr": {
			func(t *ssh.Target) { t.Ciphers = "aes128-ctr" }, "ssh_config says Ciphers aes128-ctr: name there what the host offers, such as aes256-ctr", "legacy",
		},
		"Ciphers aes256-cbc": {
			func(t *ssh.Target) { t.Ciphers = "aes128-ctr" }, `let ssh connect (transport = "openssh"), with aes256-cbc in its Ciphers`, "legacy",
		},
	} {
		t.Run(lines, func(t *testing.T) {
			target := openSSH(t, lines)
			if c.change != nil {
				c.change(&target)
			}
			_, err := ssh.Dial(t.Context(), target)
			says(t, err, []string{c.want}, []string{c.wantsNot})
			text, _, _ := strings.Cut(err.Error(), "; let ssh connect")
			if hint := strings.TrimPrefix(err.Error(), text); hint != "" {
				config := "\n"
				if m := within.FindStringSubmatch(hint); m != nil {
					config = strings.ReplaceAll(m[1], " and ", "\n") + "\n"
				}
				if name, keyword, ok := strings.Cut(strings.TrimSpace(config), " in its "); ok {
					config = keyword + " +" + name + "\n"
				}
				file := filepath.Join(t.TempDir(), "config")
				if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
					t.Fatal(err)
				}
				out, err := exec.Command(binary, "-F", file, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", target.IdentityFiles[0],
					"-o", "UserKnownHostsFile="+target.KnownHostsFiles[0], "-p", strconv.Itoa(target.Port), target.User+"@127.0.0.1", "true").CombinedOutput()
				if err != nil {
					t.Errorf("with %q: %v: %s", config, err, out)
				}
			}
			if strings.Contains(c.want, "legacy = true") {
				target.Legacy = true
				sshtest.Dial(t, target)
			}
		})
	}
}
