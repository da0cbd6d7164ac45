package server

import (
	"context"

	"tributary/protocol/pb"
)

// GetCheckpoint implements pb.ParticipantServer.
func (p *participant) GetCheckpoint(ctx context.Context, r *pb.GetCheckpointRequest) (*pb.GetCheckpointReply, error) {
	checkpoint, hashes, err := p.s.engine.Checkpoint(ctx, int64(min(r.GetLedgerSize(), 1<<40)))
	if err != nil {
		return nil, err
	}
	return &pb.GetCheckpointReply{Checkpoint: checkpoint, ConsistencyProof: proof(hashes)}, nil
}

// PutCosignature implements pb.ParticipantServer.
func (p *participant) PutCosignature(ctx context.Context, r *pb.PutCosignatureRequest) (*pb.PutCosignatureReply, error) {
	if err := p.s.engine.PutCosignature(ctx, member(ctx), r.GetCheckpoint()); err != nil {
		return nil, err
	}
	return &pb.PutCosignatureReply{}, nil
}
