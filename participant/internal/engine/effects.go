package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"go.uber.org/zap"

	"tributary/crypto/dp/accountant"
	"tributary/participant/internal/client"
	"tributary/participant/internal/store"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// carry carries out effects in their order; each is durable or sent before the next begins.
func (n *Node) carry(ctx context.Context, l *live, effects []round.Effect) error {
	for _, effect := range effects {
		if n.observe != nil {
			if err := n.observe(effect); err != nil {
				return err
			}
		}
		var err error
		switch e := effect.(type) {
		case round.Train:
			err = n.train(ctx, l, e)
		case round.Persist:
			err = n.persist(l, e)
		case round.Seal:
			err = n.step(ctx, l, e.Next)
		case round.SendUpload:
			err = n.upload(ctx, l, e.Upload)
		case round.Send:
			err = n.send(ctx, l, e.Envelope)
		case round.EraseSeatKey:
			err = n.keys.Erase(l.stored.Job)
		default:
			err = fmt.Errorf("engine: unknown effect %T", effect)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// persist stores a record; in a private job an upload is charged in the same transaction, or not stored (G5).
func (n *Node) persist(l *live, e round.Persist) error {
	by, err := n.payer(l, e)
	if err != nil {
		return err
	}
	if err := n.Store.Persist(l.stored.Job, e, by); errors.Is(err, accountant.ErrExhausted) {
		return refusal(round.RuleBudget, exhaustedHint, "%v", err)
	} else if err != nil {
		return err
	}
	record := e.Record
	l.stored.Record = &record
	return nil
}

// step feeds an input that follows from an effect.
func (n *Node) step(ctx context.Context, l *live, in round.Input) error {
	effects, err := l.member.Step(in)
	if err != nil {
		return err
	}
	return n.carry(ctx, l, effects)
}

// contribution makes the machine's input: the noised sum of a private job, the sums of an exact one. nil: this member sits the round out.
// A fault of one job's training is refused like data that can't serve it, and doesn't end the node, which would meet it again at its next
// start: nothing is sent.
func (n *Node) contribution(ctx context.Context, l *live, e round.Train) (in round.Input, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			n.Log.Error("training", zap.String("job", l.stored.Name), zap.Any("panic", broken), zap.Stack("stack"))
			l.work = work{} // whatever was half done
			in, err = nil, refusal(round.RuleData, "A fault of the participant's program stopped the training: its log has more.", "training stopped: %v", broken)
		}
	}()
	if l.terms.private() {
		return n.noisedSum(ctx, l, e)
	}
	if err := n.noAccount(l); err != nil {
		return nil, err
	}
	segments, err := n.sums(ctx, l, e.State)
	if err != nil {
		return nil, err
	}
	return round.Trained{Segments: segments}, nil
}

// forget throws the machine away: whatever it did that isn't stored didn't happen.
func (n *Node) forget(l *live) error {
	l.member = nil
	fresh, err := n.Store.Job(l.stored.Job)
	if err == nil {
		l.stored = fresh
	}
	return err
}

// train computes the local sums; why there are none is told to the coordinator as rule and hint only.
func (n *Node) train(ctx context.Context, l *live, e round.Train) error {
	started := n.Now()
	input, err := n.contribution(ctx, l, e)
	var refused *round.Refused
	if errors.As(err, &refused) {
		l.refused = fmt.Sprintf("refused in train (%s): %s", refused.Rule, refused.Reason)
		n.Log.Warn("refused", zap.String("job", l.stored.Name), zap.String("phase", "train"), zap.String("rule", string(refused.Rule)), zap.String("reason", refused.Reason))
		return n.step(ctx, l, round.TrainingFailed{Rule: refused.Rule, Reason: refused.Reason, Hint: refused.Hint})
	}
	if err != nil || input == nil {
		return err
	}
	err = n.step(ctx, l, input)
	if errors.As(err, &refused) {
		if err := n.refuse(ctx, l, refused, "train"); err != nil {
			return err
		}
		return n.forget(l)
	}
	n.Log.Debug("trained", zap.String("job", l.stored.Name), zap.Duration("took", n.Now().Sub(started)))
	return err
}

// upload sends the stored bytes, from where the coordinator says that it stands; in a private job after their charge.
func (n *Node) upload(ctx context.Context, l *live, e wire.Envelope) error {
	if l.terms.private() {
		if sent, err := n.sendCharge(ctx, l); err != nil || !sent {
			return err
		}
	}
	sealed, err := n.Store.Sealed(l.stored.Job)
	if err != nil {
		return err
	}
	size := len(sealed.Payload) + len(e.Bytes())
	for _, share := range sealed.Shares {
		size += len(share)
	}
	if err := n.Store.Sending(l.stored.Job, e.Kind.String(), int64(size), e.Digest()); err != nil {
		return err
	}
	err = n.Client.Upload(ctx, client.Upload{Job: l.stored.Job, Ctx: l.member.Context(), Envelope: e, Sealed: sealed, Coordinator: l.terms.charter.Coordinator})
	if errors.Is(err, client.ErrRefused) || errors.Is(err, client.ErrInvalid) {
		// The round may be over for reasons of its own; the next task tells.
		n.Log.Warn("the coordinator didn't take the upload", zap.String("job", l.stored.Name), zap.Error(err))
		return nil
	}
	if err == nil {
		n.Log.Info("uploaded", zap.String("job", l.stored.Name), zap.Uint64("round", l.member.Record().Round), zap.Int("bytes", size))
	}
	return err
}

// finish ends a job whose last release was verified, and has the ledger that holds it cosigned.
func (n *Node) finish(l *live, why string) error {
	n.cosignDue = true
	return n.end(l, store.Finished, why)
}

// end erases the job's seat key, then closes the job.
func (n *Node) end(l *live, status store.Status, why string) error {
	if err := n.keys.Erase(l.stored.Job); err != nil {
		return err
	}
	if l.refused != "" && status != store.Finished {
		why = l.refused + "; " + why
	}
	if err := n.Store.End(l.stored.Job, status, why); err != nil {
		return err
	}
	n.drop(l)
	n.Log.Info("job over", zap.String("job", l.stored.Name), zap.String("status", string(status)), zap.String("why", why))
	return nil
}

// over ends a job without a last release: the record first, then the key.
func (n *Node) over(l *live, input round.Input, why string) error {
	if l.member != nil {
		effects, err := l.member.Step(input)
		if err != nil {
			return err
		}
		if err := n.carry(context.Background(), l, effects); err != nil {
			return err
		}
	}
	return n.end(l, store.Ended, why)
}

// outcomes are wire's, in words.
var outcomes = [...]string{wire.OutcomeCompleted: "completed", wire.OutcomeAborted: "aborted", wire.OutcomeCancelled: "cancelled", wire.OutcomeExpired: "expired"}

func (n *Node) cancelled(c *pb.Cancel) error {
	l := n.find(c.Job)
	if l == nil {
		return nil
	}
	why := "ended"
	if int(c.Outcome) < len(outcomes) && outcomes[c.Outcome] != "" {
		why = outcomes[c.Outcome]
	}
	if c.Reason != "" {
		why += ": " + printable(c.Reason)
	}
	return n.over(l, round.Ended{}, why)
}

// printable cuts a text that nobody signed to what a terminal can show without harm.
func printable(text string) string {
	const most = 512 // bytes
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text[:min(len(text), most)])
	return strings.ToValidUTF8(text, "")
}

// housekeeping does what needs no task: words of accounts that didn't arrive, expiry by the own clock, the operator's decisions, deliveries that didn't arrive, and the
// certificate's renewal.
func (n *Node) housekeeping(ctx context.Context) error {
	now := n.Now()
	if err := n.words(ctx); err != nil {
		return err
	}
	for _, l := range append([]*live(nil), n.jobs...) {
		if !now.Before(l.stored.Expires) {
			if err := n.over(l, round.Tick{NowMs: uint64(now.UnixMilli())}, "expired by this node's clock"); err != nil {
				return err
			}
			continue
		}
		if l.stored.Status == store.Pending {
			if err := n.decided(ctx, l); err != nil {
				return err
			}
		} else if !l.stored.Delivered {
			if err := n.deliver(ctx, l.stored); err != nil {
				return err
			}
		}
	}
	if !n.Credentials.RenewalDue(now) {
		return nil
	}
	return n.renew(ctx)
}

// decided carries out the operator's word on a pending job.
func (n *Node) decided(ctx context.Context, l *live) error {
	stored, err := n.Store.Job(l.stored.Job)
	if err != nil {
		return err
	}
	l.stored = stored
	switch stored.Decision {
	case store.DecideApprove, store.DecideAutomatic:
		err = n.approve(ctx, l)
	case store.DecideDeny:
		err = n.decline(ctx, l, &round.Refused{Rule: round.RulePolicy, Reason: "denied by this node's operator: " + stored.Reason, Hint: "The participant's operator denied the job."})
	}
	return err
}

// renew replaces the certificate. While the old one still serves, failing to is only logged.
func (n *Node) renew(ctx context.Context) error {
	chain, err := n.Client.Renew(ctx, n.name)
	if err == nil {
		err = n.Store.WriteFile(store.ChainFile, client.EncodeChain(chain))
	}
	if err == nil {
		err = n.Client.Use(chain)
	}
	if err != nil {
		if n.Credentials.NotAfter().After(n.Now()) && !errors.Is(err, client.ErrUnauthorised) {
			n.Log.Warn("the certificate couldn't be renewed yet", zap.Error(err), zap.Time("ends", n.Credentials.NotAfter()))
			return nil
		}
		return err
	}
	n.Log.Info("certificate renewed", zap.Time("ends", n.Credentials.NotAfter()))
	return nil
}
