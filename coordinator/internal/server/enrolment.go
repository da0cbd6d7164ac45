package server

import (
	"context"
	"fmt"

	"tributary/coordinator/internal/engine"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

type enrolment struct {
	pb.UnimplementedEnrolmentServer
	s *Server
}

// speaks refuses a protocol version that this build doesn't speak.
func speaks(version uint32) error {
	if version == wire.ProtocolVersion {
		return nil
	}
	return refuse(engine.Precondition, "version", "version", fmt.Sprintf("This coordinator speaks version %d: use the release that it runs.", wire.ProtocolVersion),
		fmt.Sprintf("protocol version %d isn't spoken here, only %d", version, wire.ProtocolVersion))
}

// Enrol implements pb.EnrolmentServer.
func (e *enrolment) Enrol(ctx context.Context, r *pb.EnrolRequest) (*pb.EnrolReply, error) {
	if err := speaks(r.GetVersion()); err != nil {
		return nil, err
	}
	if len(r.GetSecret()) != 16 {
		return nil, refuse(engine.Invalid, "token", "secret", "Give the whole token.", "the token's secret isn't 16 bytes")
	}
	a, err := e.s.engine.Enrol(ctx, [16]byte(r.GetSecret()), r.GetCsrDer(), r.GetMemberCard())
	if err != nil {
		return nil, err
	}
	key := e.s.engine.Key.Public()
	return &pb.EnrolReply{ChainDer: a.Chain, NotAfterMs: a.NotAfter.UnixMilli(), CoordinatorKey: key[:], Consortium: e.s.engine.Consortium, Role: a.Role}, nil
}
