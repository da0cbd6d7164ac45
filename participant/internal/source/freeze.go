package source

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"

	"tributary/protocol/jobspec"
)

// folds gives each key its tenth and its number.
type folds struct {
	mac     hash.Hash
	buf     []byte
	sum     []byte
	numbers map[[16]byte]int32 // by a part of the HMAC: keys themselves aren't kept
}

func newFolds(secret [32]byte) *folds {
	return &folds{mac: hmac.New(sha256.New, secret[:]), numbers: map[[16]byte]int32{}}
}

// of takes the key's tag, and what its user is known by: the 16 bytes of the HMAC that follow the tag.
func (f *folds) of(key string) (tag uint64, id [16]byte) {
	tag = f.tag(key)
	return tag, [16]byte(f.sum[8:24])
}

// number is a user's number, from 0 in the order of first rows.
func (f *folds) number(id [16]byte) int32 {
	user, ok := f.numbers[id]
	if !ok {
		user = int32(len(f.numbers))
		f.numbers[id] = user
	}
	return user
}

// tag returns the first 8 bytes, big-endian, of HMAC-SHA256(secret, key), or of
// HMAC-SHA256(secret, key ‖ 0 ‖ item) where an item is given.
func (f *folds) tag(key string, item ...string) uint64 {
	f.mac.Reset()
	f.buf = append(f.buf[:0], key...)
	for _, s := range item {
		f.buf = append(append(f.buf, 0), s...)
	}
	f.mac.Write(f.buf)
	f.sum = f.mac.Sum(f.sum[:0])
	return binary.BigEndian.Uint64(f.sum)
}

// tenth returns the tag modulo 10; the bias is below 2⁻⁶⁰.
func (f *folds) tenth(key string, item ...string) uint8 { return uint8(f.tag(key, item...) % 10) }

// digest hashes rows of fixed width, which the contract's digest determines.
type digest struct {
	h   hash.Hash
	buf []byte
}

func newDigest(c *jobspec.Contract, customers *Customers) *digest {
	d := &digest{h: sha256.New(), buf: make([]byte, 0, 64<<10)}
	d.h.Write([]byte("tributary/v1/source-rows"))
	contract := c.Digest()
	d.h.Write(contract[:])
	if customers != nil {
		made := sha256.Sum256(customers.canonical())
		d.h.Write([]byte("tributary/v1/source-customers"))
		d.h.Write(made[:])
	}
	return d
}

// row starts a row; a label's code fits a byte.
func (d *digest) row(label int32, tenth uint8) {
	if len(d.buf) >= 32<<10 {
		d.flush()
	}
	d.buf = append(d.buf, byte(label), tenth)
}

// key hashes whose a row is, where the contract has no label.
func (d *digest) key(tag uint64) { d.buf = binary.BigEndian.AppendUint64(d.buf, tag) }

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
