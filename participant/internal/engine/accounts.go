package engine

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"go.uber.org/zap"

	"tributary/crypto/dp/accountant"
	"tributary/participant/internal/client"
	"tributary/participant/internal/store"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// Hints of budget refusals are fixed sentences: they are sent. The numbers stay here.
const (
	exactHint     = "The participant's data are protected by a privacy account: only private jobs run on them."
	noAccountHint = "The participant's data have no privacy account yet: its operator opens one with `tributary-participant budget open`."
	unitHint      = "The participant's privacy account counts another unit than the job: write its unit as privacy.unit, or ask for a source with an account of the job's."
	exhaustedHint = "The participant's privacy account can't pay for this: use more noise or fewer rounds, or ask its operator."
)

// wordsEvery is how long the coordinator is left alone with words that it didn't take.
const wordsEvery = time.Minute

// account finds the privacy account of a source: its own, or that of another source that reads the same file. nil: there is none.
func (n *Node) account(source string) (*store.Account, error) {
	for _, id := range append([]string{source}, n.Config.SameFile(source)...) {
		a, err := n.Store.Account(id)
		if !errors.Is(err, store.ErrNoAccount) {
			return a, err
		}
	}
	return nil, nil
}

// examineAccount checks that a job may run on a source: an exact one if it has no account, a private one if it has one that can pay for
// the whole job (G5).
func (n *Node) examineAccount(l *live, source string) (*store.Account, error) {
	a, err := n.account(source)
	switch {
	case err != nil:
		return nil, err
	case a != nil && !l.terms.private():
		return nil, refusal(round.RuleBudget, exactHint, "source %s has a privacy account: exact jobs are refused on it", source)
	case a == nil && l.terms.private():
		return nil, refusal(round.RuleBudget, noAccountHint, "source %s has no privacy account; run `tributary-participant budget open %s --epsilon E --delta D`", source, source)
	case a == nil:
		return nil, nil
	}
	for i := range l.terms.proposal.Manifest.Rounds {
		if l.terms.proposal.Manifest.Rounds[i].DP.Unit != a.Unit {
			return nil, refusal(round.RuleBudget, unitHint, "the job protects each %s, the account of source %s counts each %s", wire.UnitName(l.terms.proposal.Manifest.Rounds[i].DP.Unit), a.Source, wire.UnitName(a.Unit))
		}
	}
	if a.Unit == wire.UnitRecord && !n.Config.OneRecord(source) {
		return nil, refusal(round.RuleBudget, unitHint, "source %s and another one of its file don't mean the same by a record: one makes customers of its rows; keep one of them, or an account that was opened with --unit user or silo", source)
	}
	cost, err := l.terms.cost(a.Order)
	if err != nil {
		return nil, refusal(round.RuleBudget, exhaustedHint, "%v", err)
	}
	if cost > a.Left() {
		return nil, refusal(round.RuleBudget, exhaustedHint, "the job costs %.6g nats at order %d, the account of source %s has %.6g left of %.6g; `tributary-participant budget refill` adds to it",
			cost.Nats(), a.Order, a.Source, a.Left().Nats(), a.Budget().Nats())
	}
	return a, nil
}

// noAccount checks before each exact sum that no account was opened on the source.
func (n *Node) noAccount(l *live) error {
	_, err := n.examineAccount(l, l.stored.Source)
	return err
}

// cost is what the whole job costs an account of an order if no round is run again.
func (t *terms) cost(order accountant.Order) (accountant.Units, error) {
	total := uint64(0)
	for i := range t.proposal.Manifest.Rounds {
		r := &t.proposal.Manifest.Rounds[i]
		c, err := t.charge(r.Kind, order)
		if err != nil {
			return 0, err
		}
		over, units := bits.Mul64(uint64(c.Units()), uint64(r.MaxRounds))
		var carry uint64
		if total, carry = bits.Add64(total, units, 0); over != 0 || carry != 0 {
			return 0, fmt.Errorf("the job costs more than 2^64 units at order %d: %w", order, accountant.ErrExhausted)
		}
	}
	return accountant.Units(total), nil
}

// charge is what one sum costs.
func (t *terms) charge(kind wire.RoundKind, order accountant.Order) (accountant.Charge, error) {
	sum, err := t.proposal.ChargeOf(kind)
	if err != nil {
		return accountant.Charge{}, err
	}
	return accountant.ChargeFor(*sum, order)
}

// accountText tells the operator what a private job costs this participant's own account.
func accountText(t *terms, a *store.Account) string {
	cost, err := t.cost(a.Order)
	if err != nil || cost > a.Left() {
		return "" // such a job was refused
	}
	delta := a.Delta().Float()
	epsilon := func(u accountant.Units) float64 { return accountant.EpsilonFromRDP(float64(a.Order), u.Nats(), delta) }
	return fmt.Sprintf("\nThis participant's own account\nSource %s: this job costs %.4g nats of the %.4g left at order %d; %.4g are left after it. Each round that has to be run again costs its share again.\n"+
		"Everything that ever left source %s in private jobs then amounts to ε ≤ %.4g at δ = %s; the account allows %.4g.\n",
		a.Source, cost.Nats(), a.Left().Nats(), a.Order, (a.Left() - cost).Nats(), a.Source, epsilon(a.Spent+cost), a.Delta(), epsilon(a.Budget()))
}

// payer says what an effect charges, nil for nothing. An upload of a private job is never stored without a charge.
func (n *Node) payer(l *live, e round.Persist) (*store.Payer, error) {
	private := l.terms.private()
	if private != (e.Charge != nil) && e.Sealed != nil || e.Charge != nil && (!private || e.Sealed == nil) {
		return nil, errors.New("engine: an upload without its charge, or a charge without an upload")
	}
	if e.Charge == nil {
		return nil, nil
	}
	a, err := n.account(l.stored.Source)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, refusal(round.RuleBudget, noAccountHint, "source %s has no privacy account", l.stored.Source)
	}
	return &store.Payer{Key: n.Identity, Source: a.Source, Ctx: l.member.Context()}, nil
}

// sendCharge hands in the round's stored charge, after all that the coordinator must know before it; false if it isn't taken: then nothing
// of the upload may leave either.
func (n *Node) sendCharge(ctx context.Context, l *live) (bool, error) {
	round := l.member.Context()
	c, err := n.Store.ChargeOf(round)
	if err != nil {
		return false, fmt.Errorf("an upload without its charge: %w", err)
	}
	if c.Acknowledged { // before a restart, say; the same bytes again do no harm
		return n.say(ctx, store.Word{Envelope: c.Envelope, Job: c.Job, Source: c.Source})
	}
	if err := n.offer(ctx); err != nil {
		return false, err
	}
	if c, err = n.Store.ChargeOf(round); err == nil && !c.Acknowledged {
		n.Log.Warn("nothing is uploaded while the coordinator doesn't take its charge", zap.String("job", l.stored.Name))
	}
	return err == nil && c.Acknowledged, err
}

// words offers the coordinator, every now and then, what it hasn't acknowledged. That it can't be reached shows in the next call too.
func (n *Node) words(ctx context.Context) error {
	if n.Now().Before(n.retryWords) {
		return nil
	}
	err := n.offer(ctx)
	if errors.Is(err, client.ErrUnreachable) {
		n.retryWords = n.Now().Add(maxBackoff)
		return nil
	}
	return err
}

// offer hands in all that the coordinator hasn't acknowledged: openings and refills first, then charges in order, also those of rounds
// that are over, since the ledger's charges of an account form a chain. Behind one that isn't taken its account's wait.
func (n *Node) offer(ctx context.Context) error {
	words, err := n.Store.Words()
	if err != nil {
		return err
	}
	stuck := map[string]bool{}
	for _, w := range words {
		if stuck[w.Source] {
			continue
		}
		taken, err := n.say(ctx, w)
		if err != nil {
			return err
		}
		if !taken {
			stuck[w.Source], n.retryWords = true, n.Now().Add(wordsEvery)
		}
	}
	return nil
}

// gaps are the coordinator's answers to a word that follows others which it doesn't have (any more).
var gaps = [...]string{"account-unknown", "account-order", "charge-order", "policy-order"}

// say hands in one word and records its acknowledgement; false if it wasn't taken. Where it doesn't follow from what the coordinator
// has, all of the account's words (or all policies) are offered again from the first: they are idempotent.
func (n *Node) say(ctx context.Context, w store.Word) (bool, error) {
	e, err := wire.ParseEnvelope(w.Envelope)
	if err != nil {
		return false, err
	}
	if err := n.Store.Sending(w.Job, e.Kind.String(), int64(len(w.Envelope)), e.Digest()); err != nil {
		return false, err
	}
	err = n.Client.Put(ctx, e)
	if err == nil {
		return true, n.Store.Acknowledge(w.Envelope)
	}
	var remote *client.Error
	if errors.As(err, &remote) && slices.Contains(gaps[:], remote.Code) {
		n.Log.Warn("the coordinator lacks earlier words; they are sent again", zap.String("source", w.Source), zap.Error(err))
		return false, n.Store.Unacknowledge(w.Source)
	}
	if errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrUnauthorised) || ctx.Err() != nil {
		return false, err
	}
	n.Log.Warn("the coordinator didn't take it", zap.String("object", e.Kind.String()), zap.String("source", w.Source), zap.Error(err))
	return false, nil
}
