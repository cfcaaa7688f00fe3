package engine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
)

// stage brings content that must not be part of a program to the host: as the login user, over a channel of
// its own, into a private directory. Secrets pass neither a standard input that sudo may record, nor an argument,
// nor the program. It returns the directory.
//
// /dev/shm keeps secrets off the disk; the home directory is for hosts without one, and for what is too large
// for memory.
func stage(ctx context.Context, conn Conn, files []staged) (dir string, err error) {
	nonce := newNonce()
	base := "/dev/shm"
	for _, f := range files {
		if f.large() {
			base = "$HOME"
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "{ umask 077\nfor base in \"%s\" \"$HOME\"; do\n[ -d \"$base\" ] && mkdir \"$base/.%s\" 2>/dev/null && break\nbase=\ndone\n", base, nonce)
	fmt.Fprintf(&b, "[ -n \"$base\" ] || { echo 'no directory for staging: neither /dev/shm nor the home directory can be written' >&2; exit 1; }\ncd \"$base/.%s\" || exit 1\n", nonce)
	for _, f := range files {
		if !f.large() {
			fmt.Fprintf(&b, "{ %s\n} >%s || exit 1\n", shell.Printf([]byte(f.content.Text.Reveal())), shell.Quote(f.name))
		}
	}
	fmt.Fprintf(&b, "printf '%%s %%s\\n' %s \"$PWD\"\nexit 0\n} </dev/null\n", nonce)
	out, err := runScript(ctx, conn, b.String())
	if err != nil {
		return "", fmt.Errorf("staging: %w", err)
	}
	_, rest, ok := strings.Cut(out, nonce+" ")
	if !ok {
		return "", fmt.Errorf("staging: the host did not answer as expected: %s", lastLines(out, 3))
	}
	dir, _, _ = strings.Cut(rest, "\n")
	for _, f := range files {
		switch {
		case f.content.Tree != nil:
			if err := uploadTree(ctx, conn, dir+"/"+f.name, f.content.Tree); err != nil {
				return dir, fmt.Errorf("staging %s: %w", f.content.Tree.Root, err)
			}
		case f.content.Local != nil:
			if err := uploadLocal(ctx, conn, dir+"/"+f.name, f); err != nil {
				return dir, fmt.Errorf("staging %s: %w", f.content.Local.Path, err)
			}
		}
	}
	return dir, nil
}

// large tells whether the content is a file or a tree of the control machine, which travels by SFTP.
func (f *staged) large() bool { return f.content.Local != nil || f.content.Tree != nil }

// uploadTree sends a tree as a tar archive that is never whole on the control machine.
func uploadTree(ctx context.Context, conn Conn, path string, tree *steps.Tree) error {
	size, err := tree.TarSize()
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() {
		// Large writes, so that the reader gets whole packets.
		buffered := bufio.NewWriterSize(w, 1<<20)
		err := tree.WriteTar(buffered)
		if err == nil {
			err = buffered.Flush()
		}
		_ = w.CloseWithError(err)
	}()
	defer r.Close()
	return conn.Upload(ctx, path, 0o600, size, r)
}

func uploadLocal(ctx context.Context, conn Conn, path string, f staged) error {
	file, err := os.Open(f.content.Local.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != f.content.Local.Size {
		return fmt.Errorf("the file changed since the playbook was read; run again")
	}
	return conn.Upload(ctx, path, 0o600, info.Size(), file)
}

// runScript runs a script as the login user, on a channel of its own, and returns what it printed.
func runScript(ctx context.Context, conn Conn, script string) (string, error) {
	p, err := conn.Start(ctx, plainCommand)
	if err != nil {
		return "", err
	}
	defer p.Close()
	stop := context.AfterFunc(ctx, func() { _ = p.Close() })
	defer stop()
	errs := make(chan string, 1)
	go func() {
		said, _ := io.ReadAll(io.LimitReader(p.Stderr, stderrLimit))
		errs <- string(said)
	}()
	if _, err := io.WriteString(p.Stdin, script); err != nil {
		return "", err
	}
	_ = p.Stdin.Close()
	out, err := io.ReadAll(io.LimitReader(p.Stdout, fragmentLimit))
	if err != nil {
		return "", err
	}
	status, err := p.Wait()
	if err != nil {
		return "", err
	}
	if status != 0 {
		return "", fmt.Errorf("status %d: %s", status, lastLines(strings.TrimSpace(<-errs), 3))
	}
	return string(out), nil
}
