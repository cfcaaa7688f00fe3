package engine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"provision/internal/shell"
	"provision/internal/steps"
)

// memoryLimit is how many bytes are staged in the memory of the host; large files and trees beyond it go to a disk.
const memoryLimit = 32 << 20

// stage brings content that must not be part of a program to the host: as the login user, over a channel of
// its own, into a private directory. Secrets pass neither a standard input that sudo may record, nor an argument,
// nor the program. It returns the directory.
//
// Secrets stay off the disks wherever the host has a file system in memory, and so does all the rest if it is small. A
// login user without a home, or a full or missing /dev/shm, only means that the next place is tried.
func stage(ctx context.Context, conn Conn, files []staged) (dir string, err error) {
	nonce := newNonce()
	texts, large := int64(0), int64(0)
	for _, f := range files {
		size, err := f.size()
		if err != nil {
			return "", fmt.Errorf("staging %s: %w", f.content.Tree.Root, err)
		}
		if f.large() {
			large += size
		} else {
			texts += size
		}
	}
	// One that was begun may hold secrets, and no program will remove it.
	defer func() {
		if err != nil && dir != "" {
			_, _ = runScript(context.WithoutCancel(ctx), conn, unstage(dir))
			dir = ""
		}
	}()
	out, err := runScript(ctx, conn, stageScript(nonce, files, texts, large))
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
			if err := uploadTree(ctx, conn, dir+"/disk/"+f.name, f.content.Tree); err != nil {
				return dir, fmt.Errorf("staging %s: %w", f.content.Tree.Root, err)
			}
		case f.content.Local != nil:
			if err := uploadLocal(ctx, conn, dir+"/disk/"+f.name, f); err != nil {
				return dir, fmt.Errorf("staging %s: %w", f.content.Local.Path, err)
			}
		}
	}
	return dir, nil
}

// stageFunctions is sh that finds a place. Each of its loops tries the next directory when one cannot be written, or has no
// room: df tells before the first byte, and what is written tells again.
const stageFunctions = `umask 077
why=
# place BYTES BASE: makes the private directory $dir in BASE.
place() {
	dir=$2/.$nonce
	[ -n "$2" ] && [ -d "$2" ] || { why="$why; ${2:-the home directory} is not there"; return 1; }
	free=$(df -Pk "$2" 2>/dev/null | awk 'NR > 1 { n = NF } NR > 1 && NF > 4 { print $(NF - 2) }')
	case $free in
	'' | *[!0-9]*) ;;
	*) [ "$free" -gt "$(($1 / 1024 + 64))" ] || { why="$why; $2 has only $free KiB free"; return 1; } ;;
	esac
	mkdir "$dir" 2>/dev/null || { why="$why; $2 cannot be written"; return 1; }
}
lost() { why="$why; $1 could not be written to the end"; rm -rf "$dir"; }
shm=/dev/shm run=/run/user/$(id -u)
`

// stageScript makes the directory with the texts in it. Below disk is what is uploaded after it: in the directory itself, or in
// another where that is too much for memory. What a program names is always in the directory.
func stageScript(nonce string, files []staged, texts, large int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{ nonce=%s\n%s", nonce, stageFunctions)
	b.WriteString("texts() {\n:\n")
	for _, f := range files {
		if f.large() {
			fmt.Fprintf(&b, "ln -s disk/%s \"$dir/\"%s || return 1\n", shell.Quote(f.name), shell.Quote(f.name))
		} else {
			fmt.Fprintf(&b, "{ %s\n} >\"$dir/\"%s || return 1\n", shell.Printf([]byte(f.content.Text.Reveal())), shell.Quote(f.name))
		}
	}
	b.WriteString("}\n")
	inside := int64(0)
	if texts+large <= memoryLimit {
		inside = large
	}
	// What is to be in memory takes half of it at most.
	fmt.Fprintf(&b, `main=
for base in "$shm" "$run"; do
	place %d "$base" || continue
	if texts 2>/dev/null; then main=$dir; break; fi
	lost "$base"
done
`, 2*(texts+inside))
	if inside != large || large == 0 {
		fmt.Fprintf(&b, `[ -n "$main" ] || for base in /tmp /var/tmp "$HOME"; do
	place %d "$base" || continue
	if texts 2>/dev/null; then main=$dir; break; fi
	lost "$base"
done
`, texts)
	}
	// An empty file has a place, too.
	if slices.ContainsFunc(files, func(f staged) bool { return f.large() }) {
		if inside == large {
			b.WriteString("[ -z \"$main\" ] || mkdir \"$main/disk\" || exit 1\n")
		}
		fmt.Fprintf(&b, `if [ -z "$main" ] || [ ! -d "$main/disk" ]; then
	disk=
	nonce=$nonce.large
	for base in /var/tmp "$HOME" /tmp "$shm"; do
		place %d "$base" && { disk=$dir; break; }
	done
	if [ -n "$disk" ] && [ -z "$main" ]; then
		mkdir "$disk/disk" || exit 1
		dir=$disk main=$disk
		texts || { rm -rf "$disk"; exit 1; }
	elif [ -n "$disk" ]; then
		ln -s "$disk" "$main/disk" || exit 1
	else
		[ -z "$main" ] || rm -rf "$main"
		main=
	fi
fi
`, large+texts)
	}
	b.WriteString(`[ -n "$main" ] || { printf 'no directory of the host takes what has to be sent%s\n' "$why" >&2; exit 1; }
`)
	fmt.Fprintf(&b, "printf '%%s %%s\\n' %s \"$main\"\nexit 0\n} </dev/null\n", nonce)
	return b.String()
}

// unstageFunction removes a directory of stage and what it has on a disk.
const unstageFunction = `unstage() {
	if [ -h "$1/disk" ]; then rm -rf "$(readlink "$1/disk")"; fi
	rm -rf "$1"
}
`

// unstage is sh that removes the directory.
func unstage(dir string) string { return unstageFunction + "unstage " + shell.Quote(dir) + "\n" }

// large tells whether the content is a file or a tree of the control machine, which is uploaded.
func (f *staged) large() bool { return f.content.Local != nil || f.content.Tree != nil }

// size is the number of bytes.
func (f *staged) size() (int64, error) {
	switch {
	case f.content.Tree != nil:
		return f.content.Tree.TarSize()
	case f.content.Local != nil:
		return f.content.Local.Size, nil
	}
	return int64(len(f.content.Text.Reveal())), nil
}

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
