package client

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"google.golang.org/grpc"

	"tributary/crypto/secagg"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

const (
	partBytes       = 256 << 10 // of one part of an upload
	transferTimeout = 10 * time.Minute
	fetchAttempts   = 5 // in a row without progress
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Fetch gets an object of at most limit bytes, going on where a broken transfer stopped. Its digest is for the caller to check.
func (c *Client) Fetch(ctx context.Context, kind pb.FetchKind, job, digest wire.Digest, limit int) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	what := "fetch " + kind.String()
	var data []byte
	for failed := 0; ; failed++ {
		had := len(data)
		calls, p := c.calls()
		err := fetchOn(ctx, calls, &pb.FetchRequest{Kind: kind, Job: job[:], Digest: digest[:], Offset: uint64(len(data))}, limit, &data)
		if err == nil {
			return data, nil
		}
		err = typed(ctx, p, what, err)
		if len(data) > had {
			failed = 0
		}
		if failed >= fetchAttempts || !errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(failed) * 200 * time.Millisecond):
		}
		c.RetryNow()
	}
}

func fetchOn(ctx context.Context, calls pb.ParticipantClient, request *pb.FetchRequest, limit int, data *[]byte) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := calls.Fetch(ctx, request)
	if err != nil {
		return err
	}
	total := uint64(0)
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if uint64(len(*data)) != total {
				return answer("a transfer ended after %d of %d bytes", len(*data), total)
			}
			return nil
		}
		if err != nil {
			return err
		}
		total = chunk.Total
		switch {
		case total > uint64(limit):
			return answer("an object of %d bytes, at most %d", total, limit)
		case chunk.Offset != uint64(len(*data)) || chunk.Offset+uint64(len(chunk.Data)) > total:
			return answer("%d bytes at %d of %d, want them at %d", len(chunk.Data), chunk.Offset, total, len(*data))
		}
		if *data == nil {
			*data = make([]byte, 0, min(total, uint64(limit)))
		}
		*data = append(*data, chunk.Data...)
	}
}

// Upload is a stored contribution on its way.
type Upload struct {
	Job, Ctx    wire.Digest
	Envelope    wire.Envelope
	Sealed      *secagg.Upload
	Coordinator wire.Member // who must sign the receipt
}

// Upload sends what the coordinator doesn't have yet and checks its signed receipt.
func (c *Client) Upload(ctx context.Context, u Upload) error {
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	calls, p := c.calls()
	digest := u.Envelope.Digest()
	status, err := calls.UploadStatus(ctx, &pb.UploadStatusRequest{Job: u.Job[:], Ctx: u.Ctx[:], Upload: digest[:]})
	if err = typed(ctx, p, "ask how far the upload is", err); errors.Is(err, ErrNotFound) {
		status, err = &pb.UploadStatusReply{}, nil
	}
	if err != nil {
		return err
	}
	receipt := status.Receipt
	if len(receipt) == 0 {
		if status.PayloadOffset > uint64(len(u.Sealed.Payload)) || int(status.SharesDone) > len(u.Sealed.Shares) {
			return answer("the coordinator has more of the upload than there is")
		}
		reply, err := send(ctx, calls, u, status)
		if err != nil {
			return typed(ctx, p, "upload", err)
		}
		receipt = reply.Receipt
	}
	return checkReceipt(u, digest, receipt)
}

func checkReceipt(u Upload, digest wire.Digest, receipt []byte) error {
	e, err := wire.ParseEnvelope(receipt)
	if err != nil {
		return answer("receipt: %v", err)
	}
	var r wire.Receipt
	if err := e.Open(&r); err != nil {
		return answer("receipt: %v", err)
	}
	if e.Signer != u.Coordinator || r.Ctx != u.Ctx || r.Upload != digest {
		return answer("the receipt is for another upload, or not the coordinator's")
	}
	return nil
}

func send(ctx context.Context, calls pb.ParticipantClient, u Upload, have *pb.UploadStatusReply) (*pb.UploadReply, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := calls.Upload(ctx)
	if err != nil {
		return nil, err
	}
	part := func(kind pb.UploadKind, index int, offset uint64, data []byte) error {
		return stream.Send(&pb.UploadPart{Job: u.Job[:], Part: kind, Index: uint32(index), Offset: offset, Data: data, Crc32C: crc32.Checksum(data, castagnoli)})
	}
	err = part(pb.UploadKind_UPLOAD_HEADER, 0, 0, u.Envelope.Bytes())
	for offset := have.PayloadOffset; err == nil && offset < uint64(len(u.Sealed.Payload)); {
		end := min(offset+partBytes, uint64(len(u.Sealed.Payload)))
		err = part(pb.UploadKind_UPLOAD_PAYLOAD, 0, offset, u.Sealed.Payload[offset:end])
		offset = end
	}
	for i := int(have.SharesDone); err == nil && i < len(u.Sealed.Shares); i++ {
		err = part(pb.UploadKind_UPLOAD_SHARE, i+1, 0, u.Sealed.Shares[i])
	}
	if err != nil && !errors.Is(err, io.EOF) { // EOF: the server has answered, its word comes below
		return nil, err
	}
	return stream.CloseAndRecv()
}

// Shares streams the round's uploads with this seat's sealed share, in order of arrival, from the after-th on.
func (c *Client) Shares(ctx context.Context, job, round wire.Digest, after int, each func(upload wire.Envelope, sealed []byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, transferTimeout)
	defer cancel()
	calls, p := c.calls()
	var stream grpc.ServerStreamingClient[pb.SealedShare]
	stream, err := calls.FetchShares(ctx, &pb.FetchSharesRequest{Job: job[:], Ctx: round[:], After: uint32(after)})
	if err != nil {
		return typed(ctx, p, "fetch shares", err)
	}
	for n := after; ; n++ {
		one, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return typed(ctx, p, "fetch shares", err)
		}
		if n >= wire.MaxMembers || len(one.Sealed) > secagg.SealedShareBytes {
			return fmt.Errorf("fetch shares: %w", answer("more shares, or larger ones, than a round has"))
		}
		e, err := wire.ParseEnvelope(one.Upload)
		if err != nil {
			return fmt.Errorf("fetch shares: %w", answer("%v", err))
		}
		if err := each(e, one.Sealed); err != nil {
			return err
		}
	}
}
