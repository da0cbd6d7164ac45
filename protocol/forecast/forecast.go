// Package forecast says what a private job will cost before anything runs: the
// noise of each kind of round, its charges, bytes and rounds, and whether each
// participant's account can pay. A forecast decides nothing: the account at the
// participant does.
package forecast

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"tributary/crypto/dp/accountant"
	"tributary/crypto/secagg"
	"tributary/protocol/jobspec"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// Errors of For.
var (
	ErrExact   = errors.New("forecast: an exact job has no ε to forecast")
	ErrAccount = errors.New("forecast: not an account's numbers")
)

// Forecast is what a private job will cost. ε is in nats, rounded up to 10^-6; σ in
// value units, of which one record adds 1 at most; units are 2^-40 of RDP.
type Forecast struct {
	Job          string           `json:"job"`
	Unit         string           `json:"unit"`
	Epsilon      string           `json:"epsilon"` // the spec's
	Delta        string           `json:"delta"`   // the spec's
	Order        accountant.Order `json:"order"`
	Scale        uint64           `json:"scale"` // integer units per 1.0
	Participants int              `json:"participants"`
	NMin         int              `json:"n_min"`
	F            int              `json:"f"`
	Honest       int              `json:"honest"` // contributors whose noise counts

	Kinds []Kind           `json:"kinds"`
	Sums  int64            `json:"sums"`         // opened in all
	Total accountant.Units `json:"total,string"` // charges at Order, each sum opened at its first try
	Limit accountant.Units `json:"limit,string"` // what (Epsilon, Delta) admits at Order

	EpsilonFilter float64 `json:"epsilon_filter"` // ε of Total at Order: what the accounts' rule certifies
	EpsilonReport float64 `json:"epsilon_report"` // the tightest ε known for these sums
	EpsilonRerun  float64 `json:"epsilon_rerun"`  // ε if every sum takes jobspec.MaxTries uploads
	EpsilonTwice  float64 `json:"epsilon_twice"`  // ε for a person with two records (users: keys), or held by two participants

	UploadBytes int64 `json:"upload_bytes"` // of each participant, over all rounds
	SeatBytes   int64 `json:"seat_bytes"`   // read and sent by each seat besides, over all rounds
	PlannedMs   int64 `json:"planned_ms"`   // all rounds' timeouts: the longest without reruns

	Accounts []Account `json:"accounts"`
	Unknown  []string  `json:"unknown"` // participants whose account isn't known
}

// Kind is one kind of round.
type Kind struct {
	Kind         string           `json:"kind"` // sketch, fit, train or evaluate
	Segment      string           `json:"segment"`
	Lanes        int              `json:"lanes"`
	Rounds       int64            `json:"rounds"`
	Sensitivity2 uint64           `json:"sensitivity2,string"` // integer units squared
	Sigma2Local  uint64           `json:"sigma2_local,string"` // integer units squared
	SumSigma2    uint64           `json:"sum_sigma2,string"`   // integer units squared
	Sigma        float64          `json:"sigma"`               // of an opened sum
	SigmaLocal   float64          `json:"sigma_local"`         // of one participant's noise
	Charge       accountant.Units `json:"charge,string"`       // of one round at the job's order
	PayloadBytes int64            `json:"payload_bytes"`       // of one participant in one round
	UploadBytes  int64            `json:"upload_bytes"`        // payload and sealed shares
}

// For forecasts a private job against the accounts of its participants. Accounts
// of members outside the job are left out. It fails with ErrExact, or ErrAccount
// naming the member whose numbers make no account.
func For(r *jobspec.Resolved, accounts []Remaining) (*Forecast, error) {
	if r.Private == nil {
		return nil, fmt.Errorf("%w\nhint: what its sums tell is in its approval", ErrExact)
	}
	p := r.Private
	f := &Forecast{
		Job: r.Name, Unit: p.Unit, Epsilon: string(p.Epsilon), Delta: string(p.Delta), Order: p.Order, Scale: p.Scale,
		Participants: r.Contributors, NMin: r.NMin, F: r.F, Honest: r.Honest(), Accounts: []Account{}, Unknown: []string{}}
	for _, kind := range wire.Kinds {
		if err := f.kind(r, kind); err != nil {
			return nil, err
		}
	}
	f.PlannedMs = f.Sums * r.RoundTimeout.Milliseconds()
	if err := f.epsilons(r); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, a := range accounts {
		if len(r.Participants) > 0 && !slices.Contains(r.Participants, a.Member) {
			continue
		}
		known[a.Member] = true
		if err := f.account(r, a); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(f.Accounts, func(a, b Account) int { return strings.Compare(a.Member, b.Member) })
	for _, name := range r.Participants {
		if !known[name] {
			f.Unknown = append(f.Unknown, name)
		}
	}
	return f, nil
}

func (f *Forecast) kind(r *jobspec.Resolved, kind wire.RoundKind) error {
	o, sum, ok := r.Noise(uint8(kind))
	if !ok {
		return nil
	}
	n, _ := r.Private.Kind(uint8(kind))
	c, err := accountant.ChargeFor(sum, f.Order)
	if err != nil {
		return fmt.Errorf("forecast %s rounds: %w", kind, err)
	}
	k := Kind{
		Kind: kind.String(), Segment: o.Segments[0].Name, Rounds: n.Rounds, Sensitivity2: n.Sensitivity2, Sigma2Local: n.Sigma2Local,
		SumSigma2: n.SumSigma2, Sigma: r.Private.Sigma(n), SigmaLocal: r.Private.LocalSigma(n), Charge: c.Units()}
	codec := secagg.Options{Contributors: r.Contributors, Bits: r.Bits, Threshold: r.Committee.Threshold, Seats: r.Committee.Of}
	noised := r.Mode == jobspec.ModeNoised
	if noised {
		codec.Threshold, codec.Seats = 1, 1 // for the lanes' sake
	}
	for _, s := range o.Segments {
		if s.Clip > 0 { // the canary is noise alone
			k.Lanes += s.Length
		}
		codec.Segments = append(codec.Segments, secagg.Segment{Name: s.Name, Length: s.Length, ScaleNum: 1, ScaleDen: 1})
	}
	params, err := secagg.NewParams(codec)
	if err != nil {
		return fmt.Errorf("forecast %s rounds: %w", k.Kind, err)
	}
	k.PayloadBytes = int64(params.PayloadBytes())
	if noised {
		k.PayloadBytes = int64(round.ClearBytes(params))
	}
	k.UploadBytes = k.PayloadBytes + int64(r.Committee.Of)*secagg.SealedShareBytes
	f.Kinds = append(f.Kinds, k)
	f.Sums += k.Rounds
	f.UploadBytes += k.Rounds * k.UploadBytes
	if noised {
		return nil
	}
	f.SeatBytes += k.Rounds * (int64(r.Contributors)*secagg.SealedShareBytes + secagg.ShareSumBytes)
	return nil
}

func (f *Forecast) epsilons(r *jobspec.Resolved) error {
	limit, err := r.Cap()
	if err != nil {
		return err
	}
	if f.Limit, err = limit.BudgetAt(f.Order); err != nil {
		return err
	}
	if f.Total, err = r.Cost(f.Order); err != nil {
		return err
	}
	delta := limit.Delta.Float()
	f.EpsilonFilter = accountant.EpsilonFromRDP(float64(f.Order), f.Total.Nats(), delta)
	report, err := accountant.Epsilon(r.Releases(), delta)
	if err != nil {
		return err
	}
	// Both are bounds. Where ε is large the report may not find a finite one.
	if f.EpsilonReport, err = r.GroupEpsilon(1, 1); err != nil {
		return err
	}
	f.EpsilonReport = min(f.EpsilonReport, report.Epsilon)
	if f.EpsilonRerun, err = r.GroupEpsilon(1, jobspec.MaxTries); err != nil {
		return err
	}
	if f.EpsilonTwice, err = r.GroupEpsilon(2, 1); err != nil {
		return err
	}
	for _, e := range []*float64{&f.EpsilonFilter, &f.EpsilonReport, &f.EpsilonRerun, &f.EpsilonTwice} {
		if !(*e < 1e6) {
			return fmt.Errorf("forecast: no meaningful ε at δ = %s", f.Delta)
		}
		*e = math.Ceil(*e*1e6) / 1e6
	}
	return nil
}
