package accountant

import (
	"errors"
	"fmt"
	"math"

	"tributary/crypto/dp"
)

// Errors of the reporting family.
var (
	ErrMechanism = errors.New("not a mechanism that can be reported")
	ErrTarget    = errors.New("not a reportable (ε, δ)")
)

// Mechanism is one way in which a release depends on a unit: Gaussian,
// DiscreteGaussian, Laplace, RandomisedResponse, Sampled or ZCDP, or a Sum. Its
// methods are the package's own: a mechanism without a proof can't be added elsewhere.
type Mechanism interface {
	check() error
	// rdp returns an upper bound of the Rényi divergence of order a > 1, in nats,
	// the larger of both directions.
	rdp(a float64) float64
	// law returns the privacy loss, or nil if only RDP is known.
	law() law
}

// Release is a mechanism that was used Count times with fixed parameters.
type Release struct {
	Mechanism Mechanism
	Count     uint64
}

// Gaussian adds continuous Gaussian noise in any dimension; Multiplier is σ/Δ.
type Gaussian struct{ Multiplier float64 }

// DiscreteGaussian adds discrete Gaussian noise to ONE integer that a unit
// changes by at most Sensitivity. In more dimensions its privacy loss is no
// bound: use Sum.
type DiscreteGaussian struct {
	Sigma2      float64 // variance parameter
	Sensitivity uint64
}

// Laplace adds continuous Laplace noise; Scale is b/Δ₁. Discrete Laplace noise of
// scale t on one integer of sensitivity 1 loses ±1/t and nothing between: that
// is RandomisedResponse{1/t}.
type Laplace struct{ Scale float64 }

// RandomisedResponse is any ε₀-DP mechanism: randomised response with odds
// e^ε₀ dominates them all [KOV15].
type RandomisedResponse struct{ Epsilon float64 }

// Sampled is a Gaussian or DiscreteGaussian of a Poisson sample: each unit takes
// part independently with probability Rate, by coins that stay secret.
type Sampled struct {
	Of   Mechanism // Gaussian or DiscreteGaussian
	Rate float64
}

// ZCDP is a mechanism of which only ρ-zCDP is known [BS16].
type ZCDP struct{ Rho float64 }

func refuse(hint, format string, args ...any) error {
	return fmt.Errorf("accountant: %s: %w\nhint: %s", fmt.Sprintf(format, args...), ErrMechanism, hint)
}

func inside(x, low, high float64) bool { return x >= low && x <= high } // false for NaN

func (g Gaussian) check() error {
	if !inside(g.Multiplier, 1e-2, 1e9) {
		return refuse("give σ/Δ", "noise multiplier %g outside [0.01, 1e9]", g.Multiplier)
	}
	return nil
}

func (g DiscreteGaussian) check() error {
	if !inside(g.Sigma2, 1e-2, 1e10) || g.Sensitivity == 0 || g.Sensitivity > 1<<24 ||
		!inside(math.Sqrt(g.Sigma2)/float64(g.Sensitivity), 1e-2, 1e9) {
		return refuse("for large integers or vectors use Sum", "discrete Gaussian σ² = %g, sensitivity %d: outside σ² in [0.01, 1e10], sensitivity in [1, 2^24], σ/Δ ≥ 0.01", g.Sigma2, g.Sensitivity)
	}
	return nil
}

func (l Laplace) check() error {
	if !inside(l.Scale, 1e-2, 1e9) {
		return refuse("give b/Δ₁", "Laplace scale %g outside [0.01, 1e9]", l.Scale)
	}
	return nil
}

func (r RandomisedResponse) check() error {
	if !inside(r.Epsilon, 1e-9, 100) {
		return refuse("give ε₀ of one answer", "randomised response ε₀ = %g outside [1e-9, 100]", r.Epsilon)
	}
	return nil
}

func (s Sampled) check() error {
	switch s.Of.(type) {
	case Gaussian, DiscreteGaussian:
	default:
		return refuse("sample a Gaussian or a DiscreteGaussian", "%T can't be sampled", s.Of)
	}
	if !inside(s.Rate, 1e-9, 1) {
		return refuse("give the public sampling rate", "sampling rate %g outside [1e-9, 1]", s.Rate)
	}
	return s.Of.check()
}

func (z ZCDP) check() error {
	if !inside(z.Rho, 0, 1e6) {
		return refuse("give ρ of one release", "ρ = %g outside [0, 1e6]", z.Rho)
	}
	return nil
}

// rounding is the relative margin by which RDP values are raised above their
// floating-point results, which are within 1e-13 of the exact ones.
const rounding = 1 + 1e-12

func (g Gaussian) rdp(a float64) float64 { return a / (2 * g.Multiplier * g.Multiplier) * rounding }

// rdp: exact at integer orders, an upper bound at all [CKS20, Prop. 5].
func (g DiscreteGaussian) rdp(a float64) float64 {
	d := float64(g.Sensitivity)
	return a * d * d / (2 * g.Sigma2) * rounding
}

// rdp: [Mir17, Prop. 6].
func (l Laplace) rdp(a float64) float64 {
	x := math.Log(a/(2*a-1)) + (a-1)/l.Scale
	y := math.Log((a-1)/(2*a-1)) - a/l.Scale
	return min(1/l.Scale, smallMoment(logAdd(x, y), a, 1/l.Scale))
}

// rdp: [Mir17, Prop. 5].
func (r RandomisedResponse) rdp(a float64) float64 {
	lp, ln := -math.Log1p(math.Exp(-r.Epsilon)), -math.Log1p(math.Exp(r.Epsilon))
	return min(r.Epsilon, smallMoment(logAdd(a*lp+(1-a)*ln, a*ln+(1-a)*lp), a, r.Epsilon))
}

func (z ZCDP) rdp(a float64) float64 { return a * z.Rho * rounding }

// smallMoment returns lnA/(α−1) with margins, for a mechanism that is ε₀-DP.
// Where lnA is so small that rounding errors of 1e-15 count, the bound
// α·ε₀²/2 of every ε₀-DP mechanism [BS16, Prop. 3.3] may be the better one.
func smallMoment(lnA, a, eps0 float64) float64 {
	direct := (lnA + 4e-15*(1+a*eps0)) / (a - 1) * rounding
	return min(direct, a*eps0*eps0/2*rounding)
}

func logAdd(x, y float64) float64 {
	m := max(x, y)
	if math.IsInf(m, -1) {
		return m
	}
	return m + math.Log1p(math.Exp(min(x, y)-m))
}

// noise returns the Gaussian that stands for s in reports and the share of δ
// that this costs per release: the sum's noise is, up to a total variation of
// 2^-111 a lane, a randomised rounding of continuous Gaussian noise of
// variance σ²−4 (rounding by a discrete Gaussian of variance 4 around the
// value: 2·exp(-8π²) < 2^-112.9 relative a lane [MP12]). Δ is rounded up, σ down.
func (s Sum) noise() Gaussian {
	sigma2 := s.Sigma2.Float()*(1-0x1p-50) - 4
	delta2 := float64(s.Sensitivity2) * (1 + 0x1p-50)
	return Gaussian{math.Sqrt(sigma2/delta2) * (1 - 0x1p-50)}
}

func (s Sum) mechanism() Mechanism {
	if s.Rate == dp.Integer(1) {
		return s.noise()
	}
	return Sampled{s.noise(), min(1, s.Rate.Float()*(1+0x1p-50))}
}

func (s Sum) rdp(a float64) float64 { return s.mechanism().rdp(a) }

// lanes bounds the dimension of any Sum (dp.MaxLength).
const lanes = dp.MaxLength
