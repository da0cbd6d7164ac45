package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc"

	"tributary/coordinator/internal/engine"
	"tributary/protocol/invite"
	"tributary/protocol/ledger"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

type operator struct {
	pb.UnimplementedOperatorServer
	s *Server
}

func personKind(text string) (invite.Kind, error) {
	for _, k := range []invite.Kind{invite.Participant, invite.Operator} {
		if k.String() == text {
			return k, nil
		}
	}
	return 0, refuse(engine.Invalid, "kind", "kind", "Use participant or operator.", "no such kind")
}

const maxReason = 1024 // bytes

// checkReason holds a text that goes into the ledger to what a signed object may hold.
func checkReason(text string) error {
	if len(text) > maxReason {
		return refuse(engine.Invalid, "reason", "reason", "", fmt.Sprintf("a reason of %d bytes, at most %d", len(text), maxReason))
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		return refuse(engine.Invalid, "reason", "reason", "", "the reason has a control character")
	}
	return nil
}

// Invite implements pb.OperatorServer.
func (o *operator) Invite(ctx context.Context, r *pb.InviteRequest) (*pb.InviteReply, error) {
	kind, err := personKind(r.GetKind())
	if err != nil {
		return nil, err
	}
	i := engine.Invitation{Kind: kind, Name: r.GetName(), Organisation: r.GetOrganisation(), TTL: time.Duration(r.GetTtlMs()) * time.Millisecond}
	if kind == invite.Participant {
		for role := wire.RoleData; role.Valid(); role++ {
			if role.String() == r.GetRole() {
				i.Role = role
			}
		}
		if !i.Role.Valid() {
			return nil, refuse(engine.Invalid, "role", "role", "Use data, committee or both.", "a participant's role isn't "+r.GetRole())
		}
		if len(i.Organisation) > wire.MaxNameBytes {
			return nil, refuse(engine.Invalid, "organisation", "organisation", "", "the organisation's name is too long")
		}
	}
	token, expires, err := o.s.engine.Invite(ctx, i)
	if err != nil {
		return nil, err
	}
	return &pb.InviteReply{Token: token, ExpiresMs: expires.UnixMilli()}, nil
}

// ListMembers implements pb.OperatorServer.
func (o *operator) ListMembers(ctx context.Context, _ *pb.ListRequest) (*pb.ListMembersReply, error) {
	people, err := o.s.engine.People(ctx)
	if err != nil {
		return nil, err
	}
	reply := &pb.ListMembersReply{}
	for _, p := range people {
		m := &pb.MemberInfo{Kind: p.Kind.String(), Name: p.Name, Organisation: p.Organisation, Role: p.Role, Status: p.Status, LastSeenMs: p.LastSeenMs}
		if !p.Key.IsZero() {
			m.Key = p.Key[:]
		}
		reply.Members = append(reply.Members, m)
	}
	return reply, nil
}

// Revoke implements pb.OperatorServer.
func (o *operator) Revoke(ctx context.Context, r *pb.RevokeRequest) (*pb.RevokeReply, error) {
	kind, err := personKind(r.GetKind())
	if err != nil {
		return nil, err
	}
	if err := checkReason(r.GetReason()); err != nil {
		return nil, err
	}
	return &pb.RevokeReply{}, o.s.engine.Revoke(ctx, kind, r.GetName(), r.GetReason())
}

// ProposeCharter implements pb.OperatorServer.
func (o *operator) ProposeCharter(ctx context.Context, r *pb.ProposeRequest) (*pb.CharterReply, error) {
	c, err := o.s.engine.ProposeCharter(ctx, int(r.GetF()), r.GetMembers())
	if err != nil {
		return nil, err
	}
	return &pb.CharterReply{Charter: c.Envelope.Bytes()}, nil
}

// ShowCharter implements pb.OperatorServer.
func (o *operator) ShowCharter(ctx context.Context, _ *pb.ShowCharterRequest) (*pb.CharterReply, error) {
	versions, err := o.s.engine.Charters(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.CharterReply{Charter: versions[0].Envelope.Bytes()}, nil
}

// ExportLedger implements pb.OperatorServer.
func (o *operator) ExportLedger(r *pb.ExportLedgerRequest, stream grpc.ServerStreamingServer[pb.LedgerChunk]) error {
	// Written to a file first: a caller that reads slowly, or not at all, must not hold a connection to the database.
	file, err := os.CreateTemp("", "tributary-ledger-")
	if err != nil {
		return fmt.Errorf("export ledger: %w", err)
	}
	defer os.Remove(file.Name())
	defer file.Close()
	err = o.s.engine.Ledger(stream.Context(), r.GetCosigned(), func(s ledger.Store, checkpoint []byte) error {
		w := bufio.NewWriterSize(file, fetchChunk)
		if err := ledger.WriteExport(w, s, checkpoint); err != nil {
			return err
		}
		return w.Flush()
	})
	if err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("export ledger: %w", err)
	}
	_, err = io.CopyBuffer(chunks{stream}, struct{ io.Reader }{file}, make([]byte, fetchChunk))
	return err
}

type chunks struct {
	stream grpc.ServerStreamingServer[pb.LedgerChunk]
}

// Write sends what is written in chunks that a message can hold.
func (c chunks) Write(b []byte) (n int, err error) {
	for n < len(b) {
		part := b[n:min(len(b), n+maxChunk)]
		if err := c.stream.Send(&pb.LedgerChunk{Data: part}); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}
