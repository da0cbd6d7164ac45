package server

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"google.golang.org/grpc"

	"tributary/coordinator/internal/engine"
	"tributary/coordinator/internal/store"
	"tributary/protocol/pb"
)

const (
	maxChunk = 1 << 20 // bytes of an upload part's data
	maxEnvel = 64 << 10
)

// UploadStatus implements pb.ParticipantServer.
func (p *participant) UploadStatus(ctx context.Context, r *pb.UploadStatusRequest) (*pb.UploadStatusReply, error) {
	job, err := digest("job", r.GetJob())
	if err != nil {
		return nil, err
	}
	upload, err := digest("upload", r.GetUpload())
	if err != nil {
		return nil, err
	}
	s, err := p.s.engine.Uploaded(job, upload, member(ctx))
	if err != nil {
		return nil, err
	}
	return &pb.UploadStatusReply{PayloadOffset: uint64(s.Payload), SharesDone: uint32(s.Shares), Receipt: s.Receipt}, nil
}

// Upload implements pb.ParticipantServer: a header, then parts in any order, each continuing where the spool stands. Closing the
// stream asks for the receipt.
func (p *participant) Upload(stream grpc.ClientStreamingServer[pb.UploadPart, pb.UploadReply]) error {
	ctx := stream.Context()
	table := crc32.MakeTable(crc32.Castagnoli)
	var parcel *store.Parcel
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		data := part.GetData()
		switch {
		case len(data) > maxChunk:
			return refuse(engine.Invalid, "chunk", "data", "Send parts of at most 1 MiB.", fmt.Sprintf("an upload part of %d bytes, at most %d", len(data), maxChunk))
		case crc32.Checksum(data, table) != part.GetCrc32C():
			return refuse(engine.Busy, "crc", "crc32c", "Ask for the upload's status and go on from there.", "an upload part was damaged on its way")
		}
		if parcel == nil {
			if parcel, err = p.begin(ctx, part); err != nil {
				return err
			}
			continue
		}
		which, err := spoolPart(part, parcel)
		if err != nil {
			return err
		}
		if err := p.s.engine.Spool.Append(parcel, which, part.GetOffset(), data); err != nil {
			return err
		}
	}
	if parcel == nil {
		return refuse(engine.Invalid, "header", "part", "", "an upload without a header")
	}
	receipt, err := p.s.engine.EndUpload(ctx, parcel)
	if err != nil {
		return err
	}
	return stream.SendAndClose(&pb.UploadReply{Receipt: receipt})
}

func (p *participant) begin(ctx context.Context, part *pb.UploadPart) (*store.Parcel, error) {
	if part.GetPart() != pb.UploadKind_UPLOAD_HEADER || len(part.GetData()) > maxEnvel {
		return nil, refuse(engine.Invalid, "header", "part", "", "an upload begins with its header")
	}
	job, err := digest("job", part.GetJob())
	if err != nil {
		return nil, err
	}
	env, err := own(ctx, part.GetData())
	if err != nil {
		return nil, err
	}
	return p.s.engine.BeginUpload(job, env)
}

func spoolPart(part *pb.UploadPart, parcel *store.Parcel) (store.Part, error) {
	switch part.GetPart() {
	case pb.UploadKind_UPLOAD_PAYLOAD:
		return 0, nil
	case pb.UploadKind_UPLOAD_SHARE:
		if i := part.GetIndex(); i >= 1 && int(i) <= len(parcel.Upload.ShareDigests) {
			return store.Part(i), nil
		}
		return 0, refuse(engine.Invalid, "index", "index", "", fmt.Sprintf("share %d of %d seats", part.GetIndex(), len(parcel.Upload.ShareDigests)))
	}
	return 0, refuse(engine.Invalid, "part", "part", "", "an upload part of an unknown kind")
}
