package dp

import (
	"fmt"
	"testing"
)

// Samples a second and core: the aim is 2 million.
func BenchmarkGaussian(b *testing.B) {
	for _, s2 := range []Rational{{1, 4}, {9, 1}, {16, 1}, {10000, 7}, {1 << 32, 1}, {1<<40 + 1, 7}, {1 << 61, 1}} {
		b.Run(fmt.Sprintf("sigma2=%s", s2), func(b *testing.B) {
			c, err := NewCoins()
			if err != nil {
				b.Fatal(err)
			}
			defer c.Erase()
			dst := make([]int64, 4096)
			for b.Loop() {
				if err := c.Gaussian(dst, s2); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*4096/b.Elapsed().Seconds()/1e6, "Msamples/s")
		})
	}
}

func BenchmarkLaplace(b *testing.B) {
	c, err := NewCoins()
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]int64, 4096)
	for b.Loop() {
		if err := c.Laplace(dst, Integer(100)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*4096/b.Elapsed().Seconds()/1e6, "Msamples/s")
}

func BenchmarkCoins(b *testing.B) {
	c, _ := NewCoins()
	var x uint64
	for b.Loop() {
		for range 1024 {
			x ^= c.word()
		}
	}
	b.ReportMetric(float64(b.N)*1024*8/b.Elapsed().Seconds()/1e9, "GB/s")
	_ = x
}
