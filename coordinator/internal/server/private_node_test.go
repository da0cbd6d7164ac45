package server

import (
	"errors"
	"math"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// terms are what a member makes of a resolved job for itself.
func terms(r *jobspec.Resolved) round.Terms {
	if r.Private == nil {
		return round.Terms{}
	}
	out := round.Terms{Private: true, NMin: r.NMin, Noise: map[wire.RoundKind]wire.DP{}}
	for kind := wire.Fit; kind <= wire.Evaluate; kind++ {
		if o, sum, ok := r.Noise(uint8(kind)); ok {
			out.Noise[kind] = wire.DP{Mechanism: wire.MechanismDiscreteGaussian, Unit: wire.UnitRecord, Sensitivity: sum.Sensitivity2,
				Sigma2Local: o.Local.Num(), H: uint16(r.NMin - max(1, r.F)), QNum: 1, QDen: 1}
		}
	}
	return out
}

// opening is the signed word on a new account of a node's one source.
func (n *node) opening(epsilon string) *wire.Account {
	n.t.Helper()
	c := accountant.Cap{Epsilon: n.rational(epsilon), Delta: n.rational("1e-5")}
	a, err := accountant.NewAccount(c)
	if err != nil {
		n.t.Fatal(err)
	}
	n.account = &a
	return &wire.Account{Member: n.key.Public(), Account: wire.AccountID(n.key.Public(), "customers"), Unit: wire.UnitRecord, EpsNum: c.Epsilon.Num(), EpsDen: c.Epsilon.Den(),
		DeltaNum: c.Delta.Num(), DeltaDen: c.Delta.Den(), Order: uint32(a.Order()), Budget: uint64(a.Budget())}
}

func (n *node) rational(text string) dp.Rational {
	n.t.Helper()
	r, err := dp.ParseRational(text)
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

// tell signs an object and puts it.
func (n *node) tell(o wire.Object) error {
	e := wire.Sign(n.key, o)
	return n.give(e)
}

func (n *node) give(e wire.Envelope) error {
	_, err := n.client.Put(n.t.Context(), &pb.PutRequest{Object: e.Bytes()})
	return err
}

// spend charges the account, as a node's store does in the transaction that stores the upload; false: it is exhausted.
func (n *node) spend(sum accountant.Sum) bool {
	n.t.Helper()
	c, err := accountant.ChargeFor(sum, n.account.Order())
	if err != nil {
		n.t.Fatal(err)
	}
	after, err := n.account.Spend(c)
	if errors.Is(err, accountant.ErrExhausted) {
		return false
	}
	if err != nil {
		n.t.Fatal(err)
	}
	*n.account = after
	n.charge = wire.Sign(n.key, &wire.Charge{Job: n.job, Ctx: n.machine.Context(), Member: n.key.Public(), Account: wire.AccountID(n.key.Public(), "customers"),
		Order: uint32(after.Order()), Units: uint64(c.Units()), Spent: uint64(after.Spent())})
	return true
}

// noised is the node's part of a private sum, with its noise. Every fifth row is held out.
func (n *node) noised(f round.Train) *dp.Noised {
	n.t.Helper()
	options, _, ok := n.resolved.Noise(uint8(f.Plan.Kind))
	if !ok {
		n.t.Fatalf("no noise in %s rounds", f.Plan.Kind)
	}
	params, err := dp.NewParams(options)
	if err != nil {
		n.t.Fatal(err)
	}
	sum, err := dp.Draw(params)
	if err != nil {
		n.t.Fatal(err)
	}
	s, err := n.program.DecodeState(f.State)
	if err != nil {
		n.t.Fatal(err)
	}
	for i := range n.x {
		if (i%5 == 0) != (s.Kind() == optim.Evaluate) {
			continue
		}
		values := n.contribution(s, i)
		lanes := make([]int, len(values))
		for j := range lanes {
			lanes[j] = j
		}
		if err := sum.AddSparse(lanes, values); err != nil {
			n.t.Fatal(err)
		}
	}
	out, err := sum.Release()
	if err != nil {
		n.t.Fatal(err)
	}
	return out
}

// contribution is what one row adds: a scaled number and a constant, of norm 1.
func (n *node) contribution(s *optim.State, row int) []float64 {
	scale, bins := float64(n.resolved.Private.Scale), n.program.Privacy().Bins
	z := n.x[row]/50 - 1
	norm := math.Sqrt(z*z + 1)
	x := []float64{z / norm, 1 / norm}
	if s.Kind() == optim.Fit {
		return []float64{scale * x[0] * x[0], scale * math.Sqrt2 * x[0] * x[1], scale * x[1] * x[1]}
	}
	y, w := 0.0, s.Coefficients()
	if n.y[row] {
		y = 1
	}
	p := 1 / (1 + math.Exp(-w[0]*x[0]-w[1]*x[1]))
	if s.Kind() == optim.Train {
		return []float64{scale * (p - y) * x[0], scale * (p - y) * x[1]}
	}
	lanes, bin := make([]float64, 2*bins), min(int(p*float64(bins)), bins-1)
	if y == 0 {
		bin += bins
	}
	lanes[bin] = scale
	return lanes
}
