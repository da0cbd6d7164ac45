package engine

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// private reports whether every sum of the job is noised.
func (t *terms) private() bool { return t.resolved.Kind == jobspec.KindPrivate }

// privacy gives the terms that the resolved spec fixes, and keeps the noise of each kind of round. ParseResolved has calculated all
// variances again from ε, δ and the job; here they become dp.Params, which no other place of this program makes.
func (t *terms) privacy() (round.Terms, error) {
	wrong := func(format string, args ...any) (round.Terms, error) {
		return round.Terms{}, refusal(round.RuleManifest, "", format, args...)
	}
	r := t.resolved
	if t.private() != t.program.Private() || t.private() != (r.Private != nil) {
		return wrong("the spec and its program differ in whether the job is private")
	}
	if !t.private() {
		return round.Terms{}, nil
	}
	unit, ok := wire.UnitOf(r.Private.Unit)
	if !ok || string(t.program.Privacy().Unit) != r.Private.Unit || t.program.Privacy().Clip != r.Private.Clip {
		return wrong("the job protects unit %s, its program %s", r.Private.Unit, t.program.Privacy().Unit)
	}
	t.noise = map[wire.RoundKind]dp.Params{}
	out := round.Terms{Private: true, Noised: r.Mode == jobspec.ModeNoised, NMin: r.NMin, Noise: map[wire.RoundKind]wire.DP{}}
	for _, kind := range wire.Kinds {
		options, charged, ok := r.Noise(uint8(kind))
		if !ok {
			continue
		}
		params, err := dp.NewParams(options)
		if err != nil {
			return wrong("the noise of %s rounds: %v", kind, err)
		}
		if params.Local().Den() != 1 {
			return wrong("the noise of %s rounds isn't an integer", kind)
		}
		t.noise[kind] = params
		out.Noise[kind] = wire.DP{Mechanism: wire.MechanismDiscreteGaussian, Unit: unit, Sensitivity: params.Sensitivity2(),
			Sigma2Local: params.Local().Num(), H: uint16(r.Honest()), QNum: charged.Rate.Num(), QDen: charged.Rate.Den()}
	}
	return out, nil
}

// agreeNoise checks that the manifest, by which accounts are charged and audited, describes exactly the noise that this node will draw.
func (t *terms) agreeNoise() error {
	if !t.private() {
		return nil
	}
	for i := range t.proposal.Manifest.Rounds {
		r := &t.proposal.Manifest.Rounds[i]
		params, ok := t.noise[r.Kind]
		_, said, _ := t.resolved.Noise(uint8(r.Kind))
		sum, err := t.proposal.ChargeOf(r.Kind)
		switch {
		case err != nil:
			return err
		case !ok || params.Sensitivity2() != r.DP.Sensitivity || params.Local() != dp.Integer(r.DP.Sigma2Local):
			return refusal(round.RuleManifest, "", "the manifest's noise of %s rounds isn't the spec's", r.Kind)
		case params.Length() != t.proposal.Params(r.Kind).Length():
			return refusal(round.RuleManifest, "", "the noise of %s rounds has %d lanes, their sums have %d", r.Kind, params.Length(), t.proposal.Params(r.Kind).Length())
		case *sum != said:
			return refusal(round.RuleManifest, "", "a sum of %s rounds isn't charged as the spec says", r.Kind)
		}
	}
	return nil
}

// noisedSum makes this participant's part of a private sum: whether the account can pay for it is checked first, then the noise is drawn,
// and only then is a row touched. nil without an error: this member sits the round out.
func (n *Node) noisedSum(ctx context.Context, l *live, e round.Train) (round.Input, error) {
	if l.satOut == e.Plan.Round {
		return nil, nil
	}
	if err := n.affordable(l, e.Plan.Kind); err != nil {
		return nil, err
	}
	params, ok := l.terms.noise[e.Plan.Kind]
	if !ok {
		return nil, refusal(round.RuleManifest, "", "no noise is agreed for %s rounds", e.Plan.Kind)
	}
	sum, err := dp.Draw(params)
	if err != nil {
		return nil, err
	}
	defer sum.Discard()
	rate, err := l.terms.rate(e.Plan.Kind)
	if err != nil {
		return nil, err
	}
	if err := n.add(ctx, l, e.State, sum, rate); err != nil {
		return nil, err
	}
	noised, err := sum.Release()
	if errors.Is(err, dp.ErrOutOfLane) {
		n.Log.Warn("sits a round out: a noised value doesn't fit its lane", zap.String("job", l.stored.Name), zap.Uint64("round", e.Plan.Round))
		l.satOut = e.Plan.Round
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return round.NoisedSum{Sum: noised}, nil
}

// affordable checks one sum against the account as it stands now.
func (n *Node) affordable(l *live, kind wire.RoundKind) error {
	a, err := n.account(l.stored.Source)
	if err != nil {
		return err
	}
	if a == nil {
		return refusal(round.RuleBudget, noAccountHint, "source %s has no privacy account", l.stored.Source)
	}
	c, err := l.terms.charge(kind, a.Order)
	if err == nil {
		_, err = a.After(c)
	}
	if errors.Is(err, accountant.ErrExhausted) || errors.Is(err, accountant.ErrSum) {
		return refusal(round.RuleBudget, exhaustedHint, "%v", err)
	}
	return err
}

// rate is the sampling rate that the round's charge counts on.
func (t *terms) rate(kind wire.RoundKind) (dp.Rational, error) {
	charged, err := t.proposal.ChargeOf(kind)
	if err != nil {
		return dp.Rational{}, err
	}
	return charged.Rate, nil
}

// add adds the contribution at a state of each unit, or of each that secret coins of the given rate choose. Errors of data or state are
// *round.Refused.
func (n *Node) add(ctx context.Context, l *live, encoded []byte, sum *dp.Sum, rate dp.Rational) error {
	if err := n.unchanged(ctx, l); err != nil {
		return err
	}
	state, err := l.terms.program.DecodeState(encoded)
	if err != nil {
		return refusal(round.RuleState, "", "the state doesn't parse: %v", err)
	}
	var batch []int // nil: all units
	if rate != dp.Integer(1) {
		units, err := l.work.rounds.Units(state)
		if err != nil {
			return n.unfit(err)
		}
		if batch, err = dp.Sample(rate, units); err != nil {
			return err
		}
	}
	units, err := l.work.rounds.Contributions(state, batch)
	if err != nil {
		return n.unfit(err)
	}
	count := 0
	for lanes, values := range units {
		if count++; count%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := sum.AddSparse(lanes, values); err != nil {
			return err
		}
	}
	return nil
}
