package server

import (
	"context"
	"time"

	"tributary/coordinator/internal/engine"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

const (
	longestPoll = 30 * time.Second
	maxHolding  = 1000 // jobs that a node may hold
)

type participant struct {
	pb.UnimplementedParticipantServer
	s *Server
}

// digest reads a 32-byte field.
func digest(field string, b []byte) (wire.Digest, error) {
	if len(b) != len(wire.Digest{}) {
		return wire.Digest{}, refuse(engine.Invalid, "digest", field, "", field+" isn't 32 bytes")
	}
	return wire.Digest(b), nil
}

func proof(hashes [][32]byte) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

// Renew implements pb.ParticipantServer.
func (p *participant) Renew(ctx context.Context, r *pb.RenewRequest) (*pb.RenewReply, error) {
	issued, err := p.s.engine.Renew(ctx, caller(ctx), r.GetCsrDer())
	if err != nil {
		return nil, err
	}
	return &pb.RenewReply{ChainDer: issued.Chain, NotAfterMs: issued.NotAfter.UnixMilli()}, nil
}

// GetCharter implements pb.ParticipantServer.
func (p *participant) GetCharter(ctx context.Context, r *pb.GetCharterRequest) (*pb.GetCharterReply, error) {
	var want wire.Digest
	if len(r.GetDigest()) > 0 {
		var err error
		if want, err = digest("digest", r.GetDigest()); err != nil {
			return nil, err
		}
	}
	versions, err := p.s.engine.Charters(ctx)
	if err != nil {
		return nil, err
	}
	for i := range versions {
		if !want.IsZero() && versions[i].Digest() != want {
			continue
		}
		reply := &pb.GetCharterReply{Charter: versions[i].Envelope.Bytes()}
		for _, older := range versions[i+1:] {
			reply.Prev = append(reply.Prev, older.Envelope.Bytes())
		}
		return reply, nil
	}
	return nil, refuse(engine.Missing, "charter", "digest", "", "no charter version has that digest")
}

// Next implements pb.ParticipantServer.
func (p *participant) Next(ctx context.Context, r *pb.NextRequest) (*pb.NextReply, error) {
	if err := speaks(r.GetVersion()); err != nil {
		return nil, err
	}
	if len(r.GetHolding()) > maxHolding {
		return nil, refuse(engine.Invalid, "holding", "holding", "", "a node holds too many jobs")
	}
	a := engine.Asked{Member: member(ctx), Holding: map[wire.Digest]round.Holds{}, LedgerSize: int64(min(r.GetLedgerSize(), 1<<40)),
		Wait: min(time.Duration(r.GetMaxWaitMs())*time.Millisecond, longestPoll)}
	for _, h := range r.GetHolding() {
		id, err := digest("holding.job", h.GetJob())
		if err != nil {
			return nil, err
		}
		a.Holding[id] = round.Holds{Round: h.GetRound(), Phase: round.TaskPhase(h.GetPhase()), Checked: int(min(h.GetChecked(), wire.MaxMembers))}
	}
	task, err := p.s.engine.NextTask(ctx, a)
	switch {
	case err != nil:
		return nil, err
	case task == nil:
		return &pb.NextReply{}, nil
	case task.Phase == round.TaskNone:
		return &pb.NextReply{What: &pb.NextReply_Cancel{Cancel: &pb.Cancel{Job: task.Job[:], Reason: task.Reason, Outcome: uint32(task.Outcome)}}}, nil
	}
	return &pb.NextReply{What: &pb.NextReply_Task{Task: &pb.Task{Job: task.Job[:], Round: task.Round, Phase: pb.Phase(task.Phase), Object: task.Object,
		ConsistencyProof: proof(task.Proof), LeftMs: task.LeftMs}}}, nil
}

// Put implements pb.ParticipantServer.
func (p *participant) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutReply, error) {
	env, err := own(ctx, r.GetObject())
	if err != nil {
		return nil, err
	}
	return &pb.PutReply{}, p.s.engine.Put(ctx, env)
}

// own reads an envelope that the caller itself signed.
func own(ctx context.Context, object []byte) (wire.Envelope, error) {
	env, err := wire.ParseEnvelope(object)
	if err != nil {
		return env, err
	}
	if env.Signer != member(ctx) {
		return env, refuse(engine.Denied, "signer", "object", "", "the object is signed by another than the caller")
	}
	return env, nil
}
