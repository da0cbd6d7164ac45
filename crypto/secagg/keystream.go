package secagg

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

// keystream is AES-256-CTR with a zero initial counter, read as little-endian
// 64-bit words. Its key is used for nothing else: either a digest of public
// values (the XOF behind a_j) or 32 fresh random bytes (secret coins).
type keystream struct {
	ctr cipher.Stream
	pos int
	buf [8192]byte
}

// expander returns the public stream of polynomial j:
// SHA-256("tributary/secagg/v1/a" ‖ ctx ‖ j as 4 bytes, big-endian) is the key.
func expander(ctx Context, j int) *keystream {
	const domain = "tributary/secagg/v1/a"
	seed := make([]byte, 0, len(domain)+len(ctx)+4)
	seed = append(seed, domain...)
	seed = append(seed, ctx[:]...)
	seed = binary.BigEndian.AppendUint32(seed, uint32(j))
	return newKeystream(sha256.Sum256(seed))
}

// freshCoins keys a stream with 32 bytes of random, which is crypto/rand in
// every production call. One stream serves at most one polynomial or one
// sharing, about 2^14 blocks: far from the birthday bound of a block cipher.
func freshCoins(random io.Reader) (*keystream, error) {
	var key [32]byte
	defer clear(key[:])
	if _, err := io.ReadFull(random, key[:]); err != nil {
		return nil, fmt.Errorf("secagg: read randomness: %w", err)
	}
	return newKeystream(key), nil
}

func newKeystream(key [32]byte) *keystream {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("secagg: AES-256 refused a 32-byte key: " + err.Error())
	}
	k := &keystream{ctr: cipher.NewCTR(block, make([]byte, aes.BlockSize))}
	k.pos = len(k.buf)
	return k
}

func (k *keystream) word() uint64 {
	if k.pos == len(k.buf) {
		k.refill()
	}
	w := binary.LittleEndian.Uint64(k.buf[k.pos:])
	k.pos += 8
	return w
}

func (k *keystream) refill() {
	clear(k.buf[:])
	k.ctr.XORKeyStream(k.buf[:], k.buf[:])
	k.pos = 0
}

// erase zeroes the buffered words and drops the cipher.
func (k *keystream) erase() {
	clear(k.buf[:])
	k.ctr = nil
}

// uniform fills dst with independent, exactly uniform values below q, by
// multiplication with rejection [Lem19]: a word w gives the high half of w·q
// unless the low half is below 2^64 mod q. For our primes 1 word in 4,096 is
// rejected or fewer. What is rejected doesn't depend on any value kept.
func (k *keystream) uniform(dst []uint64, q uint64) {
	reject := -q % q
	for i := range dst {
		hi, lo := bits.Mul64(k.word(), q)
		for lo < reject {
			hi, lo = bits.Mul64(k.word(), q)
		}
		dst[i] = hi
	}
}
