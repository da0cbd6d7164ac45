package dp

import (
	"errors"
	"math/big"
	"testing"
)

func TestRationalsAreReadExactly(t *testing.T) {
	for text, want := range map[string]Rational{
		"0": {0, 1}, "1": {1, 1}, "1.0": {1, 1}, "0.3": {3, 10}, "1e-5": {1, 100000}, "2.5e2": {250, 1}, "3/7": {3, 7}, "6/14": {3, 7},
		"18446744073709551615": {1<<64 - 1, 1}, "010": {10, 1}, "1e-19": {1, 1e19},
	} {
		if got, err := ParseRational(text); err != nil || got != want {
			t.Errorf("%q = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "+1", " 1", "1 ", ".5", "5.", "1e", "1e-", "1e+5", "1e100", "0x1", "1/0", "/2", "1/", "1/2/3", "NaN", "Inf", "1_0", "18446744073709551616", "1e-20", "٣"} {
		if got, err := ParseRational(text); !errors.Is(err, ErrRational) {
			t.Errorf("%q = %v, %v", text, got, err)
		}
	}
}

// What parses is in lowest terms and reads back from its own text; every failure is ErrRational.
func FuzzParseRational(f *testing.F) {
	for _, s := range []string{"1", "0.25", "1e-5", "3/7", "1e", "007", "9.99e99"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRational(s)
		if err != nil {
			if !errors.Is(err, ErrRational) {
				t.Fatalf("foreign error %v", err)
			}
			return
		}
		again, err := ParseRational(r.String())
		if err != nil || again != r || gcd(r.Num(), r.Den()) != 1 {
			t.Fatalf("%q → %v → %v, %v", s, r, again, err)
		}
		if want, ok := new(big.Rat).SetString(s); !ok || want.Cmp(r.Rat()) != 0 {
			t.Fatalf("%q = %s, big.Rat reads %v", s, r, want)
		}
		if r.Cmp(again) != 0 {
			t.Fatal("not equal to itself")
		}
	})
}
