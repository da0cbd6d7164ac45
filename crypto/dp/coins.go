package dp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

// Coins is a stream of secret random bits: AES-256-CTR from a zero counter,
// under a key of 32 bytes from crypto/rand [SP800-90A in spirit, without
// reseeding: one stream serves one round, far below 2^48 blocks]. Draw and
// Sample make their own and erase it; no pool outlives a call, so no copy of
// the process repeats bits that were drawn before it was copied. It isn't safe
// for concurrent use. The key is never stored or logged: whoever has it can
// take the noise away.
type Coins struct {
	ctr   cipher.Stream
	pos   int
	spare uint64 // unused bits for bit, lowest first
	left  int    // how many
	buf   [8192]byte
}

// newCoins keys a stream from random, which is crypto/rand in every call but a test's.
func newCoins(random io.Reader) (*Coins, error) {
	var key [32]byte
	defer clear(key[:])
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return nil, fmt.Errorf("dp: read randomness: %w", err)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("dp: AES-256 refused a 32-byte key: " + err.Error())
	}
	c := &Coins{ctr: cipher.NewCTR(block, make([]byte, aes.BlockSize))}
	c.pos = len(c.buf)
	return c, nil
}

// NewCoins returns a stream under a fresh key. Call Erase when done.
func NewCoins() (*Coins, error) { return newCoins(rand.Reader) }

// Erase zeroes what was buffered and drops the cipher; a later draw panics.
// The cipher's expanded key lies in memory that the standard library doesn't
// let us clear; it is unreachable from here on.
func (c *Coins) Erase() {
	clear(c.buf[:])
	c.ctr, c.pos, c.spare, c.left = nil, len(c.buf), 0, 0
}

func (c *Coins) word() uint64 {
	if c.pos == len(c.buf) {
		c.refill()
	}
	w := binary.LittleEndian.Uint64(c.buf[c.pos:])
	c.pos += 8
	return w
}

func (c *Coins) refill() {
	if c.ctr == nil {
		panic("dp: coins used after Erase")
	}
	clear(c.buf[:])
	c.ctr.XORKeyStream(c.buf[:], c.buf[:])
	c.pos = 0
}

// bit returns one fair bit; a word serves 64 of them.
func (c *Coins) bit() uint64 {
	if c.left == 0 {
		c.spare, c.left = c.word(), 64
	}
	b := c.spare & 1
	c.spare >>= 1
	c.left--
	return b
}

// below returns an exactly uniform integer in [0, n), n ≥ 1, by multiplication
// with rejection [Lem19]: a word is rejected with probability below n/2^64.
func (c *Coins) below(n uint64) uint64 {
	hi, lo := bits.Mul64(c.word(), n)
	if lo < n {
		for reject := -n % n; lo < reject; {
			hi, lo = bits.Mul64(c.word(), n)
		}
	}
	return hi
}

// fraction returns true with probability exactly num/den ≤ 1.
func (c *Coins) fraction(num, den uint64) bool { return c.below(den) < num }
