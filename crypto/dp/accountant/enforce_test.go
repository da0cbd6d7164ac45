package accountant

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"tributary/crypto/dp"
)

func rational(t interface{ Fatal(...any) }, s string) dp.Rational {
	r, err := dp.ParseRational(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func capOf(t interface{ Fatal(...any) }, epsilon, delta string) Cap {
	return Cap{rational(t, epsilon), rational(t, delta)}
}

// The twin of expUp and logUp is float64: bounds from above, and within 1e-15.
func TestUpwardExpAndLogBoundFromAbove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		y := rapid.Float64Range(0, 600).Draw(t, "y")
		e := expUp(up().SetFloat64(y))
		got, _ := e.Float64()
		if want := math.Exp(y); math.Abs(got/want-1) > 1e-13 {
			t.Fatalf("exp(%g) = %g, want %g", y, got, want)
		}
		// ln(e^y↑)↑ ≥ y and hardly more: both directions at 256 bits.
		back := logUp(e)
		diff := new(big.Float).SetPrec(300).Sub(back, new(big.Float).SetFloat64(y))
		if d, _ := diff.Float64(); d < 0 || d > 0x1p-180 {
			t.Fatalf("ln(exp(%g)) is off by %g", y, d)
		}
	})
	if l, _ := logUp(upInt(1)).Float64(); l != 0 {
		t.Errorf("ln 1 = %g", l)
	}
	if l, _ := logTwoUp().Float64(); l != math.Ln2 {
		t.Errorf("ln 2 = %.17g", l)
	}
}

// Charges of unsampled sums are α·Δ²/(2σ²)·2^40 rounded up, plus one.
func TestGaussianChargesAreExactIntegers(t *testing.T) {
	for _, v := range []struct {
		sum   Sum
		order Order
		want  Units
	}{
		{Sum{1, dp.Integer(1 << 20), dp.Integer(1)}, 2, 1<<20 + 1},
		{Sum{3, dp.Integer(1 << 20), dp.Integer(1)}, 8, 12<<20 + 1},
		{Sum{1, dp.Integer(3 << 40), dp.Integer(1)}, 2, 1 + 1},                   // 1/3 unit
		{Sum{100, rational(t, "1600/7"), dp.Integer(1)}, 10, 2405181685760 + 1},  // 10·100·7/3200 = 2.1875
		{Sum{1 << 62, dp.Integer(1 << 61), dp.Integer(1)}, 4096, 4096*1<<40 + 1}, // the largest numbers
	} {
		c, err := ChargeFor(v.sum, v.order)
		if err != nil || c.Units() != v.want || c.Order() != v.order {
			t.Errorf("%+v at %d: %d, %v; want %d", v.sum, v.order, c.Units(), err, v.want)
		}
	}
}

// A sampled charge is at least the moment computed by integration (moment's
// trapezoidal rule, a different formula), in both directions, and at most a few units more.
func TestSampledChargesCoverBothDirections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.IntRange(2, 64).Draw(t, "order")
		sigma := rapid.Float64Range(0.6, 30).Draw(t, "multiplier")
		den := rapid.Uint64Range(2, 5000).Draw(t, "1/q")
		q, _ := dp.NewRational(1, den)
		const delta2 = 1 << 40
		s := Sum{delta2, dp.Integer(uint64(sigma * sigma * delta2)), q}
		c, err := ChargeFor(s, Order(order))
		if err != nil {
			t.Fatal(err)
		}
		exactSigma := math.Sqrt(s.Sigma2.Float() / delta2)
		removal := simpsonMoment(float64(order), exactSigma, q.Float())
		addition := simpsonMoment(1-float64(order), exactSigma, q.Float())
		if addition > removal*(1+1e-9)+1e-13 {
			t.Fatalf("adding a unit costs %g, removing one %g: the theorem says otherwise", addition, removal)
		}
		want := removal / float64(order-1)
		if got := c.Units().Nats(); got < want*(1-1e-9)-1e-13 || got > want*(1+1e-9)+3*0x1p-40+1e-13 {
			t.Fatalf("order %d, σ = %g, q = %g: charge %.12g, integral %.12g", order, exactSigma, q.Float(), got, want)
		}
	})
}

// At integer orders the discrete Gaussian's sampled moment in two dimensions is
// the formula's, to the last digit: the lattice sum itself.
func TestChargesAreExactForTheDiscreteGaussianInTwoDimensions(t *testing.T) {
	const sigma2, q = 16.0, 0.05
	for _, order := range []int{2, 3, 8} {
		vx, vy := 2.0, 3.0 // Δ² = 13
		sum, norm := 0.0, 0.0
		for x := -120.0; x <= 120; x++ {
			for y := -120.0; y <= 120; y++ {
				w := math.Exp(-(x*x + y*y) / (2 * sigma2))
				ratio := math.Exp((2*(x*vx+y*vy) - vx*vx - vy*vy) / (2 * sigma2))
				sum += w * math.Pow(1-q+q*ratio, float64(order))
				norm += w
			}
		}
		want := math.Log(sum/norm) / float64(order-1)
		c, err := ChargeFor(Sum{13, dp.Integer(16), rational(t, "0.05")}, Order(order))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Units().Nats(); got < want-1e-12 || got > want*(1+1e-10)+3*0x1p-40 {
			t.Errorf("order %d: charge %.15g, lattice sum %.15g", order, got, want)
		}
	}
}

func TestBudgetIsTheConversionRoundedDown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Cap{Epsilon: rational(t, rapid.SampledFrom([]string{"0.1", "0.3", "1", "3", "10"}).Draw(t, "ε")), Delta: rational(t, rapid.SampledFrom([]string{"1e-9", "1e-6", "1e-5", "0.01"}).Draw(t, "δ"))}
		a := Order(rapid.IntRange(2, 300).Draw(t, "α"))
		u, err := c.BudgetAt(a)
		if err != nil {
			t.Fatal(err)
		}
		// Spending all of it gives at most ε, and 2^-39 more gives more.
		if u > 0 {
			if e := EpsilonFromRDP(float64(a), u.Nats(), c.Delta.Float()); e > c.Epsilon.Float()+1e-12 {
				t.Fatalf("the budget at %d allows ε = %.15g", a, e)
			}
		}
		if a := float64(a); a*c.Delta.Float() < 1 {
			if e := EpsilonFromRDP(a, u.Nats()+0x1p-39, c.Delta.Float()); e < c.Epsilon.Float()-1e-12 {
				t.Fatalf("the budget at %g could be larger: %.15g", a, e)
			}
		}
	})
}

// BestOrder against the dumb twin: every order.
func TestBestOrderAdmitsTheMostGaussianSums(t *testing.T) {
	for _, v := range [][2]string{{"1", "1e-5"}, {"0.3", "1e-5"}, {"3", "1e-6"}, {"0.1", "1e-6"}, {"100", "1e-9"}} {
		c := capOf(t, v[0], v[1])
		got, err := BestOrder(c)
		if err != nil {
			t.Fatal(err)
		}
		best, where := 0.0, Order(0)
		for a := Order(2); a <= 600; a++ {
			u, err := c.BudgetAt(a)
			if err != nil {
				t.Fatal(err)
			}
			if x := float64(u) / float64(a); x > best {
				best, where = x, a
			}
		}
		if got != where {
			t.Errorf("%v: order %d, the scan finds %d", v, got, where)
		}
	}
	if _, err := BestOrder(capOf(t, "1e-9", "1e-9")); !errors.Is(err, ErrCap) {
		t.Errorf("a cap that admits nothing: %v", err)
	}
}

// Whatever is charged in whatever order: spent never exceeds the budget, a
// refused charge changes nothing, and the total converts to at most the cap.
func TestAccountNeverExceedsItsCap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := capOf(t, "1", "1e-5")
		a, err := NewAccount(c)
		if err != nil {
			t.Fatal(err)
		}
		var total uint64
		for range rapid.IntRange(1, 60).Draw(t, "charges") {
			s := Sum{rapid.Uint64Range(1, 1<<20).Draw(t, "Δ²"), dp.Integer(rapid.Uint64Range(16, 1<<30).Draw(t, "σ²")), dp.Integer(1)}
			if rapid.Bool().Draw(t, "sampled") {
				s.Rate = rational(t, "1/20")
			}
			charge, err := ChargeFor(s, a.Order())
			if errors.Is(err, ErrSum) {
				continue // never affordable
			}
			if err != nil {
				t.Fatal(err)
			}
			next, err := a.Spend(charge)
			switch {
			case err == nil:
				total += uint64(charge.Units())
				if a.Affords(charge) == 0 {
					t.Fatal("spent what it doesn't afford")
				}
				a = next
			case !errors.Is(err, ErrExhausted) || uint64(a.Left()) >= uint64(charge.Units()):
				t.Fatal(err)
			}
		}
		if uint64(a.Spent()) != total || a.Spent() > a.Budget() {
			t.Fatalf("spent %d of %d, charges sum to %d", a.Spent(), a.Budget(), total)
		}
		if e := EpsilonFromRDP(float64(a.Order()), a.Spent().Nats(), 1e-5); e > 1+1e-12 {
			t.Fatalf("ε = %g", e)
		}
		back, err := RestoreAccount(a.Cap(), a.Order(), a.Spent())
		if err != nil || back != a {
			t.Fatalf("restored %+v, %v; want %+v", back, err, a)
		}
	})
}

func TestChargesAndAccountsOfDifferentOrdersDontMix(t *testing.T) {
	a, err := RestoreAccount(capOf(t, "1", "1e-5"), 20, 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ChargeFor(Sum{1, dp.Integer(1 << 20), dp.Integer(1)}, 21)
	if err != nil {
		t.Fatal(err)
	}
	for name, charge := range map[string]Charge{"another order": c, "no charge": {}} {
		if _, err := a.Spend(charge); !errors.Is(err, ErrOrder) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (Account{}).Spend(c); !errors.Is(err, ErrOrder) {
		t.Errorf("zero account: %v", err)
	}
	if _, err := (Account{}).Spend(Charge{}); !errors.Is(err, ErrOrder) {
		t.Errorf("zero account, zero charge: %v", err)
	}
	if _, err := RestoreAccount(a.Cap(), 20, a.Budget()+1); !errors.Is(err, ErrExhausted) {
		t.Errorf("overspent account restored: %v", err)
	}
}

func TestSumsThatCantBeChargedAreRefused(t *testing.T) {
	good := Sum{1, dp.Integer(16), dp.Integer(1)}
	for name, s := range map[string]Sum{
		"no sensitivity": {0, good.Sigma2, good.Rate}, "no variance": {1, dp.Rational{}, good.Rate}, "zero variance": {1, dp.Integer(0), good.Rate},
		"narrow noise": {1, dp.Integer(15), good.Rate}, "no rate": {1, good.Sigma2, dp.Rational{}}, "rate 0": {1, good.Sigma2, dp.Integer(0)},
		"rate above 1": {1, good.Sigma2, rational(t, "3/2")}, "astronomic": {1 << 62, dp.Integer(16), good.Rate}, "astronomic, sampled": {1 << 62, dp.Integer(16), rational(t, "1/2")},
		"astronomic moment": {1 << 30, dp.Integer(16), rational(t, "1/2")},
	} {
		if _, err := ChargeFor(s, 4000); !errors.Is(err, ErrSum) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, a := range []Order{0, 1, MaxOrder + 1} {
		if _, err := ChargeFor(good, a); !errors.Is(err, ErrOrder) {
			t.Errorf("order %d: %v", a, err)
		}
	}
	for _, c := range []Cap{{}, {dp.Integer(1), dp.Rational{}}, {dp.Integer(0), rational(t, "1e-5")}, {dp.Integer(1), dp.Integer(1)}, {dp.Integer(1 << 21), rational(t, "1e-5")}} {
		if _, err := NewAccount(c); !errors.Is(err, ErrCap) {
			t.Errorf("cap %+v: %v", c, err)
		}
	}
}

func TestSmallestVarianceIsTheSmallest(t *testing.T) {
	for _, rate := range []string{"1", "1/50"} {
		s := Sum{Sensitivity2: 1 << 20, Rate: rational(t, rate)}
		a, err := NewAccount(capOf(t, "1", "1e-5"))
		if err != nil {
			t.Fatal(err)
		}
		v, err := SmallestVariance(s, 12, a.Order(), a.Left())
		if err != nil {
			t.Fatal(err)
		}
		charge := func(v uint64) Charge {
			s.Sigma2 = dp.Integer(v)
			c, err := ChargeFor(s, a.Order())
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		if a.Affords(charge(v.Num())) < 12 || a.Affords(charge(v.Num()-1)) >= 12 {
			t.Errorf("rate %s: σ² = %s pays for %d rounds, one less for %d", rate, v, a.Affords(charge(v.Num())), a.Affords(charge(v.Num()-1)))
		}
		t.Logf("rate %s: multiplier %.4f at order %d", rate, math.Sqrt(v.Float()/(1<<20)), a.Order())
	}
	if _, err := SmallestVariance(Sum{Sensitivity2: 1 << 62, Rate: dp.Integer(1)}, 1000, 20, 1000); !errors.Is(err, ErrExhausted) {
		t.Errorf("an impossible forecast: %v", err)
	}
}
