package engine

import (
	"context"
	"errors"
	"hash/crc32"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

func (f *fake) UploadStatus(_ context.Context, in *pb.UploadStatusRequest) (*pb.UploadStatusReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.job(in.Job)
	d := wire.Digest(in.Upload)
	reply := &pb.UploadStatusReply{PayloadOffset: uint64(len(j.partial[d])), SharesDone: uint32(len(j.shares[d]))}
	for _, e := range j.machine.View().Uploads {
		if e.Digest() == d {
			receipt, err := j.machine.Receipt(&e)
			if err != nil {
				return nil, err
			}
			reply.Receipt = receipt.Bytes()
		}
	}
	return reply, nil
}

func (f *fake) Upload(stream grpc.ClientStreamingServer[pb.UploadPart, pb.UploadReply]) error {
	self := f.caller(stream.Context())
	var j *fakeJob
	var e wire.Envelope
	var u *wire.Upload
	var d wire.Digest
	f.mu.Lock()
	left := f.partsLeft[self]
	delete(f.partsLeft, self)
	f.mu.Unlock()
	for n := 1; ; n++ {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if left != 0 && n > left {
			return status.Error(codes.Unavailable, "the connection broke")
		}
		if crc32.Checksum(part.Data, crc32.MakeTable(crc32.Castagnoli)) != part.Crc32C || len(part.Data) > 256<<10 {
			return status.Error(codes.InvalidArgument, "a bad part")
		}
		f.mu.Lock()
		switch part.Part {
		case pb.UploadKind_UPLOAD_HEADER:
			j = f.job(part.Job)
			if e, err = wire.ParseEnvelope(part.Data); err == nil {
				u, err = j.machine.AcceptsUpload(&e)
			}
			d = e.Digest()
			f.uploads[self] = append(f.uploads[self], d)
			f.said = append(f.said, said{self, e.Kind, d})
		case pb.UploadKind_UPLOAD_PAYLOAD:
			if part.Offset != uint64(len(j.partial[d])) {
				err = errors.New("not where the payload ended")
			}
			j.partial[d] = append(j.partial[d], part.Data...)
		case pb.UploadKind_UPLOAD_SHARE:
			if int(part.Index) != len(j.shares[d])+1 {
				err = errors.New("not the next share")
			}
			j.shares[d] = append(j.shares[d], part.Data)
		}
		f.mu.Unlock()
		if err != nil {
			return status.Error(codes.FailedPrecondition, err.Error())
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if round.BlobDigest(j.partial[d]) != u.PayloadDigest || len(j.shares[d]) != len(u.ShareDigests) {
		return status.Error(codes.InvalidArgument, "the upload isn't complete")
	}
	j.spool[u.PayloadDigest] = j.partial[d]
	if err := f.step(j, round.UploadCame{Envelope: e}); err != nil {
		return err
	}
	receipt, err := j.machine.Receipt(&e)
	if err != nil {
		return err
	}
	return stream.SendAndClose(&pb.UploadReply{Receipt: receipt.Bytes()})
}

func (f *fake) FetchShares(in *pb.FetchSharesRequest, stream grpc.ServerStreamingServer[pb.SealedShare]) error {
	self := f.caller(stream.Context())
	f.mu.Lock()
	j := f.job(in.Job)
	v := j.machine.View()
	seat := j.machine.Proposal().Seat(self)
	var out []*pb.SealedShare
	for i, e := range v.Uploads {
		if i >= int(in.After) {
			out = append(out, &pb.SealedShare{Upload: e.Bytes(), Sealed: j.shares[e.Digest()][seat-1]})
		}
	}
	f.mu.Unlock()
	for _, one := range out {
		if err := stream.Send(one); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) FetchRelease(_ context.Context, in *pb.FetchReleaseRequest) (*pb.FetchReleaseReply, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.job(in.Job)
	at, ok := j.entries[wire.Digest(in.Release)]
	if !ok {
		return nil, status.Error(codes.NotFound, "no such release")
	}
	entry, err := f.log.ReadEntry(at)
	if err != nil {
		return nil, err
	}
	head, err := ledger.CurrentHead(&f.log)
	if err != nil {
		return nil, err
	}
	checkpoint, err := ledger.SignCheckpoint(f.charter.LogOrigin, head, f.key.Ed25519())
	if err != nil {
		return nil, err
	}
	if in.LedgerSize > 0 {
		head.Size = int64(in.LedgerSize)
	}
	proof, err := ledger.ProveInclusion(&f.log, head.Size, at)
	if err != nil {
		return nil, err
	}
	if f.forget != nil && f.forget(in) {
		entry, _ = f.log.ReadEntry(0)
	}
	reply := &pb.FetchReleaseReply{Index: uint64(at), Entry: entry, Checkpoint: checkpoint}
	for _, h := range proof {
		reply.InclusionProof = append(reply.InclusionProof, h[:])
	}
	return reply, nil
}
