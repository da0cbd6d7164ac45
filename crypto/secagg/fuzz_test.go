package secagg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// What parses re-encodes to the same bytes, and every refusal is this package's
// own error. An input can't make a parser allocate: sizes are those of the
// parameters or fixed, and are compared before anything is made.

func FuzzPayload(f *testing.F) {
	p := mustParams(f, 100, 16, 1, 1, 70*4-1)
	seats, _ := committee(f, 1)
	ctx := context("fuzz")
	up, err := Encrypt(p, ctx, Member{}, seats, randomLanes(p, 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(up.Payload)
	f.Add(up.Payload[:payloadHeaderBytes])
	f.Add([]byte{})
	header := p.payloadHeader(ctx)
	f.Add(append(header[:], bytes.Repeat([]byte{0}, residueBytes(p.coeffs))...))
	f.Add(append(header[:], bytes.Repeat([]byte{0xff}, residueBytes(p.coeffs))...))
	huge := bytes.Clone(up.Payload)
	binary.BigEndian.PutUint32(huge[8:], 1<<32-1)
	binary.BigEndian.PutUint32(huge[12:], 1<<32-1)
	f.Add(huge)
	acc := NewAccumulator(p, ctx)
	f.Fuzz(func(t *testing.T, b []byte) {
		clear(acc.sums[0])
		clear(acc.sums[1])
		acc.count = 0
		errAdd := acc.Add(b)
		if errAdd != nil {
			if !errors.Is(errAdd, ErrMalformed) {
				t.Fatalf("foreign error %v", errAdd)
			}
			for i := range acc.sums[0] {
				if acc.sums[0][i]|acc.sums[1][i] != 0 {
					t.Fatal("a refused payload changed the sum")
				}
			}
		} else {
			out := append([]byte(nil), header[:]...)
			out = append(out, make([]byte, residueBytes(p.coeffs))...)
			packResidues(out[payloadHeaderBytes:], acc.sums[0], acc.sums[1])
			if !bytes.Equal(out, b) {
				t.Fatal("another payload has the same meaning")
			}
		}
		acc.count = 0
		if errRead := acc.AddReader(bytes.NewReader(b)); (errRead == nil) != (errAdd == nil) {
			t.Fatalf("Add says %v, AddReader says %v", errAdd, errRead)
		}
	})
}

func FuzzShareSum(f *testing.F) {
	s := Share{Context{}, 1, &vector{1, 2, 65536}}
	good := SumShares([]Share{s, s, s}).Bytes()
	f.Add(good)
	f.Add(good[:8])
	f.Add([]byte(nil))
	f.Add(bytes.Repeat([]byte{0xff}, ShareSumBytes))
	f.Add(append(bytes.Clone(good[:8]), bytes.Repeat([]byte{0xff}, vectorBytes)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		sum, err := ParseShareSum(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		if !bytes.Equal(sum.Bytes(), b) {
			t.Fatal("another encoding has the same meaning")
		}
		for i, e := range sum.values {
			if e >= fieldPrime {
				t.Fatalf("element %d is %d", i, e)
			}
		}
	})
}

// A sealed share that was changed anywhere doesn't open: the fuzzer is given the
// key and would need to break HPKE, so only the original bytes may pass.
func FuzzSealedShare(f *testing.F) {
	seats, keys := committee(f, 1)
	p := mustParams(f, 3, 8, 1, 1, 10)
	up, err := Encrypt(p, Context{}, Member{}, seats, constantLanes(p, 1))
	if err != nil {
		f.Fatal(err)
	}
	good := up.Shares[0]
	f.Add(good)
	f.Add(good[:headerBytes])
	f.Add([]byte(nil))
	f.Add(append(bytes.Clone(good[:headerBytes]), make([]byte, SealedShareBytes-headerBytes)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		share, err := keys[0].OpenShare(Context{}, Member{}, seats[0].Member, 1, b)
		switch {
		case err == nil && !bytes.Equal(b, good):
			t.Fatalf("a forged share %v opens", share)
		case err == nil:
		case !errors.Is(err, ErrUnseal) && !errors.Is(err, ErrMalformed):
			t.Fatalf("foreign error %v", err)
		case len(b) != SealedShareBytes && !errors.Is(err, ErrMalformed):
			t.Fatalf("%d bytes: %v", len(b), err)
		}
	})
}

// The plaintext of a sealed share, behind the seal.
func FuzzShareVector(f *testing.F) {
	b := make([]byte, vectorBytes)
	(&vector{65536, 1}).pack(b)
	f.Add(b)
	f.Add(bytes.Repeat([]byte{0xff}, vectorBytes))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var v vector
		if err := v.unpack(b); err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		again := make([]byte, vectorBytes)
		if v.pack(again); !bytes.Equal(again, b) {
			t.Fatal("another encoding has the same meaning")
		}
	})
}

func FuzzSeatPublicKey(f *testing.F) {
	k, err := GenerateSeatKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.Public())
	f.Add(k.Public()[:headerBytes])
	f.Add(bytes.Repeat([]byte{0xff}, SeatPublicKeyBytes))
	f.Add(zeroX25519(k.Public()))
	f.Fuzz(func(t *testing.T, b []byte) {
		public, err := parseSeatPublicKey(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		if again := append(kindSeatPublicKey.header(nil), public.Bytes()...); !bytes.Equal(again, b) {
			t.Fatal("another encoding has the same meaning")
		}
		if err := CheckSeatPublicKey(b); err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("foreign error %v", err)
		}
	})
}

func FuzzSeatKey(f *testing.F) {
	k, err := GenerateSeatKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(k.Bytes())
	f.Add(k.Public())
	f.Add([]byte("TSk\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseSeatKey(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		if !bytes.Equal(k.Bytes(), b) {
			t.Fatal("another encoding has the same meaning")
		}
	})
}
