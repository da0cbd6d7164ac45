package accountant

import (
	"testing"

	"tributary/crypto/dp"
)

// mixed is a ledger of 10⁴ releases: kinds of sampled sums, Gaussian and discrete
// sums, Laplace noise and randomised response.
func mixed(kinds int) []Release {
	var list []Release
	for i := range kinds {
		q, _ := dp.NewRational(1, uint64(50+i%400))
		count := uint64(10000 / kinds)
		switch s2 := uint64(1<<20) * uint64(400+7*i); i % 8 {
		default:
			list = append(list, Release{Sum{1 << 20, dp.Integer(s2 / 100), q}, count})
		case 5:
			list = append(list, Release{Sum{1 << 20, dp.Integer(s2 * 10), dp.Integer(1)}, count})
		case 6:
			list = append(list, Release{Laplace{float64(200 + i)}, count})
		case 7:
			list = append(list, Release{RandomisedResponse{1 / float64(200+i)}, count})
		}
	}
	return list
}

func BenchmarkComposeTenThousand(b *testing.B) {
	for _, kinds := range []struct {
		name  string
		kinds int
	}{{"40kinds", 40}, {"400kinds", 400}, {"10000kinds", 10000}} {
		b.Run(kinds.name, func(b *testing.B) {
			list := mixed(kinds.kinds)
			for b.Loop() {
				r, err := Epsilon(list, 1e-6)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(r.Epsilon, "epsilon")
			}
		})
	}
}

func BenchmarkSampledCharge(b *testing.B) {
	q, _ := dp.NewRational(1, 50)
	s := Sum{1 << 20, dp.Integer(1 << 24), q}
	for b.Loop() {
		if _, err := ChargeFor(s, 24); err != nil {
			b.Fatal(err)
		}
	}
}
