package round

import (
	"tributary/crypto/dp"
	"tributary/crypto/dp/accountant"
	"tributary/protocol/charter"
	"tributary/protocol/wire"
)

// ChargeOf describes one opened sum of a kind of round to the accountant, from the manifest's integers alone: what any contribution to
// it costs, whoever drops out (G5).
func (p *Proposal) ChargeOf(kind wire.RoundKind) (*accountant.Sum, error) {
	r, ok := p.Manifest.Round(kind)
	if !ok || !p.Private() {
		return nil, refuse(RuleBudget, "", "no noise is agreed for %s rounds", kind)
	}
	local, err := dp.NewRational(r.DP.Sigma2Local, 1)
	if err != nil {
		return nil, refuse(RuleBudget, "", "%v", err)
	}
	sum := local // a noised contribution is seen by itself
	if !p.Noised() {
		if sum, err = dp.SumVariance(local, dp.Contributors{Min: int(p.Manifest.NMin), Colluder: int(p.Manifest.F)}); err != nil {
			return nil, refuse(RuleBudget, "", "%v", err)
		}
	}
	rate, err := dp.NewRational(r.DP.QNum, r.DP.QDen)
	if err != nil {
		return nil, refuse(RuleBudget, "", "%v", err)
	}
	return &accountant.Sum{Sensitivity2: r.DP.Sensitivity, Sigma2: sum, Rate: rate}, nil
}

// OpenCharge checks a contributor's charge for a round: signed by it, of this context, and exactly what the manifest's integers cost at
// the account's order.
func OpenCharge(j *Job, plan *wire.Plan, e *wire.Envelope) (*wire.Charge, error) {
	var g wire.Charge
	if err := e.Open(&g); err != nil {
		return nil, refuse(RuleSignature, "", "%v", err)
	}
	name := charter.Name(j.Charter, e.Signer)
	switch {
	case g.Member != e.Signer:
		return nil, refuse(RuleSignature, "", "charge of %s signed by %s", charter.Name(j.Charter, g.Member), name)
	case g.Job != j.Job || g.Ctx != plan.Context(j.Closed):
		return nil, refuse(RuleContext, "", "charge by %s is of another round", name)
	case !j.Contributes(e.Signer):
		return nil, refuse(RuleCohort, "", "charge by %s, who doesn't contribute", name)
	}
	sum, err := j.ChargeOf(plan.Kind)
	if err != nil {
		return nil, err
	}
	want, err := accountant.ChargeFor(*sum, accountant.Order(g.Order))
	if err != nil {
		return nil, refuse(RuleBudget, "", "charge by %s: %v", name, err)
	}
	if uint64(want.Units()) != g.Units {
		return nil, refuse(RuleBudget, "", "%s charged %d units, this sum costs %d at order %d", name, g.Units, want.Units(), g.Order)
	}
	return &g, nil
}
