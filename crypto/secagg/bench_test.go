package secagg

import (
	"errors"
	"runtime"
	"testing"

	"github.com/tuneinsight/lattigo/v5/core/rlwe"
	"github.com/tuneinsight/lattigo/v5/schemes/bgv"
)

// The reference size: 10⁶ values of 16 bits, up to 100 contributors, 5 of 7.
const benchLanes = 1_000_000

func benchParams(b *testing.B) Params { return mustParams(b, 100, 16, 5, 7, benchLanes) }

func reportPayload(b *testing.B, bytes int) {
	b.ReportMetric(float64(bytes)/1e6, "MB/payload")
	b.ReportMetric(float64(bytes)/(4*benchLanes), "×float32")
}

func BenchmarkEncrypt(b *testing.B) {
	p := benchParams(b)
	seats, _ := committee(b, p.Seats())
	lanes := randomLanes(p, 1)
	rlweRing()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Encrypt(p, context("bench"), member("a"), seats, lanes); err != nil {
			b.Fatal(err)
		}
	}
	reportPayload(b, p.PayloadBytes())
}

// BenchmarkAdd decodes, checks and adds one payload. Allocations per payload are
// zero, so that they are flat in the number of participants.
func BenchmarkAdd(b *testing.B) {
	p := benchParams(b)
	seats, _ := committee(b, p.Seats())
	up, err := Encrypt(p, context("bench"), member("a"), seats, randomLanes(p, 1))
	if err != nil {
		b.Fatal(err)
	}
	acc := NewAccumulator(p, context("bench"))
	b.ReportAllocs()
	for b.Loop() {
		acc.count = 0
		if err := acc.Add(up.Payload); err != nil {
			b.Fatal(err)
		}
	}
	reportPayload(b, p.PayloadBytes())
}

// BenchmarkOpen opens a sum of 100 contributions with 6 of 7 replies.
func BenchmarkOpen(b *testing.B) {
	p := benchParams(b)
	r := newRound(b, p)
	for i := range 100 {
		r.contribute(randomLanes(p, uint64(i)))
	}
	r.uploads = nil
	runtime.GC()
	replies := r.replies(1, 2, 4, 5, 6, 7)
	b.ReportAllocs()
	for b.Loop() {
		acc := *r.acc // a fresh one-shot value over the same sums
		if _, err := acc.Open(replies); err != nil {
			b.Fatal(err)
		}
	}
	reportPayload(b, p.PayloadBytes())
}

// BenchmarkOpenShare is a seat's work per contributor.
func BenchmarkOpenShare(b *testing.B) {
	p := mustParams(b, 100, 16, 5, 7, 100)
	r := newRound(b, p)
	up := r.contribute(randomLanes(p, 1))
	sender := member("sender 0")
	for b.Loop() {
		if _, err := r.keys[0].OpenShare(r.ctx, sender, r.seats[0].Member, 1, up.Shares[0]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlainBGV encrypts the same 10⁶ values with lattigo's BGV under one
// public key, at the smallest parameters that hold them: sums of 100 16-bit
// values need a 23-bit plaintext modulus, its noise (2^24·σ·√(4N/3)·√100·6 <
// 2^39) fits one 53-bit prime, and N = 2048 at 53 bits has the same ≥ 128-bit
// security as N = 4096 at 104. Bytes are lattigo's own encoding, 64-bit words;
// packed to 53 bits they would be 17 % fewer.
func BenchmarkPlainBGV(b *testing.B) {
	params, err := bgv.NewParametersFromLiteral(bgv.ParametersLiteral{
		LogN: 11, LogQ: []int{53}, PlaintextModulus: 16760833, // 24 bits, prime, ≡ 1 mod 4096
	})
	if err != nil {
		b.Fatal(err)
	}
	sk, pk := rlwe.NewKeyGenerator(params).GenKeyPairNew()
	enc := rlwe.NewEncryptor(params, pk)
	ecd := bgv.NewEncoder(params)
	values := make([]uint64, params.MaxSlots())
	for i := range values {
		values[i] = uint64(i*7919) & 0xffff
	}
	pt, ct := bgv.NewPlaintext(params, 0), bgv.NewCiphertext(params, 1, 0)
	count := (benchLanes + len(values) - 1) / len(values)

	// The parameters do hold the sum of 100 contributions.
	sum, eval := bgv.NewCiphertext(params, 1, 0), bgv.NewEvaluator(params, nil)
	for range 100 {
		if err := errors.Join(ecd.Encode(values, pt), enc.Encrypt(pt, ct), eval.Add(sum, ct, sum)); err != nil {
			b.Fatal(err)
		}
	}
	got := make([]uint64, len(values))
	if err := ecd.Decode(rlwe.NewDecryptor(params, sk).DecryptNew(sum), got); err != nil {
		b.Fatal(err)
	}
	for i, v := range got {
		if v != 100*values[i] {
			b.Fatalf("slot %d opens to %d, want %d", i, v, 100*values[i])
		}
	}
	for b.Loop() {
		for range count {
			if err := ecd.Encode(values, pt); err != nil {
				b.Fatal(err)
			}
			if err := enc.Encrypt(pt, ct); err != nil {
				b.Fatal(err)
			}
		}
	}
	reportPayload(b, count*ct.BinarySize())
}
