package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"

	"tributary/coordinator/internal/store"
	"tributary/protocol/jobspec"
	"tributary/protocol/ledger"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// Request is a job as a data scientist submits it.
type Request struct {
	Spec, Contract []byte // YAML
	Token          string // the same token is the same job
	By             string
}

// Problem is a problem in one of a request's two files.
type Problem struct {
	jobspec.Problem
	File string // spec or contract
}

// checked is a request that has no problems under a charter.
type checked struct {
	resolved *jobspec.Resolved
	contract *jobspec.Contract
	charter  store.Charter
	members  []wire.CharterMember // of the charter, without the revoked
}

// Validate resolves a request under the newest charter, or tells every problem.
func (e *Engine) Validate(ctx context.Context, r Request) (*jobspec.Resolved, []Problem, error) {
	c, problems, err := e.check(ctx, r)
	if err != nil || len(problems) > 0 {
		return nil, problems, err
	}
	return c.resolved, nil, nil
}

func (e *Engine) check(ctx context.Context, r Request) (*checked, []Problem, error) {
	c := &checked{}
	revoked := map[wire.Member]bool{}
	err := e.Store.View(ctx, func(t *store.Tx) (err error) {
		if c.charter, err = t.NewestCharter(); err != nil {
			return err
		}
		members, err := t.Members()
		for i := range members {
			revoked[members[i].Card.Key] = members[i].RevokedMs != 0
		}
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, fail(Precondition, "no-charter", "Enrol the participants, then run `tributary charter propose --f N`.", "there is no charter yet")
	}
	if err != nil {
		return nil, nil, err
	}
	options := jobspec.Options{F: int(c.charter.F), Members: []string{}, Start: func(model [32]byte, program []byte) ([]float64, error) {
		return e.startFrom(ctx, model, program)
	}}
	for _, m := range c.charter.Members {
		if revoked[m.Card.Key] {
			continue
		}
		c.members = append(c.members, m)
		if m.Role.HasData() {
			options.Members = append(options.Members, m.Card.Name)
		}
		if m.Role.HasSeat() {
			options.Seats++
		}
	}
	contract, found := jobspec.ParseContract(r.Contract)
	problems := inFile("contract", found)
	spec, found := jobspec.ParseSpec(r.Spec)
	problems = append(problems, inFile("spec", found)...)
	if len(problems) > 0 {
		return nil, problems, nil
	}
	c.contract = contract
	c.resolved, found = jobspec.Resolve(spec, contract, options)
	return c, inFile("spec", found), nil
}

func inFile(file string, found []jobspec.Problem) (out []Problem) {
	for _, p := range found {
		out = append(out, Problem{p, file})
	}
	return out
}

// Submit proposes a job to its cohort. The same token gives the same job again.
func (e *Engine) Submit(ctx context.Context, r Request) (id wire.Digest, existing bool, problems []Problem, err error) {
	if len(r.Token) < 8 || len(r.Token) > 128 {
		return id, false, nil, fail(Invalid, "submit-token", "Leave --token out to have one made.", "a submit token of %d bytes, want 8 to 128", len(r.Token))
	}
	e.submit.Lock()
	defer e.submit.Unlock()
	request := wire.Hash("submit", r.Spec, r.Contract)
	var before *store.Job
	err = e.Store.View(ctx, func(t *store.Tx) (err error) {
		before, err = t.JobByToken(r.Token)
		return err
	})
	switch {
	case err == nil && before.Request != request:
		return id, false, nil, fail(Invalid, "submit-token", "Use a new token for a new job.", "the submit token was used for another job, %s", hex.EncodeToString(before.ID[:6]))
	case err == nil:
		return before.ID, true, nil, nil
	case !errors.Is(err, store.ErrNotFound):
		return id, false, nil, err
	}
	c, problems, err := e.check(ctx, r)
	if err != nil || len(problems) > 0 {
		return id, false, problems, err
	}
	j, err := e.propose(c)
	if err != nil {
		return id, false, nil, err
	}
	j.row.SubmittedBy, j.row.SubmitToken, j.row.Request, j.row.Spec = r.By, r.Token, request, r.Spec
	state := j.model.InitialState()
	err = e.Store.Update(context.WithoutCancel(ctx), "commit/submit", func(t *store.Tx) error {
		if err := t.PutJob(&j.row, state); err != nil {
			return err
		}
		if _, err := e.logEntry(t, ledger.Job, j.row.Manifest); err != nil {
			return err
		}
		return t.PutEvent(j.row.ID, &store.Event{AtMs: j.row.SubmittedMs, Phase: "approve", Message: "waiting for approvals", Status: j.row.Status})
	})
	if err != nil {
		return id, false, nil, err
	}
	e.add(j)
	e.changed()
	return j.row.ID, false, nil, nil
}

// propose makes the manifest, and checks it as every member will.
func (e *Engine) propose(c *checked) (*job, error) {
	if n := c.resolved.Committee.Of; n > wire.MaxSeats {
		return nil, fail(Invalid, "committee", "Use a smaller committee; 7 of 10 stands f = 3.", "a committee of %d, at most %d", n, wire.MaxSeats)
	}
	// What is stored must be readable again, by every member and after a restart.
	if _, err := jobspec.ParseResolved(c.resolved.Canonical()); err != nil {
		return nil, fail(Invalid, "resolved", "", "the resolved job can't be read again: %v", err)
	}
	m, err := newModel(c.resolved.Program())
	if err != nil {
		return nil, fail(Invalid, "program", "", "the job can't be run: %v", err)
	}
	now := e.nowMs()
	d := round.Draft{SpecDigest: c.resolved.Digest(), ContractDigest: c.contract.Digest(), Threshold: c.resolved.Committee.Threshold, Bits: c.resolved.Bits,
		NowMs: now, ExpiresMs: now + uint64(c.resolved.Expires.Milliseconds()), RoundMs: uint64(c.resolved.RoundTimeout.Milliseconds())}
	if _, err := rand.Read(d.Nonce[:]); err != nil {
		return nil, err
	}
	for i := range c.members { // in the charter's order, which is by key
		card := &c.members[i].Card
		if slices.Contains(c.resolved.Participants, card.Name) {
			d.Cohort = append(d.Cohort, card.Key)
		}
		if c.members[i].Role.HasSeat() && len(d.Seats) < c.resolved.Committee.Of {
			d.Seats = append(d.Seats, card.Key)
		}
	}
	terms := termsOf(c.resolved)
	manifest, err := round.NewManifest(c.charter.Charter, m, terms, d)
	if err != nil {
		return nil, err
	}
	env := wire.Sign(e.Key, manifest)
	p, err := round.OpenManifest(c.charter.Charter, m, terms, &env)
	if err != nil {
		return nil, err
	}
	j := &job{proposal: p, envelope: env, model: m, machine: round.NewCoordinator(e.Key, p, d.NowMs)}
	j.row = store.Job{ID: p.Job, Name: c.resolved.Name, SubmittedMs: int64(now), Charter: c.charter.Digest(), Manifest: env.Bytes(),
		Resolved: c.resolved.Canonical(), Contract: c.contract.Canonical(), Status: string(round.Proposed), State: round.StateDigest(m.InitialState())}
	return j, nil
}
