package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"tributary/coordinator/internal/engine"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

const fetchChunk = 256 << 10

// Fetch implements pb.ParticipantServer.
func (p *participant) Fetch(r *pb.FetchRequest, stream grpc.ServerStreamingServer[pb.FetchChunk]) error {
	ctx := stream.Context()
	what, err := digest("digest", r.GetDigest())
	if err != nil {
		return err
	}
	source, err := p.open(ctx, r, what)
	if err != nil {
		return err
	}
	defer source.Close()
	total, err := source.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if r.GetOffset() > uint64(total) {
		return refuse(engine.Invalid, "offset", "offset", "Fetch again from the start.", fmt.Sprintf("offset %d of %d bytes", r.GetOffset(), total))
	}
	offset, err := source.Seek(int64(r.GetOffset()), io.SeekStart)
	if err != nil {
		return err
	}
	buffer := make([]byte, fetchChunk)
	for {
		n, err := io.ReadFull(source, buffer)
		if n > 0 || offset == total {
			if err := stream.Send(&pb.FetchChunk{Data: buffer[:n], Offset: uint64(offset), Total: uint64(total)}); err != nil {
				return err
			}
			offset += int64(n)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || offset >= total {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// open finds what a member asks for, if it may have it.
func (p *participant) open(ctx context.Context, r *pb.FetchRequest, what wire.Digest) (io.ReadSeekCloser, error) {
	var data []byte
	var job wire.Digest
	var err error
	if r.GetKind() == pb.FetchKind_FETCH_STATE || r.GetKind() == pb.FetchKind_FETCH_PAYLOAD {
		if job, err = digest("job", r.GetJob()); err != nil {
			return nil, err
		}
	}
	switch r.GetKind() {
	case pb.FetchKind_FETCH_JOB:
		data, err = p.s.engine.JobBundle(ctx, what, member(ctx))
	case pb.FetchKind_FETCH_STATE:
		data, err = p.s.engine.State(ctx, job, what, member(ctx))
	case pb.FetchKind_FETCH_EVIDENCE:
		data, err = p.s.engine.Evidence(ctx, what, member(ctx))
	case pb.FetchKind_FETCH_PAYLOAD:
		return p.s.engine.Payload(ctx, job, what, member(ctx))
	default:
		return nil, refuse(engine.Invalid, "kind", "kind", "", "nothing of that kind can be fetched")
	}
	if err != nil {
		return nil, err
	}
	return inMemory{bytes.NewReader(data)}, nil
}

// FetchShares implements pb.ParticipantServer: the shares that are sealed to the caller's own seat, and no others.
func (p *participant) FetchShares(r *pb.FetchSharesRequest, stream grpc.ServerStreamingServer[pb.SealedShare]) error {
	job, err := digest("job", r.GetJob())
	if err != nil {
		return err
	}
	round, err := digest("ctx", r.GetCtx())
	if err != nil {
		return err
	}
	return p.s.engine.Shares(job, round, member(stream.Context()), int(min(r.GetAfter(), wire.MaxMembers)), func(s engine.SealedShare) error {
		return stream.Send(&pb.SealedShare{Upload: s.Upload.Bytes(), Sealed: s.Sealed})
	})
}

// FetchRelease implements pb.ParticipantServer.
func (p *participant) FetchRelease(ctx context.Context, r *pb.FetchReleaseRequest) (*pb.FetchReleaseReply, error) {
	release, err := digest("release", r.GetRelease())
	if err != nil {
		return nil, err
	}
	shown, err := p.s.engine.Released(ctx, release, int64(min(r.GetLedgerSize(), 1<<40)), member(ctx))
	if err != nil {
		return nil, err
	}
	return &pb.FetchReleaseReply{Release: shown.Release, Checkpoint: shown.Checkpoint, Index: uint64(shown.Index), Entry: shown.Entry, InclusionProof: proof(shown.Proof)}, nil
}
