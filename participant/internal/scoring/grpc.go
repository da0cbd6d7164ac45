package scoring

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tributary/models/score"
	"tributary/protocol/pb"
)

// ServeGRPC is Serve for pb.Scoring and grpc.health.v1, with the same limits: a connection has at most as many calls at once as are
// worked on, and a call is decoded, which takes many times its length, only when its turn comes. There is no reflection. Connections are closed after
// ten minutes, so that a caller that doesn't read its replies can't hold them for ever.
func ServeGRPC(ctx context.Context, l net.Listener, m *score.Model, document []byte, errorLog io.Writer) error {
	s := grpc.NewServer(grpc.MaxRecvMsgSize(maxBody), grpc.MaxHeaderListSize(16<<10), grpc.MaxConcurrentStreams(uint32(atOnce())), grpc.ConnectionTimeout(5*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 2 * time.Minute, MaxConnectionAge: 10 * time.Minute, MaxConnectionAgeGrace: 30 * time.Second}),
		grpc.UnaryInterceptor(func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (out any, err error) {
			defer func() {
				if broken := recover(); broken != nil { // as net/http does: other calls go on
					fmt.Fprintf(errorLog, "scoring: %v\n", broken)
					out, err = nil, status.Error(codes.Internal, "scoring failed; the endpoint's log says more")
				}
			}()
			if err := localCall(ctx); err != nil {
				return nil, err
			}
			return next(ctx, in)
		}),
		grpc.StreamInterceptor(func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if err := localCall(stream.Context()); err != nil {
				return err
			}
			until, cancel := context.WithCancel(stream.Context()) // who watches the health doesn't hold up a stop
			defer cancel()
			defer context.AfterFunc(ctx, cancel)()
			return next(server, stopped{stream, until})
		}))
	alive := health.NewServer()
	alive.SetServingStatus(pb.Scoring_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(s, alive)
	c := &calls{handler: newHandler(m, document), columns: m.Columns(), digest: sha256.Sum256(document)}
	s.RegisterService(c.service(), c)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	alive.Shutdown()
	late := time.AfterFunc(grace, s.Stop)
	defer late.Stop()
	s.GracefulStop()
	return nil
}

// stopped is a stream with another context.
type stopped struct {
	grpc.ServerStream
	until context.Context
}

func (s stopped) Context() context.Context { return s.until }

// localCall refuses calls to another host's name, as local does.
func localCall(ctx context.Context) error {
	var host string
	if md, ok := metadata.FromIncomingContext(ctx); ok && len(md.Get(":authority")) == 1 {
		host = md.Get(":authority")[0]
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if !loopback(host) {
		return refused(codes.PermissionDenied, problem{Code: "host", Message: "the call is for another host", Hint: "call it as 127.0.0.1 or localhost"})
	}
	return nil
}

// refused is a status with the problem as its detail.
func refused(code codes.Code, p problem) error {
	text := p.Message
	if p.Field != "" {
		text = p.Field + ": " + text
	}
	s, err := status.New(code, text).WithDetails(&pb.Error{Code: p.Code, Field: p.Field, Message: p.Message, Hint: p.Hint})
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}
	return s.Err()
}

// calls answers pb.Scoring.
type calls struct {
	pb.UnimplementedScoringServer
	*handler
	columns []score.Column
	digest  [sha256.Size]byte
}

// service is pb.Scoring with a slot for each call, taken before the call is decoded: interceptors come after that.
func (c *calls) service() *grpc.ServiceDesc {
	desc := pb.Scoring_ServiceDesc
	desc.Methods = slices.Clone(desc.Methods)
	for i := range desc.Methods {
		answer := desc.Methods[i].Handler
		desc.Methods[i].Handler = func(server any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			select {
			case c.slots <- struct{}{}:
				defer func() { <-c.slots }()
			case <-ctx.Done():
				return nil, status.FromContextError(ctx.Err()).Err()
			}
			return answer(server, ctx, decode, interceptor)
		}
	}
	return &desc
}

// Score implements pb.ScoringServer.
func (c *calls) Score(ctx context.Context, q *pb.ScoreRequest) (*pb.ScoreReply, error) {
	if p := c.tooMuch(len(q.Rows), q.Explain); p != nil {
		return nil, refused(codes.InvalidArgument, *p)
	}
	out := &pb.ScoreReply{Results: make([]*pb.ScoreResult, len(q.Rows)), ModelSha256: c.digest[:]}
	record := map[string]score.Value{}
	for i, r := range q.Rows {
		if i%128 == 0 && ctx.Err() != nil {
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		clear(record)
		for _, column := range c.columns {
			if cell, ok := r.GetColumns()[column.Name]; ok {
				record[column.Name] = cellValue(cell)
			}
		}
		row, err := c.model.Row(record)
		if err == nil {
			out.Results[i], err = c.result(row, q.Explain)
		}
		if err != nil {
			return nil, refused(codes.InvalidArgument, rowProblem(fmt.Sprintf("rows[%d]", i), err))
		}
	}
	return out, nil
}

func cellValue(c *pb.ScoreCell) score.Value {
	switch v := c.GetValue().(type) {
	case *pb.ScoreCell_Number:
		return score.Number(v.Number)
	case *pb.ScoreCell_Text:
		return score.Text(v.Text)
	}
	return score.Value{}
}

// result scores one row.
func (c *calls) result(row []score.Value, explain bool) (*pb.ScoreResult, error) {
	if c.model.Classes == nil {
		if !explain {
			p, err := c.model.Score(row)
			return c.scored(p), err
		}
		p, e, err := explained(c.model, row)
		if err != nil {
			return nil, err
		}
		out := c.scored(p)
		out.Explanation = explanation(e)
		return out, nil
	}
	probabilities, predicted, err := c.model.Classify(row)
	if err != nil {
		return nil, err
	}
	out := &pb.ScoreResult{Probability: probabilities[predicted], Predicted: c.model.Classes[predicted]}
	for k, p := range probabilities {
		out.Classes = append(out.Classes, &pb.ClassScore{Class: c.model.Classes[k], Probability: p})
	}
	if !explain {
		return out, nil
	}
	classes, _, err := c.model.ExplainClasses(row)
	if err != nil {
		return nil, err
	}
	for k := range classes {
		out.Classes[k].Explanation = explanation(&classes[k])
	}
	return out, nil
}

// scored is the result of a model without classes.
func (c *calls) scored(x float64) *pb.ScoreResult {
	if c.model.Target != nil {
		return &pb.ScoreResult{Prediction: x}
	}
	return &pb.ScoreResult{Probability: x}
}

func explanation(e *score.Explanation) *pb.ScoreExplanation {
	out := &pb.ScoreExplanation{Logit: e.Logit, Intercept: e.Intercept, Columns: make([]*pb.ScoreContribution, len(e.Columns)), Pairs: make([]*pb.ScoreContribution, len(e.Pairs))}
	for i, x := range e.Columns {
		out.Columns[i] = &pb.ScoreContribution{Column: x.Column, Logit: x.Logit, Encoded: x.Encoded}
	}
	for i, x := range e.Pairs {
		out.Pairs[i] = &pb.ScoreContribution{Column: x.First, Second: x.Second, Logit: x.Logit}
	}
	return out
}

// rowProblem says what is wrong with a row.
func rowProblem(field string, err error) problem {
	p := problem{Code: "row", Field: field, Message: err.Error()}
	var told *score.RecordError
	if errors.As(err, &told) {
		p.Message, p.Hint = told.Message, told.Hint
		if told.Column != "" {
			p.Field += "." + told.Column
		}
	}
	return p
}
