package accountant

import (
	"errors"
	"fmt"
	"math/big"

	"tributary/crypto/dp"
)

// Errors of the enforcing family.
var (
	ErrSum       = errors.New("not a chargeable sum")
	ErrOrder     = errors.New("wrong RDP order")
	ErrExhausted = errors.New("the account is exhausted")
	ErrCap       = errors.New("not an (ε, δ) cap that can be enforced")
)

// Order is an account's integer RDP order α*, fixed when the account is created.
type Order uint32

// Orders lie in [2, MaxOrder].
const MaxOrder Order = 4096

// Units counts RDP in units of 2^-40 at some order. 2^64−1 of them are 2^24 nats.
type Units uint64

// Nats returns u·2^-40, for display.
func (u Units) Nats() float64 { return float64(u) * 0x1p-40 }

// Sum describes one opened sum by the integers of its ledger entry: the opened
// vector carries discrete Gaussian noise of variance parameter Sigma2 (of the
// whole sum: dp.SumVariance), its squared L2 sensitivity is Sensitivity2, both in
// integer units, in any dimension, under adding or removing a unit.
type Sum struct {
	Sensitivity2 uint64      // Δ², at least 1
	Sigma2       dp.Rational // σ²
	Rate         dp.Rational // q of the Poisson sampling of units; 1: none
}

func (s Sum) check() error {
	switch {
	case s.Sensitivity2 == 0 || s.Sensitivity2 > 1<<62:
		return fmt.Errorf("accountant: squared sensitivity %d outside [1, 2^62]: %w\nhint: use the plan's Δ²", s.Sensitivity2, ErrSum)
	case s.Sigma2.Num() == 0 || !s.Sigma2.Valid():
		return fmt.Errorf("accountant: variance %s isn't positive: %w\nhint: use h·σ_i² of the plan", s.Sigma2, ErrSum)
	case s.Sigma2.Cmp(dp.Integer(dp.MinSigma*dp.MinSigma)) < 0:
		return fmt.Errorf("accountant: variance %s below %d: %w\nhint: choose finer integer units", s.Sigma2, dp.MinSigma*dp.MinSigma, ErrSum)
	case !s.Rate.Valid() || s.Rate.Num() == 0 || s.Rate.Num() > s.Rate.Den():
		return fmt.Errorf("accountant: sampling rate %s outside (0, 1]: %w\nhint: give q as a fraction; 1 without sampling", s.Rate, ErrSum)
	}
	return nil
}

// Charge is what one opened sum costs an account of one order. Only
// ChargeFor makes one; a Report can't be turned into one.
type Charge struct {
	order Order
	units Units
}

// Order returns the order that the charge was computed at.
func (c Charge) Order() Order { return c.order }

// Units returns the charge in 2^-40.
func (c Charge) Units() Units { return c.units }

// ChargeFor returns the RDP of s at order a, in units of 2^-40, rounded up, plus
// one unit:
//
//	q = 1:  α·Δ²/(2σ²)                                                [CKS20, Thm. 4]
//	q < 1:  ln(Σ_k C(α,k)(1−q)^(α−k) q^k exp(k(k−1)Δ²/(2σ²)))/(α−1)   [MTZ19, §3.3]
//
// At integer orders the moments of the discrete Gaussian equal the continuous
// one's in any dimension: E_Q[(P/Q)^k] = exp(k(k−1)‖v‖²/(2σ²)) for an integer
// shift v, since a lattice sum doesn't change under an integer shift. The formula
// is the direction of removing a unit; adding one costs no more [MTZ19, Thm. 5],
// the reflection x → v − x swapping P and Q. The extra unit covers that the
// sum of shares isn't exactly one discrete Gaussian: at σ_i ≥ 4 that changes
// any density by a factor below 1 ± d·2^-220 [KLS21, Thm. 1], for d ≤ 2^27 lanes.
// It fails with ErrSum if the charge doesn't fit 64 bits: such a sum is never affordable.
func ChargeFor(s Sum, a Order) (Charge, error) {
	if err := s.check(); err != nil {
		return Charge{}, err
	}
	if err := a.check(); err != nil {
		return Charge{}, err
	}
	// 2ρ = Δ²/σ²
	twoRho := new(big.Rat).SetInt(new(big.Int).SetUint64(s.Sensitivity2))
	twoRho.Quo(twoRho, s.Sigma2.Rat())
	if s.Rate.Cmp(dp.Integer(1)) == 0 {
		r := twoRho.Mul(twoRho, big.NewRat(int64(a), 2))
		return a.charge(ceilRat(r.Mul(r, new(big.Rat).SetInt(one40()))))
	}
	if float, _ := twoRho.Float64(); float > 1<<26 {
		return a.charge(nil)
	}
	moment := sampledMoment(uint64(a), twoRho, s.Rate.Rat())
	if moment.IsInf() {
		return a.charge(nil)
	}
	nats := up().Quo(logUp(moment), upInt(uint64(a-1)))
	nats.Mul(nats, up().SetInt(one40()))
	units, accuracy := nats.Int(nil)
	if accuracy != big.Exact {
		units.Add(units, big.NewInt(1))
	}
	return a.charge(units)
}

// sampledMoment returns an upper bound of the sum in ChargeFor.
func sampledMoment(a uint64, twoRho, q *big.Rat) *big.Float {
	keep := upRat(new(big.Rat).Sub(big.NewRat(1, 1), q))
	power := make([]*big.Float, a+1) // (1−q)^i
	power[0] = upInt(1)
	for i := range a {
		power[i+1] = up().Mul(power[i], keep)
	}
	rate, step := upRat(q), expUp(upRat(twoRho)) // e^(Δ²/σ²)
	sum := up()
	binomial, qk := new(big.Int).SetInt64(1), upInt(1)
	growth, grown := upInt(1), upInt(1) // step^k, step^(k(k-1)/2)
	for k := uint64(0); k <= a; k++ {
		t := up().Mul(up().SetInt(binomial), power[a-k])
		sum = up().Add(sum, up().Mul(up().Mul(t, qk), grown))
		qk = up().Mul(qk, rate)
		grown = up().Mul(grown, growth)
		growth = up().Mul(growth, step)
		binomial.Mul(binomial, new(big.Int).SetUint64(a-k)).Quo(binomial, new(big.Int).SetUint64(k+1))
	}
	return sum
}

func (a Order) check() error {
	if a < 2 || a > MaxOrder {
		return fmt.Errorf("accountant: order %d outside [2, %d]: %w\nhint: take the order of BestOrder", a, MaxOrder, ErrOrder)
	}
	return nil
}

// charge adds the unit of ChargeFor; nil stands for too much.
func (a Order) charge(units *big.Int) (Charge, error) {
	if units != nil {
		units = units.Add(units, big.NewInt(1))
	}
	if units == nil || !units.IsUint64() {
		return Charge{}, fmt.Errorf("accountant: charge at order %d above 2^64 units: %w\nhint: add noise", a, ErrSum)
	}
	return Charge{a, Units(units.Uint64())}, nil
}

func one40() *big.Int { return new(big.Int).Lsh(big.NewInt(1), 40) }

func ceilRat(r *big.Rat) *big.Int {
	n := new(big.Int).Add(r.Num(), r.Denom())
	return n.Sub(n, big.NewInt(1)).Quo(n, r.Denom())
}

func floorRat(r *big.Rat) *big.Int { return new(big.Int).Div(r.Num(), r.Denom()) }
