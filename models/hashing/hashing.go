// Package hashing numbers what nobody lists: the values of an open category, and the cells of a large cross. A number is a public
// function of the column's name and the value (SPEC §13): every participant, and every reader of a model, gets the same without
// having shown anyone a value. It is no secret: who guesses a value can compute its bucket. Different values may share one.
package hashing

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/zeebo/xxh3"
)

// Bounds of the number of buckets, a power of two.
const (
	MinBuckets = 2
	MaxBuckets = 1 << 18
)

// Function maps the values of one column to buckets.
type Function struct{ seed, mask uint64 }

// New is the function of a column, or of a cross by its name. Buckets must be a power of two within the bounds, see Valid.
func New(column string, buckets int) Function {
	return Function{xxh3.HashString(column), uint64(buckets) - 1}
}

// Valid tells whether there can be so many buckets.
func Valid(buckets int) bool {
	return buckets >= MinBuckets && buckets <= MaxBuckets && buckets&(buckets-1) == 0
}

// Text is the bucket of a value: of its bytes, without white space around it, which the caller has cut off.
func (f Function) Text(value string) int32 {
	return int32(xxh3.HashStringSeed(value, f.seed) & f.mask)
}

// Codes is the bucket of a cross's cell.
func (f Function) Codes(codes []int64) int32 {
	var buf [32]byte // more are allocated
	b := buf[:0]
	for _, c := range codes {
		b = binary.BigEndian.AppendUint32(b, uint32(c))
	}
	return int32(xxh3.HashSeed(b, f.seed) & f.mask)
}

// Hashable tells whether a text is a value: text in another encoding than UTF-8 has other buckets at other participants.
func Hashable(value string) bool { return value != "" && utf8.ValidString(value) }
