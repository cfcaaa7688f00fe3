package engine

import (
	"archive/tar"
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"provision/internal/shell"
)

// memoryLimit is how many bytes are staged in the memory of the host; large files and trees beyond it go to a disk.
const memoryLimit = 32 << 20

// A staging is what a program is sent beside its text, on its way: contents that must not be part of it.
type staging struct {
	files []staged
	names []string // of the directories that were begun, of which the last may be complete
}

// stage brings content that must not be part of a program to the host: as the login user, over a channel of
// its own, into a private directory. Secrets pass neither a standard input that sudo may record, nor an argument,
// nor the program. It returns the directory. What an earlier attempt has left goes first.
//
// The directory belongs to the owner, a session of the host, PID.START.BOOT: its name says so from its first moment, and what has no
// living owner is removed by whoever finds it (sweep.sh). A program takes it over.
//
// Secrets stay off the disks: where no file system of the host is in memory there is no place for them. All the rest is in memory, too, if it
// is small. A login user without a home, or a full or missing /dev/shm, only means that the next place is tried.
func (g *staging) stage(ctx context.Context, conn Conn, owner string) (dir string, err error) {
	var need room
	for _, f := range g.files {
		size, err := f.size()
		if err != nil {
			return "", fmt.Errorf("staging: %w", err)
		}
		if f.large() {
			need.large += size
		} else {
			need.texts += size
			need.secret = need.secret || f.content.Text.Sensitive()
		}
	}
	mark, earlier := newNonce(), g.names
	name := ".provision-stage." + owner + "." + strings.TrimPrefix(mark, "provision-")
	g.names = append(slices.Clone(g.names), name)
	send := func(answer string, w io.Writer) error {
		_, dir, _ = strings.Cut(answer, mark+" ")
		if strings.HasSuffix(dir, " stream") {
			return g.stream(w)
		}
		return nil
	}
	out, err := runScript(ctx, conn, stageScript(mark, name, earlier, g.files, need), mark, send)
	if err != nil {
		return "", fmt.Errorf("staging: %w", err)
	}
	if dir == "" {
		return "", fmt.Errorf("staging: the host did not answer as expected: %s", lastWords(out, 3))
	}
	dir, streamed := strings.CutSuffix(dir, " stream")
	for i := range g.files {
		if f := &g.files[i]; f.large() && !streamed {
			if err := f.upload(ctx, conn, dir+"/disk/"+f.name); err != nil {
				return "", fmt.Errorf("staging: %w", err)
			}
		}
	}
	return dir, nil
}

// stream sends all files and trees of the control machine as one archive, of which no part waits for the one before it.
func (g *staging) stream(w io.Writer) error {
	buffered := bufio.NewWriterSize(w, 256<<10)
	archive := tar.NewWriter(buffered)
	for i := range g.files {
		f := &g.files[i]
		if !f.large() {
			continue
		}
		size, err := f.size()
		if err == nil {
			err = archive.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: size, Typeflag: tar.TypeReg, Format: tar.FormatGNU})
		}
		if err == nil {
			err = f.copyTo(archive)
		}
		if err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return buffered.Flush()
}

// remove removes what no program has taken over. Where that fails, the next run does so.
func (g *staging) remove(ctx context.Context, conn Conn) {
	if len(g.names) == 0 || conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	_, _ = runScript(ctx, conn, stageFunctions+"forget "+shell.Words(g.names...)+"\nexit 0\n", "", nil)
}

// removeTimeout is how long a host may take to remove what was staged.
const removeTimeout = 10 * time.Second

// room is what is to be staged, in bytes.
type room struct {
	texts, large int64
	secret       bool // among the texts are secrets
}

// stageFunctions is sh that finds a place. Each of its loops tries the next directory when one cannot be written, or has no
// room: df tells before the first byte, and what is written tells again.
const stageFunctions = `umask 077
why=
shm=/dev/shm run=/run/user/$(id -u)
in_memory() {
	kind=$(stat -f -c %T "$1" 2>/dev/null) || kind=$(awk -v dir="$1" '$2 == dir { kind = $3 } END { print kind }' /proc/mounts)
	case $kind in tmpfs | ramfs) ;; *) return 1 ;; esac
}
# place BYTES BASE [memory]: makes the private directory $dir in BASE, if need be only where that is in memory.
place() {
	dir=$2/$name
	[ -n "$2" ] && [ -d "$2" ] || { why="$why; ${2:-the home directory} is not there"; return 1; }
	[ -z "$3" ] || in_memory "$2" || { why="$why; $2 is not in memory"; return 1; }
	free=$(df -Pk "$2" 2>/dev/null | awk 'NR > 1 { n = NF } NR > 1 && NF > 4 { print $(NF - 2) }')
	case $free in
	'' | *[!0-9]*) ;;
	*) [ "$free" -gt "$(($1 / 1024 + 64))" ] || { why="$why; $2 has only $free KiB free"; return 1; } ;;
	esac
	mkdir "$dir" 2>/dev/null || { why="$why; $2 cannot be written"; return 1; }
}
lost() { why="$why; $1 could not be written to the end"; rm -rf "$dir"; }
# forget NAME…: removes what earlier attempts have left; what a program has taken over has another name.
forget() {
	for left in "$@"; do
		rm -rf "$shm/$left" "$shm/$left-large" "$run/$left" "/tmp/$left" "/tmp/$left-large" "/var/tmp/$left" "/var/tmp/$left-large" \
			"$HOME/$left" "$HOME/$left-large"
	done
}
`

// stageScript makes the directory of a name with the texts in it. Below disk is what is uploaded after it: in the directory itself, or in
// another where that is too much for memory. What a program names is always in the directory.
func stageScript(mark, name string, earlier []string, files []staged, need room) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{ name=%s\n%s", shell.Quote(name), stageFunctions)
	if len(earlier) > 0 {
		fmt.Fprintf(&b, "forget %s\n", shell.Words(earlier...))
	}
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
	if need.texts+need.large <= memoryLimit {
		inside = need.large
	}
	memory := `""`
	if need.secret {
		memory = "memory"
	}
	// What is to be in memory takes half of it at most.
	fmt.Fprintf(&b, `main=
for base in "$shm" "$run"; do
	place %d "$base" %s || continue
	if texts 2>/dev/null; then main=$dir; break; fi
	lost "$base"
done
`, 2*(need.texts+inside), memory)
	if inside != need.large || need.large == 0 || need.secret {
		fmt.Fprintf(&b, `[ -n "$main" ] || for base in /tmp /var/tmp "$HOME"; do
	place %d "$base" %s || continue
	if texts 2>/dev/null; then main=$dir; break; fi
	lost "$base"
done
`, need.texts, memory)
	}
	if need.secret {
		b.WriteString(`[ -n "$main" ] || { printf 'no file system of the host that is in memory takes the secrets that have to be sent%s; mount a tmpfs at /dev/shm\n' "$why" >&2; exit 1; }
`)
	}
	// An empty file has a place, too.
	stream := slices.ContainsFunc(files, func(f staged) bool { return f.large() })
	if stream {
		if inside == need.large {
			fmt.Fprintf(&b, `case $main in
"$shm"/* | "$run"/*) mkdir "$main/disk" || exit 1 ;;
esac
`)
		}
		fmt.Fprintf(&b, `if [ -z "$main" ] || [ ! -d "$main/disk" ]; then
	disk=
	name=$name-large
	for base in /var/tmp "$HOME" /tmp "$shm"; do
		place %d "$base" "" && { disk=$dir; break; }
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
`, need.large+need.texts)
	}
	b.WriteString(`[ -n "$main" ] || { printf 'no directory of the host takes what has to be sent%s\n' "$why" >&2; exit 1; }
`)
	if stream {
		// The client waits for these words: the shell may have read ahead, and has nothing of the archive.
		fmt.Fprintf(&b, `if cd "$main/disk" && command -v tar >/dev/null 2>&1; then
	printf '%%s %%s stream\n' %s "$main"
	exec tar -xof - <&3 3<&-
fi
`, mark)
	}
	fmt.Fprintf(&b, "printf '%%s %%s\\n' %s \"$main\"\nexit 0\n} 3<&0 </dev/null\n", mark)
	return b.String()
}

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

// copyTo writes what the file or tree of the control machine holds: a tree as an archive, which is never whole on this machine.
func (f *staged) copyTo(w io.Writer) (err error) {
	root := ""
	if f.content.Tree != nil {
		root, err = f.content.Tree.Root, f.content.Tree.WriteTar(w)
	} else {
		root, err = f.content.Local.Path, f.content.Local.CopyTo(w)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", root, err)
	}
	return nil
}

// upload sends a file or tree by itself, to a host without tar.
func (f *staged) upload(ctx context.Context, conn Conn, path string) error {
	size, err := f.size()
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() {
		// Large writes, so that the reader gets whole packets.
		buffered := bufio.NewWriterSize(w, 1<<20)
		err := f.copyTo(buffered)
		if err == nil {
			err = buffered.Flush()
		}
		_ = w.CloseWithError(err)
	}()
	defer r.Close()
	return conn.Upload(ctx, path, 0o600, size, r)
}

// runScript runs a script as the login user, on a channel of its own, and returns what it printed. It returns as soon as the context
// ends. Where mark is not "", the first line with it is given to send, which may answer it.
func runScript(ctx context.Context, conn Conn, script, mark string, send func(line string, w io.Writer) error) (string, error) {
	p, err := conn.Start(ctx, plainCommand)
	if err != nil {
		return "", err
	}
	type answer struct {
		out string
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		out, err := converse(p, script, mark, send)
		answered <- answer{out, err}
	}()
	select {
	case a := <-answered:
		_ = p.Close()
		return a.out, a.err
	case <-ctx.Done():
		go p.Close()
		return "", ctx.Err()
	}
}

// converse writes a script to a process and reads what it prints to its end.
func converse(p *Process, script, mark string, send func(string, io.Writer) error) (string, error) {
	errs := make(chan string, 1)
	go func() {
		said, _ := io.ReadAll(io.LimitReader(p.Stderr, stderrLimit))
		errs <- string(said)
	}()
	var out strings.Builder
	to := &sending{w: p.Stdin}
	_, _ = io.WriteString(to, script)
	from := bufio.NewReader(io.LimitReader(p.Stdout, fragmentLimit))
	var own, rerr error
	for mark != "" && to.err == nil && own == nil && rerr == nil {
		var line string
		line, rerr = from.ReadString('\n')
		out.WriteString(line)
		if rerr == nil && strings.Contains(line, mark) {
			own = send(strings.TrimSuffix(line, "\n"), to)
			break
		}
	}
	_ = p.Stdin.Close()
	_, err := io.Copy(&out, from)
	status, serr := p.Wait()
	switch {
	case serr != nil: // it says best what became of the link
		return "", fmt.Errorf("%w: the connection was lost: %w", ErrUnreachable, serr)
	case own != nil && to.err == nil:
		return "", own
	case status != 0:
		return "", fmt.Errorf("status %d: %s", status, lastWords(strings.TrimSpace(<-errs), 3))
	case to.err != nil:
		return "", to.err
	case err != nil:
		return "", err
	}
	return out.String(), nil
}

// A sending writer remembers that what is sent could not be.
type sending struct {
	w   io.Writer
	err error
}

func (s *sending) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil && s.err == nil {
		s.err = err
	}
	return n, err
}
