package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"tributary/crypto/identity"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// fake is a coordinator in memory: round.Coordinator behind the real service, with the simplest possible storage.
type fake struct {
	pb.UnimplementedParticipantServer
	t       *testing.T
	key     *identity.Key
	charter *wire.Charter
	members map[string]wire.Member // by certificate name

	mu        sync.Mutex // guards all below
	jobs      []*fakeJob
	log       ledger.Memory
	wake      chan struct{}
	refusals  []wire.Refusal
	puts      map[wire.Type]int
	uploads   map[wire.Member][]wire.Digest // envelopes' digests, in order, one entry an upload stream
	fetched   map[pb.FetchKind]int
	onTask    func(member wire.Member, t *pb.Task)  // may change what is shown, if set
	forget    func(in *pb.FetchReleaseRequest) bool // whether to show another entry for a release, if set
	forge     func(state []byte) []byte             // what is given in place of a last state, if set
	said      []said                                // every object that was put and every upload's header, in order
	accounts  []wire.Account
	policies  []wire.Policy
	asked     map[wire.Member]int // how often a member asked for work since its last policy: before, it keeps that the policy has arrived
	charges   []wire.Charge       // distinct
	charged   map[wire.Digest]bool
	deaf      bool                // refuses accounts
	partsLeft map[wire.Member]int // of a member's next upload stream, then it breaks

	witnessed *log // nil: a coordinator that knows no witnesses
}

// said is an envelope as it arrived.
type said struct {
	by     wire.Member
	kind   wire.Type
	digest wire.Digest
}

type fakeJob struct {
	id        wire.Digest
	items     [][]byte
	machine   *round.Coordinator
	spool     map[wire.Digest][]byte // payload by its digest
	partial   map[wire.Digest][]byte // payload by the upload's digest
	shares    map[wire.Digest][][]byte
	evidence  map[wire.Digest]*round.Evidence
	entries   map[wire.Digest]int64
	last      *wire.Envelope
	approvals [][]byte
}

func (f *fake) now() round.Now {
	head, err := ledger.CurrentHead(&f.log)
	if err != nil {
		f.t.Error(err)
	}
	return round.Now{Ms: uint64(time.Now().UnixMilli()), Head: head}
}

func (f *fake) append(kind ledger.Kind, object []byte) int64 {
	at, err := ledger.Append(&f.log, ledger.Entry{Kind: kind, AtMs: 1, Object: object})
	if err != nil {
		f.t.Error(err)
	}
	return at
}

// propose makes a job of a spec.
func (f *fake) propose(spec *jobspec.Resolved, contract *jobspec.Contract, cohort, seats []wire.Member, change func(*wire.Manifest)) wire.Digest {
	f.t.Helper()
	program, err := optim.ParseProgram(spec.Program())
	if err != nil {
		f.t.Fatal(err)
	}
	now := uint64(time.Now().UnixMilli())
	privacy, err := (&terms{resolved: spec, program: program}).privacy()
	if err != nil {
		f.t.Fatal(err)
	}
	m, err := round.NewManifest(f.charter, program, privacy, round.Draft{SpecDigest: spec.Digest(), ContractDigest: contract.Digest(), Cohort: cohort, Seats: seats,
		Threshold: spec.Committee.Threshold, Bits: spec.Bits, NowMs: now, ExpiresMs: now + uint64(spec.Expires.Milliseconds()), RoundMs: uint64(spec.RoundTimeout.Milliseconds())})
	if err != nil {
		f.t.Fatal(err)
	}
	if change != nil {
		change(m)
	}
	e, charter := wire.Sign(f.key, m), wire.Sign(f.key, f.charter)
	j := &fakeJob{id: m.Digest(), spool: map[wire.Digest][]byte{}, partial: map[wire.Digest][]byte{}, shares: map[wire.Digest][][]byte{},
		evidence: map[wire.Digest]*round.Evidence{}, entries: map[wire.Digest]int64{}}
	j.items = [][]byte{e.Bytes(), spec.Canonical(), contract.Canonical(), charter.Bytes()}
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, err := round.OpenManifest(f.charter, program, privacy, &e); err == nil {
		j.machine = round.NewCoordinator(f.key, p, now)
	}
	f.append(ledger.Job, e.Bytes())
	f.jobs = append(f.jobs, j)
	f.broadcast()
	return j.id
}

func (f *fake) broadcast() { close(f.wake); f.wake = make(chan struct{}) }

func (f *fake) job(id []byte) *fakeJob {
	for _, j := range f.jobs {
		if string(j.id[:]) == string(id) {
			return j
		}
	}
	return nil
}

// step feeds the machine and carries out its effects; f.mu is held.
func (f *fake) step(j *fakeJob, in round.CoordinatorInput) error {
	before := j.machine.View()
	effects, err := j.machine.Step(f.now(), in)
	if err != nil {
		var refused *round.Refused
		if errors.As(err, &refused) {
			return status.Error(codes.FailedPrecondition, refused.Error())
		}
		return err
	}
	opened := false
	for _, effect := range effects {
		switch e := effect.(type) {
		case round.Log:
			at := f.append(e.Kind, e.Object)
			if e.Kind == ledger.Release {
				j.released(before, e.Object, at)
			}
			if e.Kind == ledger.Approval {
				j.approvals = append(j.approvals, e.Object)
			}
		case round.OpenNow:
			opened = true
		}
	}
	if opened {
		opening, err := j.machine.Open(func(d wire.Digest) ([]byte, error) { return j.spool[d], nil })()
		var in round.CoordinatorInput = round.Opened{Opening: opening}
		if err != nil {
			in = round.NotOpened{Err: err}
		}
		if err := f.step(j, in); err != nil {
			return err
		}
	}
	f.broadcast()
	return nil
}

func (j *fakeJob) released(before round.View, object []byte, at int64) {
	e, _ := wire.ParseEnvelope(object)
	var r wire.Release
	e.Open(&r)
	v := &round.Evidence{Plan: *before.Plan, Roster: *before.Roster, Release: e, ShareSums: slices.Clone(before.ShareSums)}
	v.Uploads = slices.Clone(before.Uploads)
	slices.SortFunc(v.Uploads, func(a, b wire.Envelope) int { return a.Signer.Compare(b.Signer) })
	j.evidence[r.Digest()], j.entries[r.Digest()], j.last = v, at, &e
}

func (f *fake) view(id wire.Digest) round.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.job(id[:]).machine.View()
}

// tick lets the machines' clocks run until ctx ends.
func (f *fake) tick(ctx context.Context) {
	for ctx.Err() == nil {
		f.mu.Lock()
		for _, j := range f.jobs {
			if j.machine != nil && !j.machine.View().Status.Final() && uint64(time.Now().UnixMilli()) >= j.machine.NextClock() {
				if err := f.step(j, round.Clock{}); err != nil {
					f.t.Error(err)
				}
			}
		}
		f.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
	}
}

func (f *fake) caller(ctx context.Context) wire.Member {
	p, _ := peer.FromContext(ctx)
	info := p.AuthInfo.(credentials.TLSInfo)
	return f.members[info.State.PeerCertificates[0].Subject.CommonName]
}

func (f *fake) Next(ctx context.Context, in *pb.NextRequest) (*pb.NextReply, error) {
	self := f.caller(ctx)
	timeout := time.After(time.Duration(in.MaxWaitMs) * time.Millisecond)
	f.mu.Lock()
	f.asked[self]++
	f.mu.Unlock()
	for {
		f.mu.Lock()
		reply, wake := f.next(self, in), f.wake
		f.mu.Unlock()
		if reply != nil {
			return reply, nil
		}
		select {
		case <-wake:
		case <-timeout:
			return &pb.NextReply{}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (f *fake) next(self wire.Member, in *pb.NextRequest) *pb.NextReply {
	for _, j := range f.jobs {
		held := (*pb.Holding)(nil)
		for _, h := range in.Holding {
			if string(h.Job) == string(j.id[:]) {
				held = h
			}
		}
		if j.machine == nil { // a job that no honest coordinator would make
			if held == nil && len(f.refusals) == 0 {
				return &pb.NextReply{What: &pb.NextReply_Task{Task: &pb.Task{Job: j.id[:], Phase: pb.Phase_PHASE_APPROVE, Object: j.items[0]}}}
			}
			continue
		}
		holds := round.Holds{}
		if held != nil {
			holds = round.Holds{Round: held.Round, Phase: round.TaskPhase(held.Phase), Checked: int(held.Checked)}
			f.step(j, round.CheckedCame{Member: self, Round: held.Round, Uploads: int(held.Checked)})
		}
		v := j.machine.View()
		if v.Status.Final() && held == nil {
			continue
		}
		if v.Status.Final() && v.Status != round.Completed {
			return &pb.NextReply{What: &pb.NextReply_Cancel{Cancel: &pb.Cancel{Job: j.id[:], Reason: v.Reason, Outcome: wire.OutcomeAborted}}}
		}
		phase, object := j.machine.Task(self, holds)
		if phase == round.TaskNone {
			continue
		}
		if phase == round.TaskRelease {
			object = j.last
		}
		task := &pb.Task{Job: j.id[:], Round: v.Round, Phase: pb.Phase(phase)}
		if object != nil {
			task.Object = object.Bytes()
		}
		if phase == round.TaskPlan {
			var p wire.Plan
			object.Open(&p)
			from, to := min(int64(in.LedgerSize), int64(p.LedgerSize)), max(int64(in.LedgerSize), int64(p.LedgerSize))
			proof, err := ledger.ProveConsistency(&f.log, from, to)
			if err != nil {
				f.t.Error(err)
			}
			for _, h := range proof {
				task.ConsistencyProof = append(task.ConsistencyProof, h[:])
			}
		}
		if f.onTask != nil {
			f.onTask(self, task)
		}
		return &pb.NextReply{What: &pb.NextReply_Task{Task: task}}
	}
	return nil
}

func (f *fake) Put(ctx context.Context, in *pb.PutRequest) (*pb.PutReply, error) {
	e, err := wire.ParseEnvelope(in.Object)
	if err != nil || e.Signer != f.caller(ctx) {
		return nil, status.Error(codes.InvalidArgument, "not an envelope of the caller's")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.puts[e.Kind]++
	f.said = append(f.said, said{e.Signer, e.Kind, e.Digest()})
	if e.Kind == wire.TypeAccount {
		var a wire.Account
		if f.deaf || e.Open(&a) != nil || a.Member != e.Signer {
			return nil, status.Error(codes.FailedPrecondition, "not a member's account")
		}
		f.accounts = append(f.accounts, a)
		return &pb.PutReply{}, nil
	}
	if e.Kind == wire.TypePolicy {
		var p wire.Policy
		if e.Open(&p) != nil || p.Member != e.Signer {
			return nil, status.Error(codes.InvalidArgument, "not a member's policy")
		}
		f.policies, f.asked[p.Member] = append(f.policies, p), 0
		return &pb.PutReply{}, nil
	}
	for _, j := range f.jobs {
		var input round.CoordinatorInput
		switch e.Kind {
		case wire.TypeApproval:
			var a wire.Approval
			if e.Open(&a) != nil || a.Job != j.id {
				continue
			}
			input = round.ApprovalCame{Envelope: e}
		case wire.TypeRefusal:
			var r wire.Refusal
			if e.Open(&r) != nil || r.Job != j.id {
				continue
			}
			f.refusals = append(f.refusals, r)
			input = round.RefusalCame{Envelope: e}
		case wire.TypeCharge:
			var g wire.Charge
			if e.Open(&g) != nil || g.Job != j.id {
				continue
			}
			if !slices.ContainsFunc(f.accounts, func(a wire.Account) bool { return a.Account == g.Account }) {
				s, _ := status.New(codes.Unavailable, "no such account").WithDetails(&pb.Error{Code: "account-unknown", Message: "a charge to an account that the ledger doesn't have"})
				return nil, s.Err()
			}
			input = round.ChargeCame{Envelope: e}
			if !f.charged[e.Digest()] {
				f.charged[e.Digest()] = true
				f.charges = append(f.charges, g)
			}
			if g.Ctx != j.machine.View().Context { // of a round that is over: kept all the same
				return &pb.PutReply{}, nil
			}
		case wire.TypeShareSum:
			input = round.ShareSumCame{Envelope: e}
			var s wire.ShareSum
			if e.Open(&s) != nil || s.Ctx != j.machine.View().Context {
				continue
			}
		case wire.TypeComplaint:
			input = round.ComplaintCame{Envelope: e}
		}
		if j.machine == nil {
			return &pb.PutReply{}, nil
		}
		return &pb.PutReply{}, f.step(j, input)
	}
	return nil, status.Error(codes.NotFound, "no such job")
}

func (f *fake) Fetch(in *pb.FetchRequest, stream grpc.ServerStreamingServer[pb.FetchChunk]) error {
	f.mu.Lock()
	j := f.job(in.Job)
	f.fetched[in.Kind]++
	var data []byte
	switch {
	case j == nil:
	case in.Kind == pb.FetchKind_FETCH_JOB:
		b := wire.Bundle{Items: append(slices.Clone(j.items), j.approvals...)}
		data = b.Bytes()
	case in.Kind == pb.FetchKind_FETCH_EVIDENCE:
		if v := j.evidence[wire.Digest(in.Digest)]; v != nil {
			b := v.Bundle()
			data = b.Bytes()
		}
	case in.Kind == pb.FetchKind_FETCH_STATE:
		if view := j.machine.View(); round.StateDigest(view.State) == wire.Digest(in.Digest) {
			if data = view.State; f.forge != nil && view.Status.Final() {
				data = f.forge(data)
			}
		}
	case in.Kind == pb.FetchKind_FETCH_PAYLOAD:
		data = j.spool[wire.Digest(in.Digest)]
	}
	f.mu.Unlock()
	if data == nil {
		return status.Error(codes.NotFound, "no such object")
	}
	const chunk = 4096
	for at, n := int(in.Offset), 0; at < len(data); at, n = at+chunk, n+1 {
		if n == 3 && in.Offset == 0 { // every longer transfer breaks once
			return status.Error(codes.Unavailable, "broken off")
		}
		if err := stream.Send(&pb.FetchChunk{Data: data[at:min(at+chunk, len(data))], Offset: uint64(at), Total: uint64(len(data))}); err != nil {
			return err
		}
	}
	return nil
}
