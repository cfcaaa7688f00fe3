package ssh

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// sftpConcurrency is how many writes of 32 KiB are under way at once: together one channel window.
const sftpConcurrency = 64

// smallUpload is the largest size that goes by a shell rather than by opening an SFTP session.
const smallUpload = 256 << 10

// interruptGrace is how long a host may take to clean up after an interrupted upload.
const interruptGrace = 5 * time.Second

// Upload writes size bytes from r to a file on the host, whose directory must exist. The content goes to a new file
// beside it and takes the name only when it is complete and of the right size, so nobody sees half of it; mode (the
// permission bits) holds from before the first byte. It never appears in the arguments of a process.
//
// The bytes go by SFTP, on a session that later uploads share: three round trips to open it, then five for a file. A
// small file that would have to open it goes by /bin/sh and cat instead, which takes three in all; so does every file on
// a host without SFTP. Uploads may run side by side.
func (c *Client) Upload(ctx context.Context, name string, mode os.FileMode, size int64, r io.Reader) error {
	if strings.ContainsRune(name, 0) {
		return c.target.fail(PhaseUpload, fmt.Errorf("the path %q contains a zero byte", name), "")
	}
	u := upload{name, path.Join(path.Dir(name), ".provision-"+nonce()), mode.Perm(), size, r}
	if size <= smallUpload && !c.files.isOpen() {
		err := c.uploadPlain(ctx, u)
		var refused *ssh.OpenChannelError
		if !errors.As(err, &refused) {
			return err
		}
		// Too many sessions at once: nothing was read from r yet, and the SFTP session is one for all.
	}
	client, release, err := c.files.get(ctx, c)
	if errors.Is(err, errNoSFTP) {
		return c.uploadPlain(ctx, u)
	}
	if err != nil {
		return err
	}
	// An interrupted upload removes its temporary file, which takes an answer; a host that gives none is gone.
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(interruptGrace, func() { c.dropIfUploading(client) }) })
	defer stop()
	err = uploadSFTP(ctx, client, u)
	release(err)
	return c.uploadError(ctx, name, err)
}

// dropIfUploading gives the connection up if an upload is still under way on it.
func (c *Client) dropIfUploading(on *sftp.Client) {
	if c.files.busy(on) {
		c.drop(fmt.Errorf("%w to an interrupted upload", ErrTimeout))
	}
}

// An upload is one file on its way.
type upload struct {
	name, temporary string
	mode            os.FileMode
	size            int64
	content         io.Reader
}

func uploadSFTP(ctx context.Context, client *sftp.Client, u upload) (err error) {
	f, err := client.OpenFile(u.temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = client.Remove(u.temporary)
		}
	}()
	if err := f.Chmod(u.mode); err != nil {
		return err
	}
	content := &untilDone{ctx, io.LimitReader(u.content, u.size+1)}
	n, err := f.ReadFromWithConcurrency(content, sftpConcurrency)
	if err != nil {
		return err
	}
	if n != u.size {
		return fmt.Errorf("the source has %s bytes, not %d", sizeText(n, u.size), u.size)
	}
	// Writes that overtake each other can leave a hole or a short file without an error on either side.
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != u.size {
		return fmt.Errorf("%d bytes arrived of %d", info.Size(), u.size)
	}
	// An open file can be renamed as well, so the two share a round trip.
	closed := make(chan error, 1)
	go func() { closed <- f.Close() }()
	err = client.PosixRename(u.temporary, u.name)
	return errors.Join(err, <-closed)
}

// sizeText is a size as far as it was read: one byte beyond the expected size is enough to know.
func sizeText(n, expected int64) string {
	if n > expected {
		return "more than " + fmt.Sprint(expected)
	}
	return fmt.Sprint(n)
}

// uploadError wraps what went wrong, telling a lost link from a failure on the host.
func (c *Client) uploadError(ctx context.Context, name string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return c.target.fail(PhaseUpload, fmt.Errorf("%s: %w", name, ctx.Err()), "")
	}
	select {
	case <-c.closed:
		return c.lost(PhaseUpload)
	default:
	}
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint = "does the directory exist?"
	case errors.Is(err, fs.ErrPermission):
		hint = fmt.Sprintf("may user %s write there?", c.target.User)
	case errors.Is(err, sftp.ErrSSHFxConnectionLost):
		return c.lost(PhaseUpload)
	}
	return c.target.fail(PhaseUpload, fmt.Errorf("%s: %w", name, err), hint)
}

// uploadPlain sends the content through a shell. The shell says when it is ready, and only then the content follows:
// dash and busybox read ahead, and would take its beginning for themselves.
func (c *Client) uploadPlain(ctx context.Context, u upload) error {
	p, err := c.Start(ctx, "exec /bin/sh")
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { p.Close() })
	defer stop()
	defer p.Close()
	stderr := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(p.Stderr, 4096))
		_, _ = io.Copy(io.Discard, p.Stderr)
		stderr <- strings.TrimSpace(string(b))
	}()

	ready := "ready-" + nonce() + "\n"
	writeErr := func() error {
		if _, err := io.WriteString(p.Stdin, receiveScript(u, ready)); err != nil {
			return err
		}
		if err := awaitLine(p.Stdout, ready); err != nil {
			return err
		}
		n, err := io.Copy(p.Stdin, &untilDone{ctx, io.LimitReader(u.content, u.size+1)})
		if err == nil && n != u.size {
			err = fmt.Errorf("the source has %s bytes, not %d", sizeText(n, u.size), u.size)
		}
		return err
	}()
	_ = p.Stdin.Close()
	go func() { _, _ = io.Copy(io.Discard, p.Stdout) }()
	status, err := p.Wait()
	switch said := <-stderr; {
	case ctx.Err() != nil:
		return c.uploadError(ctx, u.name, ctx.Err())
	case err != nil:
		return err
	case status != 0:
		return c.uploadError(ctx, u.name, fmt.Errorf("the host's shell failed with status %d: %s", status, said))
	}
	return c.uploadError(ctx, u.name, writeErr)
}

// receiveScript takes the content from what follows on stdin. It is one compound command, so that a shell that reads it
// by blocks has all of it before anything runs.
func receiveScript(u upload, ready string) string {
	return fmt.Sprintf(`{
t=%s n=%s
umask 077
if [ -d "$n" ]; then printf '%%s is a directory\n' "$n" >&2; exit 1; fi
set -C
exec 3> "$t" || exit 1
chmod %04o "$t" || exit 1
printf %%s %s
if cat >&3 && [ "$(($(wc -c < "$t")))" -eq %d ] && mv -f "$t" "$n"; then exit 0; fi
rm -f "$t"
exit 1
}
`, quote(u.temporary), quote(u.name), u.mode, quote(ready), u.size)
}

// quote makes one word of s in any POSIX shell. A name that begins with a dash is not taken for an option.
func quote(s string) string {
	if strings.HasPrefix(s, "-") {
		s = "./" + s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// awaitLine reads until line has come; what login scripts print before it is forgotten.
func awaitLine(r io.Reader, line string) error {
	var seen []byte
	buf := make([]byte, 512)
	for len(seen) < 64<<10 {
		n, err := r.Read(buf)
		seen = append(seen, buf[:n]...)
		if bytes.Contains(seen, []byte(line)) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the host's shell did not start: %w", err)
		}
	}
	return errors.New("the host's login scripts print too much; make them silent for commands")
}

// untilDone is a reader that ends with an error when ctx ends, so that an upload stops at the next block.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// nonce is a name that nothing else has.
func nonce() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
