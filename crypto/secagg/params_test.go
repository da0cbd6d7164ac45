package secagg

import (
	"errors"
	"math/big"
	"strings"
	"testing"
)

var bigQ = new(big.Int).Mul(big.NewInt(prime0), big.NewInt(prime1))

func pow2(n int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(n)) }

// Every pair (n, b) is tried: the bounds of design §4 hold in big integers.
// Reference: §4.
func TestNoSumOverflowsForAnyContributorsAndBits(t *testing.T) {
	for n := 1; n <= MaxContributors; n++ {
		for b := MinBits; b <= MaxBits; b++ {
			p := mustParams(t, n, b, 1, 1, 1)
			laneMax := new(big.Int).Mul(big.NewInt(int64(n)), new(big.Int).Sub(pow2(b), big.NewInt(1)))
			if laneMax.Cmp(pow2(p.SumBits())) >= 0 || laneMax.Cmp(pow2(p.SumBits()-1)) < 0 {
				t.Fatalf("n=%d b=%d: %d bits don't fit a lane sum exactly", n, b, p.SumBits())
			}
			if 2*n*noiseBound+1 > 1<<p.ErrorBits() || p.ErrorBits() < 12 {
				t.Fatalf("n=%d: %d bits don't fit the errors", n, p.ErrorBits())
			}
			if p.ErrorBits() > 12 && 2*n*noiseBound+1 <= 1<<(p.ErrorBits()-1) {
				t.Fatalf("n=%d: %d bits for the errors are too many", n, p.ErrorBits())
			}
			if total := p.Lanes()*p.SumBits() + p.ErrorBits(); p.Lanes() < 1 || pow2(total).Cmp(bigQ) > 0 {
				t.Fatalf("n=%d b=%d: %d lanes don't fit Q", n, b, p.Lanes())
			} else if pow2(total+p.SumBits()).Cmp(bigQ) <= 0 {
				t.Fatalf("n=%d b=%d: one more lane fits", n, b)
			}
			if 2*noiseBound*n >= fieldPrime {
				t.Fatalf("n=%d: the sign of a key sum is ambiguous", n)
			}
		}
	}
}

func TestReferencePayloadIs3Point28MB(t *testing.T) {
	p := mustParams(t, 100, 16, 5, 7, 1_000_000)
	got := [...]int{p.SumBits(), p.ErrorBits(), p.Lanes(), p.Coefficients(), p.PayloadBytes()}
	if want := [...]int{23, 12, 4, 250_000, 48 + 3_281_250}; got != want {
		t.Fatalf("sum bits, error bits, lanes, coefficients, bytes = %v, want %v", got, want)
	}
}

func TestShortPayloadHas64Coefficients(t *testing.T) {
	p := mustParams(t, 100, 16, 5, 7, 1)
	if p.Coefficients() != 64 || p.PayloadBytes() != 48+840 {
		t.Fatalf("%d coefficients, %d bytes", p.Coefficients(), p.PayloadBytes())
	}
}

func TestNoTrailingZeroCoefficientIsSent(t *testing.T) {
	for _, lanes := range []int{257, 16384, 16385, 20001} {
		p := mustParams(t, 100, 16, 5, 7, lanes)
		if want := (lanes + 3) / 4; p.Coefficients() != want {
			t.Errorf("%d lanes: %d coefficients, want %d", lanes, p.Coefficients(), want)
		}
	}
}

func TestInvalidParametersAreRefusedByName(t *testing.T) {
	good := Options{Contributors: 4, Bits: 16, Threshold: 3, Seats: 4, Segments: []Segment{{"a", 8, 1, 1}}}
	for _, c := range []struct {
		field string
		edit  func(*Options)
	}{
		{"Contributors is 0", func(o *Options) { o.Contributors = 0 }},
		{"Contributors is 1639", func(o *Options) { o.Contributors = MaxContributors + 1 }},
		{"Bits is 7", func(o *Options) { o.Bits = 7 }},
		{"Bits is 41", func(o *Options) { o.Bits = 41 }},
		{"Threshold is 0", func(o *Options) { o.Threshold = 0 }},
		{"Threshold is 5", func(o *Options) { o.Threshold = 5 }},
		{"Seats is 0", func(o *Options) { o.Seats = 0 }},
		{"Seats is 65", func(o *Options) { o.Seats = 65 }},
		{"Segments is empty", func(o *Options) { o.Segments = nil }},
		{"Segments is empty", func(o *Options) { o.Segments[0].Length = 0 }},
		{"Segments[0].Length is -1", func(o *Options) { o.Segments[0].Length = -1 }},
		{"Segments[0].Length is 9223372036854775807", func(o *Options) { o.Segments[0].Length = 1<<63 - 1 }},
		{"Segments[1].Length is 83886080", func(o *Options) {
			o.Segments = append(o.Segments, Segment{"b", 5 * MaxCoefficients, 1, 1})
		}},
		{"Segments[0].Name is \"\"", func(o *Options) { o.Segments[0].Name = "" }},
		{"Segments[1].Name is \"a\"", func(o *Options) { o.Segments = append(o.Segments, o.Segments[0]) }},
		{"Segments[0].ScaleNum is 0", func(o *Options) { o.Segments[0].ScaleNum = 0 }},
		{"Segments[0].ScaleDen is 0", func(o *Options) { o.Segments[0].ScaleDen = 0 }},
	} {
		o := good
		o.Segments = append([]Segment(nil), good.Segments...)
		c.edit(&o)
		_, err := NewParams(o)
		var pe *ParamError
		if !errors.Is(err, ErrParams) || !errors.As(err, &pe) || !strings.Contains(err.Error(), c.field) || !strings.Contains(err.Error(), "hint: ") {
			t.Errorf("want %q, got %v", c.field, err)
		}
	}
	if _, err := NewParams(good); err != nil {
		t.Fatal(err)
	}
}

func TestZeroParamsAreRefusedEverywhere(t *testing.T) {
	var p Params
	if _, err := p.Quantise(nil); !errors.Is(err, ErrParams) {
		t.Errorf("Quantise: %v", err)
	}
	if _, err := Encrypt(p, Context{}, Member{}, nil, nil); !errors.Is(err, ErrParams) {
		t.Errorf("Encrypt: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("NewAccumulator accepted the zero Params")
		}
	}()
	NewAccumulator(p, Context{})
}

func TestParamsDontShareTheCallersSegments(t *testing.T) {
	s := []Segment{{"a", 8, 1, 1}}
	p, err := NewParams(Options{Contributors: 1, Bits: 8, Threshold: 1, Seats: 1, Segments: s})
	if err != nil {
		t.Fatal(err)
	}
	s[0].Name = "changed"
	p.Segments()[0].Name = "changed"
	if p.Segments()[0].Name != "a" {
		t.Fatal("Params changed")
	}
}

// A random error coefficient is accepted with probability (2·bound+1)/2^ℓ; 64 of
// them must pass together.
func TestAccidentalKeySumIsAcceptedBelow2ToMinus165(t *testing.T) {
	limit := new(big.Rat).SetFrac(big.NewInt(1), pow2(165))
	for n := 1; n <= MaxContributors; n++ {
		p := mustParams(t, n, 16, 1, 1, 1)
		one := big.NewRat(2*acceptBound(n)+1, 1<<p.ErrorBits())
		all := big.NewRat(1, 1)
		for range minCoefficients {
			all.Mul(all, one)
		}
		if all.Cmp(limit) >= 0 {
			f, _ := one.Float64()
			t.Fatalf("n=%d: one coefficient passes with probability %v", n, f)
		}
		if b := acceptBound(n); b*b > 1024*int64(n) || (b+1)*(b+1) <= 1024*int64(n) && b != 20*int64(n) {
			t.Fatalf("acceptBound(%d) = %d", n, b)
		}
	}
}
