package source

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"

	"tributary/protocol/jobspec"
)

// folds gives each key its tenth.
type folds struct {
	mac hash.Hash
	buf []byte
	sum []byte
}

func newFolds(secret [32]byte) *folds { return &folds{mac: hmac.New(sha256.New, secret[:])} }

// tenth returns HMAC-SHA256(secret, key), its first 8 bytes big-endian, modulo 10;
// the bias is below 2⁻⁶⁰.
func (f *folds) tenth(key string) uint8 {
	f.mac.Reset()
	f.buf = append(f.buf[:0], key...)
	f.mac.Write(f.buf)
	f.sum = f.mac.Sum(f.sum[:0])
	return uint8(binary.BigEndian.Uint64(f.sum) % 10)
}

// digest hashes rows of fixed width, which the contract's digest determines.
type digest struct {
	h   hash.Hash
	buf []byte
}

func newDigest(c *jobspec.Contract) *digest {
	d := &digest{h: sha256.New(), buf: make([]byte, 0, 64<<10)}
	d.h.Write([]byte("tributary/v1/source-rows"))
	contract := c.Digest()
	d.h.Write(contract[:])
	return d
}

// row starts a row; a label's code fits a byte.
func (d *digest) row(label int32, tenth uint8) {
	if len(d.buf) >= 32<<10 {
		d.flush()
	}
	d.buf = append(d.buf, byte(label), tenth)
}

// number hashes the bits of v; every missing value is one NaN.
func (d *digest) number(v float64) {
	if math.IsNaN(v) {
		v = math.NaN()
	}
	d.buf = binary.BigEndian.AppendUint64(d.buf, math.Float64bits(v))
}

func (d *digest) code(code int32) { d.buf = binary.BigEndian.AppendUint32(d.buf, uint32(code)) }

func (d *digest) flush() {
	d.h.Write(d.buf)
	d.buf = d.buf[:0]
}

func (d *digest) sum(rows int) (sum [32]byte) {
	d.flush()
	d.h.Write(binary.BigEndian.AppendUint64(nil, uint64(rows)))
	d.h.Sum(sum[:0])
	return sum
}
