package savedplan

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"golang.org/x/crypto/scrypt"
)

// A Sealer makes the hashes of saved plans. It may be used by several goroutines.
type Sealer struct {
	// Cost is that of scrypt, its N. Tests lower it.
	Cost int

	key []byte

	mu   sync.Mutex
	slow map[string]string
}

// sealCost makes a guess at a secret take some 16 MiB and 50 ms.
const sealCost = 1 << 14

// NewSealer returns a Sealer with the salt of a run as its key.
func NewSealer(salt string) *Sealer {
	return &Sealer{key: []byte(salt), Cost: sealCost, slow: map[string]string{}}
}

// Secret returns the hash of a text that holds secrets, in hexadecimal. Since its key lies beside it in the file, guessing a short
// secret has to be slow: each guess takes some 16 MiB and 50 ms.
func (s *Sealer) Secret(text string) string { return s.Seal(text, true) }

// Seal returns the hash of a text, as Secret does if there is a secret in it.
func (s *Sealer) Seal(text string, secret bool) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	sum := mac.Sum(nil)
	if !secret {
		return hex.EncodeToString(sum[:16])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, yes := s.slow[string(sum)]; yes {
		return known
	}
	slow, err := scrypt.Key(sum, s.key, s.Cost, 8, 1, 16)
	if err != nil {
		panic(err) // its parameters are constants
	}
	sealed := hex.EncodeToString(slow)
	s.slow[string(sum)] = sealed
	return sealed
}
