package engine

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// Whatever a host prints in answer to probes, asking ends, and nothing is kept beyond the limits.
func FuzzAnswers(f *testing.F) {
	const nonce = "provision-0123456789abcdef"
	for _, text := range []string{
		"", "hello\n", "\n" + nonce + " 0 0\n", "state\n\n" + nonce + " 0 0\nmore\n" + nonce + " 1 7\n", nonce + " 1 0\n" + nonce + " 0 0\n", nonce + " 99999999999999999999 0\n",
		nonce + " -1 0\n", nonce + "\n", nonce + " 0 x\n", "\x00\x1b[2J" + nonce + " 0 0\n", strings.Repeat(nonce+" 0 0\n", 3),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, printed []byte) {
		s := floodSession(bytes.NewReader(printed))
		s.nonce = nonce
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		answers, err := s.Ask(ctx, "", make([]Fragment, 2))
		if ctx.Err() != nil {
			t.Fatal("asking did not end")
		}
		if err == nil && len(answers) != 2 {
			t.Errorf("%d answers to two fragments, and no error", len(answers))
		}
		for _, a := range answers {
			if len(a.Stdout) > len(printed) {
				t.Errorf("more was answered than was printed")
			}
		}
	})
}

// Whatever comes in place of frames, reading them ends with an error or the end, and takes no more than was sent.
func FuzzFrames(f *testing.F) {
	const nonce = "provision-0123456789abcdef"
	for _, text := range []string{
		"", "out 1 1 0 5\nhello", "out 1 2 0 9\nshort", "journal 0 0 0 4\nrun\n", "0 0\n", "0 x\n", "out 1 1 0 99999999999\nx", "out 1 1 0 -1\n", "out 1 1 0\n", "locked 0 0 0 3\nann0 0\n", "noise\n",
	} {
		f.Add([]byte(nonce + " " + text))
		f.Add([]byte(nonce + " " + text + nonce + " 0 0\n"))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		s := floodSession(bytes.NewReader(sent))
		s.nonce = nonce
		total := 0
		for range len(sent) + 1 {
			frame, err := s.readFrame()
			if err != nil {
				return
			}
			if total += len(frame.body); total > len(sent) {
				t.Fatalf("%d bytes in frames of %d that were sent", total, len(sent))
			}
		}
	})
}
