package hashing

import (
	"fmt"
	"testing"
)

// The vectors of SPEC §13, computed by another implementation of XXH3 (python-xxhash 3).
func TestVectorsOfTheSpecification(t *testing.T) {
	for _, c := range []struct {
		column, value string
		buckets       int
		want          int32
	}{
		{"city", "Zürich", 4096, 1648},
		{"city", "Bern", 4096, 1061},
		{"city", "a", 2, 1},
		{"zip", "8001", 1 << 18, 243510},
		{"city", "8001", 1 << 18, 225568},
	} {
		if got := New(c.column, c.buckets).Text(c.value); got != c.want {
			t.Errorf("%s of %q in %d: %d, want %d", c.column, c.value, c.buckets, got, c.want)
		}
	}
	for _, c := range []struct {
		name    string
		codes   []int64
		buckets int
		want    int32
	}{
		{"country*city", []int64{2, 4095}, 16384, 5279},
		{"country*city", []int64{0, 0}, 16384, 2172},
		{"a*b*c", []int64{1, 2, 262144}, 1024, 460},
	} {
		if got := New(c.name, c.buckets).Codes(c.codes); got != c.want {
			t.Errorf("%s of %d in %d: %d, want %d", c.name, c.codes, c.buckets, got, c.want)
		}
	}
}

// Values spread over all buckets: χ² with 1,023 degrees of freedom lies within ten deviations of its mean, for every length of
// input that XXH3 treats by itself.
func TestValuesSpread(t *testing.T) {
	for _, pad := range []int{1, 6, 12, 100, 200, 300} {
		const values, buckets = 200_000, 1024
		f, counts := New("city", buckets), make([]float64, buckets)
		for i := range values {
			counts[f.Text(fmt.Sprintf("%0*d", pad, i))]++
		}
		chi := 0.0
		for _, n := range counts {
			chi += (n - values/buckets) * (n - values/buckets) / (values / buckets)
		}
		if chi < 1023-10*45.2 || chi > 1023+10*45.2 {
			t.Errorf("%d bytes: χ² %.0f of %d values", pad, chi, values)
		}
	}
}

func TestBoundsOfBuckets(t *testing.T) {
	for n, want := range map[int]bool{0: false, 1: false, 2: true, 3: false, 1000: false, 1 << 18: true, 1 << 19: false, -2: false} {
		if Valid(n) != want {
			t.Errorf("%d buckets: %t", n, !want)
		}
	}
	for s, want := range map[string]bool{"": false, "Bern": true, "Z\xfcrich": false} {
		if Hashable(s) != want {
			t.Errorf("%q: %t", s, !want)
		}
	}
}
