// Package engine runs a participant: it asks the coordinator what to do, checks it, does it, and remembers it.
//
// The protocol's decisions are round.Member's; this package brings it its inputs (plans, evidence, sums over the frozen rows) and
// carries out its effects in order, each durable before the next. One loop does one task at a time, whatever the number of jobs.
// Nothing here listens.
package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"

	"tributary/crypto/identity"
	"tributary/participant/internal/client"
	"tributary/participant/internal/config"
	"tributary/participant/internal/store"
	"tributary/protocol/invite"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

const (
	longWait    = 25 * time.Second // of a long poll
	shortWait   = time.Second      // while a job waits for the operator, whose word comes through the database
	maxBackoff  = 3 * time.Second
	checkedLess = math.MaxUint32 // what a seat that lost its key says it has checked, so that it isn't asked
)

// Options are a node's parts. All are required.
type Options struct {
	Config      *config.Config
	Store       *store.Store
	Identity    *identity.Key
	Client      *client.Client
	Credentials *client.Credentials
	Log         *zap.Logger
	Now         func() time.Time
}

// Node is a running participant. It isn't safe for concurrent use.
type Node struct {
	Options
	self   wire.Member
	name   string
	epoch  uint64
	keys   *store.SeatKeys
	jobs   []*live
	frozen map[string]*frozen // by source id and contract

	retryWords time.Time // when words that the coordinator didn't take are offered again

	cosignDue   bool      // the ledger's newest checkpoint is to be cosigned
	retryCosign time.Time // when the coordinator is asked for it again

	last    string // signature of the last task
	repeats int    // how often it came in a row

	// observe, for tests, may stop the node before an effect is carried out, as a crash there would.
	observe func(round.Effect) error
}

// live is an open job.
type live struct {
	stored  *store.Job
	terms   *terms
	closed  *round.Job
	member  *round.Member // nil until the first plan, and after an error: then it is restored from the store
	noKey   bool          // a seat whose key is gone
	satOut  uint64        // a round that this member sits out
	refused string        // what this node found wrong, for the operator
	work    work
}

// New loads the open jobs.
func New(o Options) (*Node, error) {
	enrolment, err := o.Store.Enrolment()
	if err != nil {
		return nil, err
	}
	n := &Node{Options: o, self: o.Identity.Public(), name: enrolment.Name, keys: o.Store.SeatKeys(), frozen: map[string]*frozen{}, cosignDue: true}
	var random [8]byte
	rand.Read(random[:])
	n.epoch = binary.BigEndian.Uint64(random[:])
	if err := o.Store.StatePolicy(o.Identity, o.Config.Policy.Text()); err != nil {
		return nil, err
	}
	stored, err := o.Store.Jobs(true)
	if err != nil {
		return nil, err
	}
	for _, job := range stored {
		n.jobs = append(n.jobs, &live{stored: job})
	}
	return n, nil
}

// Run works until ctx ends, which is no error, or until the coordinator no longer admits the node.
func (n *Node) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		err := n.turn(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if failures > 0 {
				n.Log.Info("the coordinator answers again")
			}
			failures = 0
			continue
		case fatal(err):
			return err
		}
		n.Log.Warn("will try again", zap.Error(err), zap.Int("failures", failures+1))
		n.Client.RetryNow()
		if failures > 0 { // the first failure is retried at once
			sleep(ctx, backoff(failures))
		}
		failures++
	}
	return nil
}

// fatal tells what trying again won't change.
func fatal(err error) bool {
	return errors.Is(err, client.ErrUnauthorised) || errors.Is(err, invite.ErrWrongCA) || errors.Is(err, errStopped)
}

// errStopped ends the loop in tests.
var errStopped = errors.New("stopped")

func backoff(failures int) time.Duration {
	d := min(maxBackoff, 50*time.Millisecond<<min(failures, 10))
	return d/2 + mathrand.N(d/2)
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// turn does what is due and then the coordinator's next task.
func (n *Node) turn(ctx context.Context) error {
	if err := n.housekeeping(ctx); err != nil {
		return err
	}
	n.witness(ctx)
	head, err := n.Store.Head()
	if err != nil {
		return err
	}
	request := &pb.NextRequest{NodeEpoch: n.epoch, LedgerSize: uint64(head.Size), Holding: n.holding()}
	reply, err := n.Client.Next(ctx, request, n.wait())
	if err != nil {
		return err
	}
	switch what := reply.What.(type) {
	case *pb.NextReply_Cancel:
		return n.cancelled(what.Cancel)
	case *pb.NextReply_Task:
		n.pace(ctx, what.Task, request.Holding)
		return n.do(ctx, what.Task)
	}
	sleep(ctx, min(time.Duration(reply.WaitMs)*time.Millisecond, shortWait))
	return nil
}

// pace slows down when the same task comes again and again.
func (n *Node) pace(ctx context.Context, t *pb.Task, holding []*pb.Holding) {
	signature := fmt.Sprintf("%x %d %d", t.Job, t.Phase, t.Round)
	for _, h := range holding {
		if string(h.Job) == string(t.Job) {
			signature += fmt.Sprint(h.Round, h.Checked)
		}
	}
	if signature != n.last {
		n.last, n.repeats = signature, 0
		return
	}
	if n.repeats++; n.repeats > 1 {
		sleep(ctx, backoff(n.repeats))
	}
}

func (n *Node) holding() []*pb.Holding {
	var out []*pb.Holding
	for _, l := range n.jobs {
		h := &pb.Holding{Job: l.stored.Job[:]}
		rec := l.stored.Record
		if l.member != nil {
			now := l.member.Record()
			rec, h.Checked = &now, uint32(l.member.Checked())
		}
		switch {
		case l.stored.Status == store.Pending:
			h.Phase = pb.Phase_PHASE_APPROVE
		case rec != nil && rec.Round > 0:
			h.Phase, h.Round = pb.Phase_PHASE_PLAN, rec.Round
		}
		if l.noKey {
			h.Checked = checkedLess
		}
		out = append(out, h)
	}
	return out
}

func (n *Node) wait() time.Duration {
	wait := longWait
	if n.cosignDue {
		wait = shortWait
	}
	for _, l := range n.jobs {
		if l.stored.Status == store.Pending {
			wait = shortWait
		}
		if left := l.stored.Expires.Sub(n.Now()); left > 0 {
			wait = min(wait, left+10*time.Millisecond)
		}
	}
	return wait
}

func (n *Node) find(job []byte) *live {
	for _, l := range n.jobs {
		if string(l.stored.Job[:]) == string(job) {
			return l
		}
	}
	return nil
}

func (n *Node) drop(l *live) {
	n.jobs = slices.DeleteFunc(n.jobs, func(other *live) bool { return other == l })
}

// do carries out one task. What the protocol or the data forbid is answered by a signed refusal and is no error here.
func (n *Node) do(ctx context.Context, t *pb.Task) error {
	if len(t.Job) != len(wire.Digest{}) {
		return fmt.Errorf("%w: a task for a job of %d bytes", client.ErrAnswer, len(t.Job))
	}
	job := wire.Digest(t.Job)
	l := n.find(t.Job)
	if t.Phase == pb.Phase_PHASE_APPROVE {
		return n.proposed(ctx, job, l)
	}
	if l == nil || l.stored.Status != store.Approved {
		return n.unknown(ctx, job)
	}
	phase, err := "plan", error(nil)
	switch t.Phase {
	case pb.Phase_PHASE_PLAN:
		err = n.plan(ctx, l, t)
	case pb.Phase_PHASE_CHECK:
		phase, err = "check", n.check(ctx, l)
	case pb.Phase_PHASE_OPEN:
		phase, err = "open", n.open(ctx, l, t)
	case pb.Phase_PHASE_RELEASE:
		phase, err = "release", n.release(ctx, l, t)
	default:
		return fmt.Errorf("%w: a task of phase %d", client.ErrAnswer, t.Phase)
	}
	var refused *round.Refused
	if errors.As(err, &refused) {
		err = n.refuse(ctx, l, refused, phase)
		if phase == "release" && err == nil {
			err = n.end(l, store.Ended, "the last release was refused: "+refused.Reason)
		}
	}
	if err != nil {
		n.forget(l)
	}
	return err
}

// refuse sends a signed refusal: the rule and its hint; the reason stays here, since it may tell of data.
func (n *Node) refuse(ctx context.Context, l *live, r *round.Refused, phase string) error {
	l.refused = fmt.Sprintf("refused in %s (%s): %s", phase, r.Rule, r.Reason)
	n.Log.Warn("refused", zap.String("job", l.stored.Name), zap.String("phase", phase), zap.String("rule", string(r.Rule)), zap.String("reason", r.Reason))
	if l.member != nil {
		return n.send(ctx, l, l.member.Refusal(r, phase))
	}
	return n.send(ctx, l, wire.Sign(n.Identity, &wire.Refusal{Job: l.stored.Job, Phase: phase, Rule: string(r.Rule), Hint: r.Hint}))
}

// unknown answers a task in a job that this node doesn't take part in (any more).
func (n *Node) unknown(ctx context.Context, job wire.Digest) error {
	stored, err := n.Store.Job(job)
	if err == nil && len(stored.Refusal) > 0 {
		return n.deliver(ctx, stored)
	}
	n.Log.Warn("a task in a job that isn't open here", zap.String("job", fmt.Sprintf("%x", job[:6])))
	return n.send(ctx, &live{stored: &store.Job{Job: job}},
		wire.Sign(n.Identity, &wire.Refusal{Job: job, Phase: "plan", Rule: string(round.RuleApprovals), Hint: "The node hasn't approved this job, or has ended it."}))
}

// send records an object in the outbox and hands it in. The coordinator's no is logged: there is nothing more to do about it.
func (n *Node) send(ctx context.Context, l *live, e wire.Envelope) error {
	if err := n.Store.Sending(l.stored.Job, e.Kind.String(), int64(len(e.Bytes())), e.Digest()); err != nil {
		return err
	}
	err := n.Client.Put(ctx, e)
	if err == nil || errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrUnauthorised) || ctx.Err() != nil {
		return err
	}
	level := zap.WarnLevel
	if e.Kind == wire.TypeShareSum && errors.Is(err, client.ErrRefused) {
		level = zap.DebugLevel // a quorum was quicker
	}
	n.Log.Log(level, "the coordinator didn't take it", zap.String("object", e.Kind.String()), zap.Error(err))
	return nil
}
