package engine

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"tributary/crypto/secagg"
	"tributary/participant/internal/config"
	"tributary/participant/internal/store"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// proposed answers the request to approve a job: at first sight it is checked and stored; later its answer is given again.
func (n *Node) proposed(ctx context.Context, job wire.Digest, l *live) error {
	if l != nil {
		return n.deliver(ctx, l.stored)
	}
	stored, err := n.Store.Job(job)
	if err == nil {
		return n.deliver(ctx, stored)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if len(n.jobs) >= maxOpenJobs {
		n.Log.Warn("too many jobs are open: a new one isn't looked at", zap.Int("open", len(n.jobs)))
		return nil
	}
	data, err := n.Client.Fetch(ctx, pb.FetchKind_FETCH_JOB, job, job, wire.MaxBundle)
	if err != nil {
		return err
	}
	return n.consider(ctx, job, data)
}

// maxOpenJobs is how many jobs a node waits for or runs at a time; what a coordinator can make it hold is bounded by it.
const maxOpenJobs = 64

// consider checks a new job, and stores it as pending or as refused. A pending one that the policy approves is approved at once.
func (n *Node) consider(ctx context.Context, job wire.Digest, data []byte) error {
	now := n.Now()
	stored := &store.Job{Job: job, Name: fmt.Sprintf("%x", job[:6]), Status: store.Pending, Bundle: data, Seen: now, Expires: now.Add(round.MaxLifeMs * 1e6)}
	l := &live{stored: stored}
	automatic, err := n.examine(ctx, l)
	var refused *round.Refused
	switch {
	case errors.As(err, &refused):
		e := wire.Sign(n.Identity, &wire.Refusal{Job: job, Phase: "approve", Rule: string(refused.Rule), Hint: refused.Hint})
		stored.Status, stored.Refusal, stored.Why = store.Refused, e.Bytes(), fmt.Sprintf("%s (%s)", refused.Reason, refused.Rule)
		n.Log.Warn("refused a job", zap.String("job", stored.Name), zap.String("rule", string(refused.Rule)), zap.String("reason", refused.Reason))
	case err != nil:
		return err
	}
	if automatic {
		stored.Decision = store.DecideAutomatic
	}
	stored.Bundle = []byte{}
	if stored.Status != store.Refused { // of a refused job nothing is kept but the refusal, of another its own four documents
		items, err := bundle(data)
		if err != nil {
			return err
		}
		kept := wire.Bundle{Items: items[:bundleItems]}
		stored.Bundle = kept.Bytes()
	}
	if err := n.Store.AddJob(stored); err != nil {
		return err
	}
	if stored.Status == store.Refused {
		return n.deliver(ctx, stored)
	}
	n.jobs = append(n.jobs, l)
	if automatic {
		return n.approve(ctx, l)
	}
	n.Log.Info("a job waits for `approve` or `deny`", zap.String("job", stored.Name), zap.String("why", stored.Why))
	return nil
}

// examine fills in the stored job and says whether the policy approves it by itself. A *round.Refused is this node's no.
func (n *Node) examine(ctx context.Context, l *live) (automatic bool, err error) {
	stored := l.stored
	accepted, err := n.Store.Charter()
	if errors.Is(err, store.ErrNotFound) {
		return false, refusal(round.RuleCharter, "The participant's operator hasn't accepted a charter: run `charter show`.", "no charter is accepted; run `charter show`, then `charter accept`")
	}
	if err != nil {
		return false, err
	}
	t, err := readTerms(stored.Job, accepted, stored.Bundle)
	if err != nil {
		return false, err
	}
	l.terms = t
	stored.Name, stored.Expires = t.resolved.Name, t.expires()
	if err := t.checkExpiry(n.Now()); err != nil {
		return false, err
	}
	if !t.proposal.NeedsApproval(n.self) {
		return false, refusal(round.RuleCohort, "", "this participant is neither in the cohort nor on the committee")
	}
	if err := checkPolicy(n.Config.Policy, t); err != nil {
		return false, err
	}
	var binding *config.Binding
	var account *store.Account
	var p precedents
	if t.proposal.InCohort(n.self) {
		if binding, p, err = n.examineData(ctx, l); err != nil {
			return false, err
		}
		if account, err = n.examineAccount(l, binding.ID); err != nil {
			return false, err
		}
	}
	stored.Text = n.approvalText(t, binding, account, p)
	switch {
	case len(p.otherCohorts) > 0:
		stored.Why = "another cohort took part on this source before"
	case p.changedSince != "":
		stored.Why = "the rows changed since job " + p.changedSince
	case t.resolved.Start != nil:
		stored.Why = fmt.Sprintf("it starts from the model %x, which isn't recomputed here", t.resolved.Start.Model[:6])
	case !n.Config.Policy.Automatic:
		stored.Why = "policy.approve is manual"
	}
	// Coefficients that someone chose could single a record out (G8): an operator approves a start from a model, by its digest.
	return n.Config.Policy.Automatic && p.automatic() && t.resolved.Start == nil, nil
}

// examineData checks the contract and reads the rows; for an exact job it freezes them and looks at what ran on them before.
func (n *Node) examineData(ctx context.Context, l *live) (*config.Binding, precedents, error) {
	t, id := l.terms, l.terms.resolved.Contract.String()
	binding, ok := n.Config.Binding(id)
	if !ok {
		return nil, precedents{}, refusal(round.RuleData, "The participant has no data bound to this contract.", "data binds nothing to contract %s", id)
	}
	own, err := LoadContract(binding.ContractFile)
	if err != nil {
		return nil, precedents{}, refusal(round.RuleData, "The participant's copy of the contract can't be read.", "%v", err)
	}
	if err := checkContract(t, own); err != nil {
		return nil, precedents{}, err
	}
	rows, err := n.rows(ctx, binding, own)
	if err != nil {
		return nil, precedents{}, err
	}
	if _, err := rows.Table(t.resolved.Holdout); err != nil {
		return nil, precedents{}, n.unfit(err)
	}
	l.stored.Source = binding.ID
	if t.private() {
		return binding, precedents{}, nil
	}
	uses, err := n.Store.Uses(n.Config.SameFile(binding.ID)...)
	if err != nil {
		return nil, precedents{}, err
	}
	l.stored.Rows = rows.Digest
	return binding, findPrecedents(uses, t, rows.Digest), nil
}

// approve makes the seat's key, stores key and approval, in this order, and only then sends the approval.
func (n *Node) approve(ctx context.Context, l *live) error {
	if err := n.load(l); err != nil {
		return err
	}
	job, p := l.stored.Job, l.terms.proposal
	var use *store.Use
	if p.InCohort(n.self) {
		if err := n.unchanged(ctx, l); err != nil {
			return n.decline(ctx, l, err)
		}
		if _, err := n.examineAccount(l, l.stored.Source); err != nil {
			return n.decline(ctx, l, err)
		}
		if !l.terms.private() {
			if err := n.asShown(l); err != nil {
				return n.decline(ctx, l, err)
			}
			use = &store.Use{Source: l.stored.Source, Contract: l.terms.resolved.Contract.String(), Name: l.stored.Name, Cohort: p.Manifest.Cohort, Rows: l.stored.Rows,
				Same: n.Config.SameFile(l.stored.Source)}
		}
	}
	approval := &wire.Approval{Job: job, Member: n.self}
	if p.Seat(n.self) != 0 {
		key, err := n.keys.Get(job)
		if err != nil {
			return err
		}
		if key == nil { // there is one if an earlier try stopped here
			if key, err = secagg.GenerateSeatKey(); err != nil {
				return err
			}
			if err := n.keys.Put(job, key); err != nil {
				return err
			}
		}
		approval.SeatKey = key.Public()
	}
	e := wire.Sign(n.Identity, approval)
	if err := n.Store.Approve(job, e.Bytes(), use); errors.Is(err, store.ErrAccountExists) {
		return n.decline(ctx, l, refusal(round.RuleBudget, exactHint, "%v", err))
	} else if err != nil {
		return err
	}
	l.stored.Status, l.stored.Approval = store.Approved, e.Bytes()
	n.Log.Info("approved a job", zap.String("job", l.stored.Name), zap.Bool("seat", p.Seat(n.self) != 0))
	return n.deliver(ctx, l.stored)
}

// asShown checks that what ran on the source before is still what the operator was told when the job was proposed: two jobs that wait at the same
// time may give a member away together, though neither does alone (G3).
func (n *Node) asShown(l *live) error {
	binding, ok := n.Config.Binding(l.terms.resolved.Contract.String())
	if !ok {
		return refusal(round.RuleData, "The participant has no data bound to this contract.", "data binds nothing to contract %s", l.terms.resolved.Contract)
	}
	uses, err := n.Store.Uses(n.Config.SameFile(l.stored.Source)...)
	if err != nil {
		return err
	}
	if n.approvalText(l.terms, binding, nil, findPrecedents(uses, l.terms, l.stored.Rows)) != l.stored.Text {
		return refusal(round.RulePolicy, "Another job was approved on the same source since this one was proposed: submit it again, so that its operator sees both.",
			"what ran on source %s changed since the job was proposed", l.stored.Source)
	}
	return nil
}

// decline refuses a pending job: an error that isn't a *round.Refused is returned as it is.
func (n *Node) decline(ctx context.Context, l *live, cause error) error {
	var r *round.Refused
	if !errors.As(cause, &r) {
		return cause
	}
	e := wire.Sign(n.Identity, &wire.Refusal{Job: l.stored.Job, Phase: "approve", Rule: string(r.Rule), Hint: r.Hint})
	if err := n.Store.Refuse(l.stored.Job, e.Bytes(), fmt.Sprintf("%s (%s)", r.Reason, r.Rule)); err != nil {
		return err
	}
	n.Log.Warn("refused a job", zap.String("job", l.stored.Name), zap.String("rule", string(r.Rule)), zap.String("reason", r.Reason))
	l.stored.Status, l.stored.Refusal, l.stored.Delivered = store.Refused, e.Bytes(), false
	n.drop(l)
	if err := n.keys.Erase(l.stored.Job); err != nil {
		return err
	}
	return n.deliver(ctx, l.stored)
}

// deliver sends a stored approval or refusal, always the same bytes.
func (n *Node) deliver(ctx context.Context, stored *store.Job) error {
	data := stored.Approval
	if stored.Status == store.Refused {
		data = stored.Refusal
	}
	if data == nil {
		return nil
	}
	e, err := wire.ParseEnvelope(data)
	if err != nil {
		return err
	}
	if err := n.send(ctx, &live{stored: stored}, e); err != nil {
		return err
	}
	stored.Delivered = true
	return n.Store.Delivered(stored.Job)
}
