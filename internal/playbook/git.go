package playbook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// gitSource is the text after "git::": URL//dir?ref=COMMIT.
type gitSource struct{ repo, dir, ref string }

func parseGit(text string) (gitSource, error) {
	var g gitSource
	body, query, _ := strings.Cut(text, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return g, fmt.Errorf("the part after ? of %q is malformed", text)
	}
	g.ref = values.Get("ref")
	begin := 0
	if i := strings.Index(body, "://"); i >= 0 {
		begin = i + 3
	}
	g.repo = body
	if i := strings.Index(body[begin:], "//"); i >= 0 {
		g.repo, g.dir = body[:begin+i], path.Clean(body[begin+i+2:])
	}
	switch {
	case g.ref == "":
		return g, fmt.Errorf("the source names no commit; add ?ref=COMMIT, so that every run uses the same module")
	case strings.HasPrefix(g.ref, "-") || strings.HasPrefix(g.repo, "-") || g.repo == "":
		return g, fmt.Errorf("%q is no repository and commit", text)
	case g.dir == ".." || strings.HasPrefix(g.dir, "../"):
		return g, fmt.Errorf("the directory %q leads out of the repository", g.dir)
	case strings.HasPrefix(strings.ToLower(g.repo), "ext::") || strings.HasPrefix(strings.ToLower(g.repo), "fd::"):
		return g, fmt.Errorf("repositories that run a command are not allowed")
	}
	if u, err := url.Parse(g.repo); err == nil && u.User != nil {
		if _, password := u.User.Password(); password {
			return g, errors.New("the URL holds a password, which every process list would show; use ssh, or a credential helper of git")
		}
	}
	return g, nil
}

// fetchGit clones the repository into the user's cache, once for each repository and ref, and
// returns the directory of the module and how diagnostics show it.
func fetchGit(ctx context.Context, text string) (dir, shown string, err error) {
	g, err := parseGit(text)
	if err != nil {
		return "", "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", fmt.Errorf("there is no directory for caches: %w", err)
	}
	sum := sha256.Sum256([]byte(g.repo + "\x00" + g.ref))
	target := filepath.Join(cache, "provision", "modules", hex.EncodeToString(sum[:16]))
	if _, err := os.Stat(target); err != nil {
		if err := g.clone(ctx, target); err != nil {
			return "", "", err
		}
	}
	return filepath.Join(target, filepath.FromSlash(g.dir)), strings.TrimSuffix(path.Base(g.repo), ".git") + "@" + short(g.ref) + "/" + strings.TrimPrefix(g.dir+"/", "/"), nil
}

func short(ref string) string { return ref[:min(len(ref), 12)] }

// clone fetches the commit into a directory beside the target and renames it, so that a clone
// that was cut off is never taken for a module.
func (g gitSource) clone(ctx context.Context, target string) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(target), "clone-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if _, err := exec.LookPath("git"); err != nil {
		return errors.New("the program git is required and is not installed")
	}
	if err := git(ctx, "", "clone", "--quiet", "--no-checkout", "--", g.repo, work); err != nil {
		return err
	}
	if err := git(ctx, work, "checkout", "--quiet", "--detach", g.ref, "--"); err != nil {
		return fmt.Errorf("the repository has no commit %q: %w", g.ref, err)
	}
	if err := os.Rename(work, target); err != nil {
		if _, there := os.Stat(target); there == nil {
			return nil // another run was faster
		}
		return err
	}
	return nil
}

// git runs git without asking anybody anything.
func git(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=file:git:http:https:ssh", "GIT_SSH_COMMAND=ssh -o BatchMode=yes")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return fmt.Errorf("git %s: %w: %s", args[0], err, lines[len(lines)-1])
	}
	return nil
}
