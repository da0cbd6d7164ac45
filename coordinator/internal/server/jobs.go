package server

import (
	"context"

	"google.golang.org/grpc"

	"tributary/coordinator/internal/engine"
	"tributary/coordinator/internal/evaluation"
	"tributary/coordinator/internal/store"
	"tributary/protocol/pb"
	"tributary/protocol/wire"
)

func request(ctx context.Context, r *pb.JobRequest) engine.Request {
	return engine.Request{Spec: r.GetSpecYaml(), Contract: r.GetContractYaml(), Token: r.GetSubmitToken(), By: caller(ctx).Name}
}

func problems(found []engine.Problem) (out []*pb.Problem) {
	for _, p := range found {
		out = append(out, &pb.Problem{File: p.File, Path: p.Path, Line: uint32(p.Line), Column: uint32(p.Column), Message: p.Message, Hint: p.Hint})
	}
	return out
}

// ValidateJob implements pb.OperatorServer.
func (o *operator) ValidateJob(ctx context.Context, r *pb.JobRequest) (*pb.ValidateReply, error) {
	resolved, found, err := o.s.engine.Validate(ctx, request(ctx, r))
	if err != nil || len(found) > 0 {
		return &pb.ValidateReply{Problems: problems(found)}, err
	}
	digest := resolved.Digest()
	return &pb.ValidateReply{ResolvedJson: resolved.Canonical(), Digest: digest[:]}, nil
}

// ForecastJob implements pb.OperatorServer.
func (o *operator) ForecastJob(ctx context.Context, r *pb.JobRequest) (*pb.ForecastReply, error) {
	resolved, f, found, err := o.s.engine.Forecast(ctx, request(ctx, r))
	if err != nil || len(found) > 0 {
		return &pb.ForecastReply{Problems: problems(found)}, err
	}
	digest := resolved.Digest()
	return &pb.ForecastReply{ResolvedJson: resolved.Canonical(), Digest: digest[:], ForecastJson: f.JSON()}, nil
}

// SubmitJob implements pb.OperatorServer.
func (o *operator) SubmitJob(ctx context.Context, r *pb.JobRequest) (*pb.SubmitReply, error) {
	id, existing, found, err := o.s.engine.Submit(ctx, request(ctx, r))
	if err != nil || len(found) > 0 {
		return &pb.SubmitReply{Problems: problems(found)}, err
	}
	return &pb.SubmitReply{Job: id[:], Existing: existing}, nil
}

func row(j *store.Job) *pb.JobInfo {
	return &pb.JobInfo{Job: j.ID[:], Name: j.Name, Status: j.Status, Reason: j.Reason, Round: j.Round, Step: j.Step, State: j.State[:],
		SubmittedMs: j.SubmittedMs, EndedMs: j.EndedMs, SubmittedBy: j.SubmittedBy, Converged: j.Converged, Objective: j.Objective, MetricsJson: j.Metrics}
}

// brief is a job's metrics as lists have them: without the scores, which are long.
func brief(j *store.Job) string {
	metrics, _ := evaluation.Split(j.Metrics)
	return string(metrics)
}

func (o *operator) info(ctx context.Context, id wire.Digest) (*pb.JobInfo, error) {
	i, err := o.s.engine.Info(ctx, id)
	if err != nil {
		return nil, err
	}
	out := row(&i.Job)
	out.Kind, out.Phase, out.ResolvedJson = i.Kind, i.Phase, i.Resolved
	out.Private, out.Cohort, out.NMin, out.Roster = i.Private, uint32(i.Cohort), uint32(i.NMin), uint32(i.Roster)
	for _, m := range i.Members {
		out.Members = append(out.Members, &pb.MemberProgress{Name: m.Name, Approved: m.Approved, Uploaded: m.Uploaded, Opened: m.Opened, BytesSent: m.BytesSent, Seat: m.Seat, Data: m.Data, Note: m.Note})
	}
	return out, nil
}

// GetJob implements pb.OperatorServer.
func (o *operator) GetJob(ctx context.Context, r *pb.GetJobRequest) (*pb.JobInfo, error) {
	id, err := o.s.engine.FindJob(ctx, r.GetJob())
	if err != nil {
		return nil, err
	}
	return o.info(ctx, id)
}

// ListJobs implements pb.OperatorServer.
func (o *operator) ListJobs(ctx context.Context, r *pb.ListRequest) (*pb.ListJobsReply, error) {
	rows, next, err := o.s.engine.Rows(ctx, r.GetPageToken(), int(r.GetPageSize()))
	if err != nil {
		return nil, err
	}
	reply := &pb.ListJobsReply{NextPageToken: next}
	for _, j := range rows {
		reply.Jobs = append(reply.Jobs, row(j))
		reply.Jobs[len(reply.Jobs)-1].MetricsJson = brief(j)
	}
	return reply, nil
}

// CancelJob implements pb.OperatorServer.
func (o *operator) CancelJob(ctx context.Context, r *pb.CancelJobRequest) (*pb.JobInfo, error) {
	if err := checkReason(r.GetReason()); err != nil {
		return nil, err
	}
	id, err := o.s.engine.FindJob(ctx, r.GetJob())
	if err != nil {
		return nil, err
	}
	reason := "cancelled by " + caller(ctx).Name
	if r.GetReason() != "" {
		reason += ": " + r.GetReason()
	}
	if err := o.s.engine.Cancel(ctx, id, reason); err != nil {
		return nil, err
	}
	return o.info(ctx, id)
}

// WatchJob implements pb.OperatorServer: all events after a number, then each as it happens, until the job is over.
func (o *operator) WatchJob(r *pb.WatchRequest, stream grpc.ServerStreamingServer[pb.Event]) error {
	ctx := stream.Context()
	id, err := o.s.engine.FindJob(ctx, r.GetJob())
	if err != nil {
		return err
	}
	most, err := o.s.engine.MaxTrainRounds(ctx, id)
	if err != nil {
		return err
	}
	for after := r.GetAfterEvent(); ; {
		changed := o.s.engine.Changed()
		events, over, err := o.s.engine.Events(ctx, id, after)
		if err != nil {
			return err
		}
		for _, e := range events {
			after = e.N
			if err := stream.Send(&pb.Event{N: e.N, AtMs: e.AtMs, Round: e.Round, Step: e.Step, Kind: e.Kind, Phase: e.Phase, Member: e.Member, Loss: e.Loss,
				Bytes: e.Bytes, Message: e.Message, Status: e.Status, MaxRounds: uint32(most), MetricsJson: e.Metrics}); err != nil {
				return err
			}
		}
		if over {
			return nil
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-o.s.engine.Stopping():
			return refuse(engine.Busy, "stopping", "", "Watch again when it is back.", "the coordinator is stopping")
		}
	}
}
