package accountant

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"tributary/crypto/dp"
)

// simpson integrates f over [a, b] with n (even) intervals.
func simpson(a, b float64, n int, f func(float64) float64) float64 {
	h := (b - a) / float64(n)
	sum := f(a) + f(b)
	for i := 1; i < n; i++ {
		sum += f(a+float64(i)*h) * float64(2+2*(i&1))
	}
	return sum * h / 3
}

// simpsonMoment is the twin of moment and integerMoment: ln E[m^b], by Simpson's
// rule on m^b − 1 − b(m−1).
func simpsonMoment(b, sigma, q float64) float64 {
	norm := 1 / (sigma * math.Sqrt(2*math.Pi))
	peak := 0.0 // keeps the integrand from overflowing
	if b > 0 {
		peak = max(0, b*(b-1)/(2*sigma*sigma)+b*math.Log(q))
	}
	low, high := min(0, b)-12*sigma, max(0, b)+12*sigma
	v := simpson(low, high, 40000, func(x float64) float64 {
		m1 := q * math.Expm1((2*x-1)/(2*sigma*sigma))
		return norm * (math.Exp(b*math.Log1p(m1)-x*x/(2*sigma*sigma)-peak) - math.Exp(-x*x/(2*sigma*sigma)-peak)*(1+b*m1))
	})
	return logAdd(0, math.Log(max(v, 1e-300))+peak)
}

// seriesMoment is the infinite series of [MTZ19, §3.3] for fractional orders.
func seriesMoment(a, sigma, q float64) float64 {
	z := 0.5 + sigma*sigma*math.Log(1/q-1)
	sum, binomial := 0.0, 1.0
	for i := 0.0; i < 2000; i++ {
		j := a - i
		t1 := math.Pow(q, i) * math.Pow(1-q, j) * math.Exp((i*i-i)/(2*sigma*sigma)) * math.Erfc((i-z)/(math.Sqrt2*sigma)) / 2
		t2 := math.Pow(q, j) * math.Pow(1-q, i) * math.Exp((j*j-j)/(2*sigma*sigma)) * math.Erfc((z-j)/(math.Sqrt2*sigma)) / 2
		if math.IsNaN(t1) || math.IsNaN(t2) {
			break
		}
		sum += binomial * (t1 + t2)
		if i > a && math.Abs(binomial*(t1+t2)) < 1e-17*sum {
			break
		}
		binomial *= (a - i) / (i + 1)
	}
	return math.Log(sum)
}

// above checks got ≥ want (to the twin's accuracy) and got ≤ want·(1+loose).
func above(t *rapid.T, what string, got, want, accuracy, loose float64) {
	t.Helper()
	if !(got >= want-accuracy) {
		t.Fatalf("%s = %.12g is below its twin %.12g: UNSOUND", what, got, want)
	}
	if !(got <= want*(1+loose)+accuracy) {
		t.Fatalf("%s = %.12g, twin %.12g: loose", what, got, want)
	}
}

func TestRDPOfTheSampledGaussianAgreesWithIntegration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sigma := rapid.Float64Range(0.5, 20).Draw(t, "σ")
		q := math.Exp(rapid.Float64Range(-8, -0.2).Draw(t, "ln q"))
		a := rapid.Float64Range(1.05, 40).Draw(t, "α")
		if rapid.Bool().Draw(t, "integer") {
			a = math.Ceil(a)
		}
		got := (Sampled{Gaussian{sigma}, q}).rdp(a) * (a - 1)
		twin := simpsonMoment(a, sigma, q)
		above(t, "lnA", got, twin, 1e-13+1e-9*twin, 1e-8)
		if add := simpsonMoment(1-a, sigma, q); add > got*(1+1e-9)+1e-13 {
			t.Fatalf("adding costs %g, more than %g", add, got)
		}
		if m, ok := moment(1-a, sigma, q); !ok || math.Abs(m-simpsonMoment(1-a, sigma, q)) > 1e-8*m+1e-12 {
			t.Fatalf("moment of adding = %g, %v", m, ok)
		}
	})
}

func TestRDPOfTheSampledGaussianAgreesWithTheSeries(t *testing.T) {
	for _, v := range []struct{ a, sigma, q float64 }{{1.5, 2.5, 0.01}, {3.9, 1.5, 0.04}, {2.5, 0.8, 0.1}, {7.3, 1.1, 0.2}, {1.1, 4, 0.3}} {
		got := (Sampled{Gaussian{v.sigma}, v.q}).rdp(v.a) * (v.a - 1)
		if want := seriesMoment(v.a, v.sigma, v.q); math.Abs(got-want) > 1e-12+1e-9*want {
			t.Errorf("%+v: %.15g, the series gives %.15g", v, got, want)
		}
	}
}

func TestRDPOfLaplaceAndResponseAgreesWithIntegration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.Float64Range(0.2, 50).Draw(t, "b")
		a := rapid.Float64Range(1.01, 60).Draw(t, "α")
		// x < 0, 0..1 and > 1 apart: E_Q[(P/Q)^α − 1 − α(P/Q − 1)], P at 1, Q at 0.
		f := func(loss float64) float64 { return math.Exp(a*loss) - 1 - a*math.Expm1(loss) }
		v := 0.5*f(-1/b) + simpson(0, 1, 40000, func(x float64) float64 { return math.Exp(-x/b) / (2 * b) * f((2*x-1)/b) }) + 0.5*math.Exp(-1/b)*f(1/b)
		above(t, "Laplace", Laplace{b}.rdp(a)*(a-1), math.Log1p(v), 2e-13*(1+a/b)+1e-9*math.Log1p(v), 1e-7)
		e := 1 / b
		p := 1 / (1 + math.Exp(-e))
		w := (1-p)*f(e) + p*f(-e)
		above(t, "response", RandomisedResponse{e}.rdp(a)*(a-1), math.Log1p(w), 2e-13*(1+a/b)+1e-9*math.Log1p(w), 1e-7)
	})
}

func TestTransformAgreesWithTheDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const n = 64
	x := make([]complex128, n)
	for i := range x {
		x[i] = complex(r.NormFloat64(), r.NormFloat64())
	}
	y := append([]complex128(nil), x...)
	f := newTransform(n)
	f.forward(y)
	for k := range n {
		var want complex128
		for j, v := range x {
			s, c := math.Sincos(-2 * math.Pi * float64(j*k%n) / n)
			want += v * complex(c, s)
		}
		rev := 0
		for b := range 6 {
			rev |= (k >> b & 1) << (5 - b)
		}
		if d := y[rev] - want; math.Hypot(real(d), imag(d)) > 1e-12 {
			t.Fatalf("frequency %d: %v, want %v", k, y[rev], want)
		}
	}
	f.inverse(y)
	for i := range x {
		if d := y[i] - x[i]; math.Hypot(real(d), imag(d)) > 1e-14*n {
			t.Fatalf("point %d: %v, want %v", i, y[i], x[i])
		}
	}
}

// A Sum counts as Gaussian noise of variance σ²−4; in one dimension that is above
// the exact discrete Gaussian.
func TestSumsReportAboveTheExactDiscreteGaussian(t *testing.T) {
	for _, s2 := range []uint64{16, 100, 10000} {
		sum, err := Epsilon([]Release{{Sum{1, dp.Integer(s2), dp.Integer(1)}, 1}}, 1e-6)
		if err != nil {
			t.Fatal(err)
		}
		exact, err := Epsilon([]Release{{DiscreteGaussian{float64(s2), 1}, 1}}, 1e-6)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Epsilon([]Release{{Gaussian{math.Sqrt(float64(s2) - 4)}, 1}}, 1e-6)
		if err != nil {
			t.Fatal(err)
		}
		if sum.Epsilon < exact.Epsilon || math.Abs(sum.Epsilon-want.Epsilon) > 1e-9 {
			t.Errorf("σ² = %d: sum %.9g, exact %.9g, Gaussian of σ²−4 %.9g", s2, sum.Epsilon, exact.Epsilon, want.Epsilon)
		}
	}
}

// The filter is coarser than the report: what an account admits, reports below its cap.
func TestReportsOfAnExhaustedAccountStayBelowItsCap(t *testing.T) {
	for _, rate := range []string{"1", "1/50"} {
		a, err := NewAccount(capOf(t, "1", "1e-5"))
		if err != nil {
			t.Fatal(err)
		}
		s := Sum{1 << 20, dp.Integer(1 << 26), rational(t, rate)}
		c, err := ChargeFor(s, a.Order())
		if err != nil {
			t.Fatal(err)
		}
		n := a.Affords(c)
		r, err := Epsilon([]Release{{s, n}}, 1e-5)
		if err != nil || r.Epsilon > 1 || r.Epsilon < 0.4 {
			t.Errorf("rate %s: %d sums report ε = %g, %v", rate, n, r.Epsilon, err)
		}
		t.Logf("rate %s: %d sums at order %d, reported ε = %.4f by %s", rate, n, a.Order(), r.Epsilon, r.Method)
	}
}

func TestZCDPMixesByRDP(t *testing.T) {
	r, err := Epsilon([]Release{{ZCDP{0.02}, 1}, {ZCDP{0.005}, 1}}, 1e-6)
	if err != nil || r.Method != "rdp" || math.Abs(r.Epsilon-1.0140742547261279) > 1e-6 {
		t.Errorf("%+v, %v", r, err)
	}
	none, err := Epsilon(nil, 1e-6)
	if err != nil || none.Epsilon != 0 {
		t.Errorf("no release: %+v, %v", none, err)
	}
}

func TestCalibratedSamplingMeetsItsTarget(t *testing.T) {
	target := Target{1, 1e-5}
	sigma, err := SmallestSampled(target, 100, 0.01)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		sigma float64
		meets bool
	}{{sigma, true}, {sigma * 0.995, false}} {
		r, err := Epsilon([]Release{{Sampled{Gaussian{v.sigma}, 0.01}, 100}}, target.Delta)
		if err != nil || (r.Epsilon <= target.Epsilon) != v.meets {
			t.Errorf("σ = %g: ε = %g, %v", v.sigma, r.Epsilon, err)
		}
	}
	if s, err := SmallestSampled(target, 4, 1); err != nil || math.Abs(s-2*3.730631634815942) > 1e-9 {
		t.Errorf("without sampling: %g, %v", s, err)
	}
	if _, err := SmallestGaussian(Target{math.NaN(), 1e-5}); !errors.Is(err, ErrTarget) {
		t.Errorf("NaN target: %v", err)
	}
}

func TestMechanismsOutsideTheirRangeAreRefused(t *testing.T) {
	nan := math.NaN()
	for _, m := range []Mechanism{nil, Gaussian{}, Gaussian{nan}, Gaussian{math.Inf(1)}, DiscreteGaussian{1, 0}, DiscreteGaussian{nan, 1}, Laplace{0}, Laplace{nan}, RandomisedResponse{-1}, RandomisedResponse{nan},
		Sampled{nil, 0.5}, Sampled{Laplace{1}, 0.5}, Sampled{Gaussian{1}, 0}, Sampled{Gaussian{1}, 1.1}, Sampled{Gaussian{1}, nan}, Sampled{Sampled{Gaussian{1}, 0.5}, 0.5}, ZCDP{-1}, ZCDP{nan}} {
		if _, err := Epsilon([]Release{{m, 1}}, 1e-5); !errors.Is(err, ErrMechanism) {
			t.Errorf("%#v: %v", m, err)
		}
	}
	if _, err := Epsilon([]Release{{Sum{}, 1}}, 1e-5); !errors.Is(err, ErrSum) {
		t.Errorf("zero sum: %v", err)
	}
	for _, delta := range []float64{0, 1, -1, nan, 1e-40} {
		if _, err := Epsilon([]Release{{Gaussian{1}, 1}}, delta); !errors.Is(err, ErrTarget) {
			t.Errorf("δ = %g: %v", delta, err)
		}
	}
	if _, err := RDP(nil, []float64{1}); !errors.Is(err, ErrOrder) {
		t.Errorf("order 1: %v", err)
	}
}
