package server

import (
	"errors"
	"hash/crc32"
	"io"
	"math"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tributary/crypto/dp/accountant"
	"tributary/crypto/identity"
	"tributary/crypto/secagg"
	"tributary/models/optim"
	"tributary/models/pipeline"
	"tributary/protocol/charter"
	"tributary/protocol/jobspec"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// node is a participant with a row of numbers and labels: the protocol's member machine, over the real services.
type node struct {
	t       *testing.T
	key     *identity.Key
	client  pb.ParticipantClient
	x       []float64
	y       []bool
	seat    *secagg.SeatKey
	seen    ledger.Head
	job     wire.Digest
	program *optim.Program
	machine *round.Member
	sealed  *secagg.Upload
	phase   pb.Phase
	hold    bool // don't send uploads

	// Of private jobs.
	resolved *jobspec.Resolved
	account  *accountant.Account
	charge   wire.Envelope // of the last upload
}

func (n *node) fetch(kind pb.FetchKind, job, what wire.Digest) []byte {
	n.t.Helper()
	stream, err := n.client.Fetch(n.t.Context(), &pb.FetchRequest{Kind: kind, Job: job[:], Digest: what[:]})
	if err != nil {
		n.t.Fatal(err)
	}
	var out []byte
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			n.t.Fatalf("fetch %s: %v", kind, err)
		}
		out = append(out, chunk.GetData()...)
	}
}

// open reads the job as a member does: everything in it is checked by package round.
func (n *node) open() (*round.Proposal, []wire.Envelope) {
	n.t.Helper()
	bundle, err := wire.ParseBundle(n.fetch(pb.FetchKind_FETCH_JOB, n.job, n.job))
	if err != nil {
		n.t.Fatal(err)
	}
	var envelopes []wire.Envelope
	for i, item := range bundle.Items {
		if i == 1 || i == 2 {
			continue
		}
		e, err := wire.ParseEnvelope(item)
		if err != nil {
			n.t.Fatal(err)
		}
		envelopes = append(envelopes, e)
	}
	resolved, err := jobspec.ParseResolved(bundle.Items[1])
	if err != nil {
		n.t.Fatal(err)
	}
	if _, err := jobspec.ParseContractJSON(bundle.Items[2]); err != nil {
		n.t.Fatal(err)
	}
	n.resolved = resolved
	if n.program, err = optim.ParseProgram(resolved.Program()); err != nil {
		n.t.Fatal(err)
	}
	c, err := charter.Open(&envelopes[1])
	if err != nil {
		n.t.Fatal(err)
	}
	p, err := round.OpenManifest(c, n.program, terms(resolved), &envelopes[0])
	if err != nil {
		n.t.Fatal(err)
	}
	return p, envelopes[2:]
}

// next takes the next task, at once or almost; nil: none.
func (n *node) next() *pb.Task {
	n.t.Helper()
	r := &pb.NextRequest{Version: wire.ProtocolVersion, MaxWaitMs: 30, LedgerSize: uint64(n.seen.Size)}
	if !n.job.IsZero() {
		h := &pb.Holding{Job: n.job[:], Phase: n.phase}
		if n.machine != nil {
			h.Round, h.Checked = n.machine.Record().Round, uint32(n.machine.Checked())
		}
		r.Holding = append(r.Holding, h)
	}
	reply, err := n.client.Next(n.t.Context(), r)
	if err != nil {
		n.t.Fatal(err)
	}
	return reply.GetTask()
}

// turn does one task to its end and reports whether there was one.
func (n *node) turn() bool {
	n.t.Helper()
	task := n.next()
	if task == nil {
		return false
	}
	n.job = wire.Digest(task.GetJob())
	var object wire.Envelope
	if len(task.GetObject()) > 0 {
		var err error
		if object, err = wire.ParseEnvelope(task.GetObject()); err != nil {
			n.t.Fatal(err)
		}
	}
	switch task.GetPhase() {
	case pb.Phase_PHASE_APPROVE:
		n.approve()
	case pb.Phase_PHASE_PLAN:
		n.plan(task, object)
	case pb.Phase_PHASE_CHECK:
		n.check()
	case pb.Phase_PHASE_OPEN:
		n.step(round.RosterArrived{Roster: object})
	case pb.Phase_PHASE_RELEASE:
		var r wire.Release
		if err := object.Open(&r); err != nil {
			n.t.Fatal(err)
		}
		if n.machine == nil {
			break // it never contributed
		}
		last := round.LastRelease{Payloads: n.payload}
		if n.resolved.Private == nil {
			last.Evidence = n.evidence(r.Digest())
		}
		n.step(last)
	}
	n.phase = task.GetPhase()
	return true
}

func (n *node) approve() {
	n.t.Helper()
	if err := n.tryApprove(); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) tryApprove() error {
	n.t.Helper()
	p, _ := n.open()
	approval := &wire.Approval{Job: p.Job, Member: n.key.Public()}
	if p.Seat(n.key.Public()) != 0 {
		var err error
		if n.seat, err = secagg.GenerateSeatKey(); err != nil {
			n.t.Fatal(err)
		}
		approval.SeatKey = n.seat.Public()
	}
	e := wire.Sign(n.key, approval)
	_, err := n.client.Put(n.t.Context(), &pb.PutRequest{Object: e.Bytes()})
	return err
}

// put hands in an object. A share sum may come when the others' have opened the sum already.
func (n *node) put(e wire.Envelope) {
	n.t.Helper()
	_, err := n.client.Put(n.t.Context(), &pb.PutRequest{Object: e.Bytes()})
	if err != nil && !(e.Kind == wire.TypeShareSum && status.Code(err) == codes.FailedPrecondition) {
		n.t.Fatalf("put %s: %v", e.Kind, err)
	}
}

func (n *node) plan(task *pb.Task, e wire.Envelope) {
	if n.machine == nil {
		p, approvals := n.open()
		job, err := round.Close(p, approvals)
		if err != nil {
			n.t.Fatal(err)
		}
		if n.machine, err = round.NewMember(n.key, job, n.seat, nil); err != nil {
			n.t.Fatal(err)
		}
	}
	var plan wire.Plan
	if err := e.Open(&plan); err != nil {
		n.t.Fatal(err)
	}
	in := round.PlanArrived{Plan: e, Seen: n.seen, Proof: hashes(task.GetConsistencyProof()), Payloads: n.payload}
	if n.machine.NeedsEvidence(plan.Step) {
		in.Evidence = n.evidence(plan.PrevRelease)
	}
	if n.machine.NeedsState(&plan) {
		in.State = n.fetch(pb.FetchKind_FETCH_STATE, n.job, plan.StateDigest)
	}
	if !plan.PrevRelease.IsZero() {
		r, err := n.client.FetchRelease(n.t.Context(), &pb.FetchReleaseRequest{Job: n.job[:], Release: plan.PrevRelease[:], LedgerSize: plan.LedgerSize})
		if err != nil {
			n.t.Fatal(err)
		}
		in.Released = &round.ReleaseInLedger{Index: int64(r.GetIndex()), Entry: r.GetEntry(), Proof: hashes(r.GetInclusionProof())}
	}
	n.step(in)
}

func hashes(proof [][]byte) (out [][32]byte) {
	for _, h := range proof {
		out = append(out, [32]byte(h))
	}
	return out
}

func (n *node) evidence(release wire.Digest) *round.Evidence {
	n.t.Helper()
	bundle, err := wire.ParseBundle(n.fetch(pb.FetchKind_FETCH_EVIDENCE, n.job, release))
	if err != nil {
		n.t.Fatal(err)
	}
	v, err := round.ParseEvidence(bundle)
	if err != nil {
		n.t.Fatal(err)
	}
	return v
}

func (n *node) payload(d wire.Digest) ([]byte, error) {
	return n.fetch(pb.FetchKind_FETCH_PAYLOAD, n.job, d), nil
}

func (n *node) check() {
	for _, s := range n.shares(n.machine.Checked()) {
		e, err := wire.ParseEnvelope(s.GetUpload())
		if err != nil {
			n.t.Fatal(err)
		}
		n.step(round.ShareSeen{Upload: e, Sealed: s.GetSealed()})
	}
}

func (n *node) shares(after int) (out []*pb.SealedShare) {
	n.t.Helper()
	ctx := n.machine.Context()
	stream, err := n.client.FetchShares(n.t.Context(), &pb.FetchSharesRequest{Job: n.job[:], Ctx: ctx[:], After: uint32(after)})
	if err != nil {
		n.t.Fatal(err)
	}
	for {
		s, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			n.t.Fatal(err)
		}
		out = append(out, s)
	}
}

// step gives the machine an input and carries out its effects.
func (n *node) step(in round.Input) {
	n.t.Helper()
	effects, err := n.machine.Step(in)
	if err != nil {
		n.t.Fatalf("%T: %v", in, err)
	}
	for _, effect := range effects {
		switch f := effect.(type) {
		case round.Train:
			if n.resolved.Private != nil {
				n.step(round.NoisedSum{Sum: n.noised(f)})
				continue
			}
			n.step(round.Trained{Segments: n.sums(f.State)})
		case round.Seal:
			n.step(f.Next)
		case round.Persist:
			if f.Sealed != nil {
				n.sealed = f.Sealed
			}
			if f.Head != nil {
				n.seen = *f.Head
			}
			if f.Charge != nil && !n.spend(*f.Charge) {
				n.put(n.machine.Refusal(&round.Refused{Rule: round.RuleBudget, Hint: "The account is exhausted."}, "train"))
				return
			}
		case round.SendUpload:
			if n.hold {
				continue
			}
			if n.resolved.Private != nil {
				n.put(n.charge)
			}
			if err := n.upload(f.Upload, n.sealed, nil); err != nil {
				n.t.Fatal(err)
			}
		case round.Send:
			n.put(f.Envelope)
		}
	}
}

// upload sends an upload whole; spoil may change its parts or end it early by returning false.
func (n *node) upload(e wire.Envelope, sealed *secagg.Upload, spoil func(*pb.UploadPart) bool) error {
	stream, err := n.client.Upload(n.t.Context())
	if err != nil {
		return err
	}
	parts := []*pb.UploadPart{{Part: pb.UploadKind_UPLOAD_HEADER, Data: e.Bytes()}}
	half := len(sealed.Payload) / 2
	parts = append(parts, &pb.UploadPart{Part: pb.UploadKind_UPLOAD_PAYLOAD, Data: sealed.Payload[:half]},
		&pb.UploadPart{Part: pb.UploadKind_UPLOAD_PAYLOAD, Offset: uint64(half), Data: sealed.Payload[half:]})
	for i, share := range sealed.Shares {
		parts = append(parts, &pb.UploadPart{Part: pb.UploadKind_UPLOAD_SHARE, Index: uint32(i + 1), Data: share})
	}
	for _, part := range parts {
		part.Job, part.Crc32C = n.job[:], crc32.Checksum(part.Data, crc32.MakeTable(crc32.Castagnoli))
		if spoil != nil && !spoil(part) {
			break
		}
		if err := stream.Send(part); err != nil {
			break // the answer tells why
		}
	}
	return receipt(stream, e)
}

func receipt(stream grpc.ClientStreamingClient[pb.UploadPart, pb.UploadReply], e wire.Envelope) error {
	reply, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	signed, err := wire.ParseEnvelope(reply.GetReceipt())
	if err != nil {
		return err
	}
	var r wire.Receipt
	if err := signed.Open(&r); err != nil {
		return err
	}
	if r.Upload != e.Digest() {
		return errors.New("a receipt for another upload")
	}
	return nil
}

// sums are the local sums of one standardised number and the intercept.
func (n *node) sums(encoded []byte) [][]float64 {
	n.t.Helper()
	s, err := n.program.DecodeState(encoded)
	if err != nil {
		n.t.Fatal(err)
	}
	spec := n.program.Pipeline()
	rows, positives := int64(len(n.x)), int64(0)
	fit := pipeline.Totals{Rows: rows, Present: []int64{rows}, Sum: []float64{0}, Square: []float64{0}, Counts: []int64{}}
	train := optim.TrainSums{Rows: rows, Gradient: make([]float64, 2), Hessian: make([]float64, 3)}
	for i, x := range n.x {
		y := 0.0
		if n.y[i] {
			positives, y = positives+1, 1
		}
		if s.Kind() == optim.Fit {
			u := spec.Unit(0, x)
			fit.Sum[0] += u
			fit.Square[0] += u * u
			continue
		}
		z, w := spec.Number(s.Fitted(), 0, x), s.Coefficients()
		p := 1 / (1 + math.Exp(-w[0]*z-w[1]))
		train.Loss -= y*math.Log(p) + (1-y)*math.Log(1-p)
		for j, v := range []float64{(p - y) * z, p - y} {
			train.Gradient[j] += v
		}
		for j, v := range []float64{p * (1 - p) * z * z, p * (1 - p) * z, p * (1 - p)} {
			train.Hessian[j] += v
		}
	}
	fit.Positives = positives
	switch s.Kind() {
	case optim.Fit:
		return n.program.EncodeFit(fit)
	case optim.Train:
		return n.program.EncodeTrain(s, train)
	}
	return n.program.EncodeEvaluate(s, optim.EvaluateSums{Rows: rows, Loss: train.Loss})
}
