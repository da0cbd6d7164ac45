package attack

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"tributary/crypto/secagg"
)

// The payload's public format (SPEC.md, 6.4): a header, then for each coefficient
// its residues of 53 and 52 bits, packed from the low end of each byte.
const (
	payloadHeader = 48
	prime0        = 0x10000000060001 // just above 2^52
	prime1        = 0xffffffffca001  // just below 2^52
)

// coefficient is one coefficient of a payload.
type coefficient struct{ r0, r1 uint64 }

// coefficients unpacks a payload.
func coefficients(payload []byte, n int) []coefficient {
	body := append(bytes.Clone(payload[payloadHeader:]), make([]byte, 16)...)
	take := func(at, width int) uint64 {
		low, high := binary.LittleEndian.Uint64(body[at/8:]), binary.LittleEndian.Uint64(body[at/8+8:])
		shift := uint(at % 8)
		return (low>>shift | high<<(64-shift)) & (1<<width - 1)
	}
	out := make([]coefficient, n)
	for i := range out {
		out[i] = coefficient{take(105*i, 53), take(105*i+53, 52)}
	}
	return out
}

// lift returns the integer below prime0·prime1 with these residues.
func (c coefficient) lift() (hi, lo uint64) {
	difference := c.r1 + prime1 - c.r0%prime1
	hi, lo = bits.Mul64(difference%prime1, inverse)
	_, factor := bits.Div64(hi, lo, prime1)
	hi, lo = bits.Mul64(factor, prime0)
	lo, carry := bits.Add64(lo, c.r0, 0)
	return hi + carry, lo
}

// inverse is prime0⁻¹ modulo prime1.
const inverse = 0x4b17c962ecbf3

// asIfClear reads the lanes of a payload's coefficients as if there were no key,
// as signed numbers of a sum's width.
func asIfClear(p secagg.Params, list []coefficient) []float64 {
	width, l := uint(p.SumBits()), uint(p.ErrorBits())
	var out []float64
	for _, c := range list {
		hi, lo := c.lift()
		hi, lo = hi>>l, lo>>l|hi<<(64-l)
		for range p.Lanes() {
			v := int64(lo) - 1<<(p.Bits()-1)
			out = append(out, float64(v<<(64-width)>>(64-width)))
			hi, lo = hi>>width, lo>>width|hi<<(64-width)
		}
	}
	return out[:p.Length()]
}

// inClear is the payload's coefficients of these lanes without a key: message and error only.
func inClear(p secagg.Params, lanes []int64, random *rand.Rand) []coefficient {
	out := make([]coefficient, p.Coefficients())
	for i := range out {
		var hi, lo uint64
		width, l := uint(p.SumBits()), uint(p.ErrorBits())
		for k := p.Lanes() - 1; k >= 0; k-- {
			hi, lo = hi<<width|lo>>(64-width), lo<<width
			if at := i*p.Lanes() + k; at < len(lanes) {
				lo |= uint64(lanes[at] + 1<<(p.Bits()-1))
			}
		}
		hi, lo = hi<<l|lo>>(64-l), lo<<l
		lo, carry := bits.Add64(lo, uint64(20+3.2*random.NormFloat64()), 0)
		hi += carry
		_, out[i].r0 = bits.Div64(hi, lo, prime0)
		_, out[i].r1 = bits.Div64(hi, lo, prime1)
	}
	return out
}

// views are the bytes of a coefficient whose distribution is tested. They are
// uniform up to 2^-32 if the residues are: both primes are that close to 2^52, and
// their product to 2^104.
const views = 13

func (c coefficient) views() (v [views]byte) {
	for i := range 6 { // the low 48 bits of each residue
		v[i], v[6+i] = byte(c.r0>>(8*i)), byte(c.r1>>(8*i))
	}
	hi, _ := c.lift()
	v[12] = byte(hi >> 24) // bits 88 to 95: the highest of the last lane, in the layout of the test
	return v
}

// population gathers payloads of one input.
type population struct {
	counts [views][256]float64
	mean   []float64 // of each coefficient's highest byte and of the residues' high bytes, over the payloads trained with
	tested [][]float64
}

func (q *population) add(list []coefficient, train bool) {
	row := make([]float64, 0, 3*len(list))
	for _, c := range list {
		v := c.views()
		for i, b := range v {
			q.counts[i][b]++
		}
		row = append(row, float64(v[5]), float64(v[11]), float64(v[12]))
	}
	if !train {
		q.tested = append(q.tested, row)
		return
	}
	if q.mean == nil {
		q.mean = make([]float64, len(row))
	}
	for i, v := range row {
		q.mean[i] += v
	}
}

// uniform returns the smallest p of the χ² tests of one population's bytes.
func (q *population) uniform() float64 {
	least := 1.0
	for _, counts := range q.counts {
		total, x := 0.0, 0.0
		for _, n := range counts {
			total += n
		}
		for _, n := range counts {
			x += (n - total/256) * (n - total/256) / (total / 256)
		}
		_, p := chiSquaredTails(255, x)
		least = min(least, p)
	}
	return least
}

// apart returns the smallest p of the χ² tests that two populations of one size have the same bytes.
func (q *population) apart(other *population) float64 {
	least := 1.0
	for i := range q.counts {
		x := 0.0
		for b, n := range q.counts[i] {
			if m := other.counts[i][b]; n+m > 0 {
				x += (n - m) * (n - m) / (n + m)
			}
		}
		_, p := chiSquaredTails(255, x)
		least = min(least, p)
	}
	return least
}

// told returns how many of the payloads not trained with are nearer to their own
// population's mean than to the other's, and how many there are.
func (q *population) told(other *population, trained float64) (right, n int) {
	for _, side := range [2][2]*population{{q, other}, {other, q}} {
		for _, row := range side[0].tested {
			own, far := 0.0, 0.0
			for i, v := range row {
				own += math.Pow(v-side[0].mean[i]/trained, 2)
				far += math.Pow(v-side[1].mean[i]/trained, 2)
			}
			if n++; own < far {
				right++
			}
		}
	}
	return right, n
}

// Payloads of zeros, of the largest lanes and of a single non-zero lane, 200 of
// each under fresh keys and in one context, where public polynomials are the same:
// their bytes are uniform, and of one distribution; length and header are the
// same; and who learns from half of them which is which guesses the other half no
// better than a coin. The same tests tell the inputs at once if there is no key.
//
// False alarms: 39 tests of uniformity and 39 of pairs at 10⁻⁸, three of guesses
// at 10⁻⁶: 4·10⁻⁶ together.
func TestSealedPayloadLooksUniform(t *testing.T) {
	const payloads, length = 200, 4096
	c := newCohort(t, 1, 1)
	p, ctx := c.round(t, 40, length)
	random := rand.New(rand.NewPCG(4, 10))
	inputs := [3][]int64{make([]int64, length), make([]int64, length), make([]int64, length)}
	for i := range length {
		inputs[1][i] = 1<<39 - 1
	}
	inputs[2][length/2] = 1
	names := [3]string{"zeros", "largest", "single"}
	var sealed, bare [3]population
	var first []byte
	for i := range payloads {
		for k, lanes := range inputs {
			payload := c.seal(t, p, ctx, 3*i+k, lanes).Payload
			if first == nil {
				first = payload
			}
			if len(payload) != len(first) || !bytes.Equal(payload[:payloadHeader], first[:payloadHeader]) {
				t.Fatalf("%s: the length or the header tells of the lanes", names[k])
			}
			sealed[k].add(coefficients(payload, p.Coefficients()), i < payloads/2)
			bare[k].add(inClear(p, lanes, random), i < payloads/2)
		}
	}
	const test, coin = 1e-8, 1e-6
	for k := range inputs {
		u := sealed[k].uniform()
		t.Logf("%s: least p of 13 bytes' uniformity %.2g", names[k], u)
		if u < test {
			t.Errorf("payloads of %s aren't uniform: p = %.2g", names[k], u)
		}
		if u := bare[k].uniform(); u > test {
			t.Errorf("the test of uniformity is blind: without a key p = %.2g", u)
		}
		other := (k + 1) % len(inputs)
		apart := sealed[k].apart(&sealed[other])
		right, n := sealed[k].told(&sealed[other], payloads/2)
		t.Logf("%s and %s: least p of a difference %.2g; %d of %d told rightly (alarm at %d)", names[k], names[other], apart, right, n, mostHits(n, 0.5, coin))
		if apart < test || right >= mostHits(n, 0.5, coin) {
			t.Errorf("payloads of %s and %s differ: p = %.2g, %d of %d told rightly", names[k], names[other], apart, right, n)
		}
	}
	right, n := bare[0].told(&bare[1], payloads/2)
	if right < n || bare[0].apart(&bare[1]) > test {
		t.Errorf("the distinguisher is blind: without a key %d of %d told rightly", right, n)
	}
}

// What the attacks read off a payload without a key are the lanes that it was made of.
func TestAPayloadWithoutAKeyReadsAsItsLanes(t *testing.T) {
	p, _ := newCohort(t, 1, 1).round(t, 40, 777)
	random := rand.New(rand.NewPCG(6, 11))
	lanes := make([]int64, 777)
	for i := range lanes {
		lanes[i] = random.Int64N(1<<40) - 1<<39
	}
	lanes[0], lanes[1] = -1<<39, 1<<39-1
	for i, v := range asIfClear(p, inClear(p, lanes, random)) {
		if v != float64(lanes[i]) {
			t.Fatalf("lane %d: %g, want %d", i, v, lanes[i])
		}
	}
}
