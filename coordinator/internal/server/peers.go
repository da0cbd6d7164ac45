package server

import (
	"context"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"tributary/coordinator/internal/ca"
	"tributary/coordinator/internal/engine"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

type peerKey struct{}

// caller is who makes the call; only services that need no certificate see the zero value.
func caller(ctx context.Context) ca.Peer {
	p, _ := ctx.Value(peerKey{}).(ca.Peer)
	return p
}

// member is the calling participant's identity.
func member(ctx context.Context) wire.Member { return wire.Member(caller(ctx).IdentityPK) }

// serviceKinds says whose certificate a service takes; what isn't listed is refused.
var serviceKinds = map[string]ca.Kind{
	pb.Participant_ServiceDesc.ServiceName: ca.Participant,
	pb.Operator_ServiceDesc.ServiceName:    ca.Operator,
}

// admit decides whether this connection may call the method, at every call: a connection may outlive a revocation.
func (s *Server) admit(ctx context.Context, method string) (context.Context, error) {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	if service == pb.Enrolment_ServiceDesc.ServiceName {
		return ctx, nil
	}
	kind, known := serviceKinds[service]
	if !known {
		return nil, refuse(engine.Denied, "service", "", "", "no such service")
	}
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, ca.ErrNoCertificate
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil, ca.ErrNoCertificate
	}
	who, err := s.admission.Check(info.State)
	if err != nil {
		return nil, err
	}
	if who.Kind != kind {
		return nil, refuse(engine.Denied, "wrong-kind", "", "Use the command line of your role.", "a certificate of kind "+string(who.Kind)+" can't call the "+string(kind)+" service")
	}
	if who.Kind == ca.Participant {
		s.engine.Saw(wire.Member(who.IdentityPK))
	}
	return context.WithValue(ctx, peerKey{}, who), nil
}

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	start := time.Now()
	admitted, err := s.admit(ctx, info.FullMethod)
	var reply any
	if err == nil {
		reply, err = handler(admitted, req)
	}
	err = typed(s.log, err)
	s.record(admitted, info.FullMethod, start, err)
	return reply, err
}

type admittedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (a admittedStream) Context() context.Context { return a.ctx }

func (s *Server) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	start := time.Now()
	admitted, err := s.admit(stream.Context(), info.FullMethod)
	if err == nil {
		err = handler(srv, admittedStream{stream, admitted})
	}
	err = typed(s.log, err)
	s.record(admitted, info.FullMethod, start, err)
	return err
}

// record logs a call: method, caller's name, time and code; never what was sent.
func (s *Server) record(ctx context.Context, method string, start time.Time, err error) {
	name := ""
	if ctx != nil {
		name = caller(ctx).Name
	}
	_, short, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	level := s.log.Debug
	if err != nil {
		level = s.log.Info
	}
	level("call", zap.String("method", short), zap.String("by", name), zap.Duration("took", time.Since(start)), zap.Stringer("code", status.Code(err)))
}
