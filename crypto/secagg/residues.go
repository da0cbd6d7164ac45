package secagg

import "encoding/binary"

// A coefficient is sent as 105 bits: 53 for its residue modulo prime0, then 52
// for prime1, bits numbered from the low end of each byte. Eight coefficients
// fill 105 bytes; the unused high bits of the last byte are zero.

const groupBytes = 105 // of 8 coefficients

// residueBytes returns ⌈105·n/8⌉.
func residueBytes(n int) int { return (n*groupBytes + 7) / 8 }

// packGroup writes eight coefficients.
func packGroup(dst *[groupBytes]byte, r0, r1 *[8]uint64) {
	var w [16]uint64 // 840 bits, and room for the last carry
	for i := range 8 {
		lo := r0[i] | r1[i]<<53
		hi := r1[i] >> 11
		at, s := 105*i>>6, uint(105*i&63)
		w[at&15] |= lo << s
		w[(at+1)&15] |= lo>>(64-s) | hi<<s // Go: a shift by 64 gives 0
		w[(at+2)&15] |= hi >> (64 - s)
	}
	for i := range 13 {
		binary.LittleEndian.PutUint64(dst[8*i:], w[i])
	}
	dst[104] = byte(w[13])
}

// unpackGroup reads eight coefficients. Coefficient i starts at bit i of byte
// 13·i; eight bytes from there hold r0, and eight from where r1 starts hold r1,
// except for the last, which is read up to the end of the group.
func unpackGroup(src *[groupBytes]byte, r0, r1 *[8]uint64) {
	const mask0, mask1 = 1<<53 - 1, 1<<52 - 1
	le := binary.LittleEndian
	r0[0] = le.Uint64(src[0:]) & mask0
	r0[1] = le.Uint64(src[13:]) >> 1 & mask0
	r0[2] = le.Uint64(src[26:]) >> 2 & mask0
	r0[3] = le.Uint64(src[39:]) >> 3 & mask0
	r0[4] = le.Uint64(src[52:]) >> 4 & mask0
	r0[5] = le.Uint64(src[65:]) >> 5 & mask0
	r0[6] = le.Uint64(src[78:]) >> 6 & mask0
	r0[7] = le.Uint64(src[91:]) >> 7 & mask0
	r1[0] = le.Uint64(src[6:]) >> 5 & mask1
	r1[1] = le.Uint64(src[19:]) >> 6 & mask1
	r1[2] = le.Uint64(src[32:]) >> 7 & mask1
	r1[3] = le.Uint64(src[46:]) & mask1
	r1[4] = le.Uint64(src[59:]) >> 1 & mask1
	r1[5] = le.Uint64(src[72:]) >> 2 & mask1
	r1[6] = le.Uint64(src[85:]) >> 3 & mask1
	r1[7] = le.Uint64(src[97:]) >> 12
}

// packResidues writes len(r0) coefficients to dst, of residueBytes(len(r0))
// bytes.
func packResidues(dst []byte, r0, r1 []uint64) {
	r1 = r1[:len(r0)]
	for len(r0) >= 8 {
		packGroup((*[groupBytes]byte)(dst), (*[8]uint64)(r0), (*[8]uint64)(r1))
		dst, r0, r1 = dst[groupBytes:], r0[8:], r1[8:]
	}
	if len(r0) > 0 {
		var last [groupBytes]byte
		var g0, g1 [8]uint64
		copy(g0[:], r0)
		copy(g1[:], r1)
		packGroup(&last, &g0, &g1)
		copy(dst, last[:])
	}
}

// lastGroup copies an incomplete group, with zeros behind it.
func lastGroup(src []byte) *[groupBytes]byte {
	var last [groupBytes]byte
	copy(last[:], src)
	return &last
}

// residuesCanonical reports whether src, of residueBytes(n) bytes, holds n
// coefficients below the primes and nothing but zero bits after them.
func residuesCanonical(src []byte, n int) bool {
	var r0, r1 [8]uint64
	// (q−1−x)>>63 is 1 exactly if x ≥ q, for x < 2^63.
	var bad uint64
	for ; n >= 8; n -= 8 {
		unpackGroup((*[groupBytes]byte)(src), &r0, &r1)
		for i := range 8 {
			bad |= (prime0 - 1 - r0[i]) | (prime1 - 1 - r1[i])
		}
		src = src[groupBytes:]
	}
	if n > 0 {
		unpackGroup(lastGroup(src), &r0, &r1)
		for i := range 8 {
			bad |= (prime0 - 1 - r0[i]) | (prime1 - 1 - r1[i])
			if i >= n && r0[i]|r1[i] != 0 {
				return false
			}
		}
	}
	return bad>>63 == 0
}

// addResidues adds canonical coefficients to sums that are below the primes.
func addResidues(s0, s1 []uint64, src []byte) {
	var r0, r1 [8]uint64
	s1 = s1[:len(s0)]
	for len(s0) >= 8 {
		unpackGroup((*[groupBytes]byte)(src), &r0, &r1)
		g0, g1 := (*[8]uint64)(s0), (*[8]uint64)(s1)
		for i := range 8 {
			g0[i] = subtractOnce(g0[i]+r0[i], prime0)
			g1[i] = subtractOnce(g1[i]+r1[i], prime1)
		}
		src, s0, s1 = src[groupBytes:], s0[8:], s1[8:]
	}
	if len(s0) > 0 {
		unpackGroup(lastGroup(src), &r0, &r1)
		for i := range s0 {
			s0[i] = subtractOnce(s0[i]+r0[i], prime0)
			s1[i] = subtractOnce(s1[i]+r1[i], prime1)
		}
	}
}
