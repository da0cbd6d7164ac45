package server

import (
	"context"
	"errors"
	"strings"

	"tributary/coordinator/internal/engine"
	"tributary/coordinator/internal/onnx"
	"tributary/protocol/pb"
	"tributary/protocol/round"
)

// ListModels implements pb.OperatorServer: the models of completed jobs.
func (o *operator) ListModels(ctx context.Context, r *pb.ListRequest) (*pb.ListModelsReply, error) {
	rows, next, err := o.s.engine.Rows(ctx, r.GetPageToken(), int(r.GetPageSize()))
	if err != nil {
		return nil, err
	}
	aliases, err := o.s.engine.Aliases(ctx, rows)
	if err != nil {
		return nil, err
	}
	reply := &pb.ListModelsReply{NextPageToken: next}
	for _, j := range rows {
		if j.Status != string(round.Completed) {
			continue
		}
		reply.Models = append(reply.Models, &pb.ModelInfo{Job: j.ID[:], Name: j.Name, State: j.State[:], Converged: j.Converged, Objective: j.Objective, MetricsJson: brief(j), AtMs: j.EndedMs,
			Aliases: aliases[j.ID]})
	}
	return reply, nil
}

// ExportModel implements pb.OperatorServer.
func (o *operator) ExportModel(ctx context.Context, r *pb.ExportRequest) (*pb.ExportReply, error) {
	format := r.GetFormat()
	if format == "" {
		format = "json"
	}
	precision, isGraph := map[string]onnx.Precision{"onnx": onnx.Double, "onnx-float32": onnx.Float32}[format]
	if !isGraph && format != "json" {
		return nil, refuse(engine.Invalid, "format", "format", "Use json, onnx or onnx-float32.", "models aren't exported as "+format)
	}
	id, err := o.s.engine.FindModel(ctx, r.GetJob())
	if err != nil {
		return nil, err
	}
	data, err := o.s.engine.Export(ctx, id)
	if err != nil {
		return nil, err
	}
	if isGraph {
		if data, err = onnx.Encode(data, precision); errors.Is(err, onnx.ErrUnsupported) {
			message, hint, found := strings.Cut(err.Error(), "\nhint: ")
			if !found {
				hint = "Use json."
			}
			return nil, refuse(engine.Precondition, "format", "format", hint, message)
		} else if err != nil {
			return nil, err
		}
	}
	return &pb.ExportReply{Data: data, Format: format}, nil
}

// PromoteModel implements pb.OperatorServer.
func (o *operator) PromoteModel(ctx context.Context, r *pb.PromoteRequest) (*pb.ModelAlias, error) {
	if err := checkReason(r.GetReason()); err != nil {
		return nil, err
	}
	id, err := o.s.engine.FindJob(ctx, r.GetJob())
	if err != nil {
		return nil, err
	}
	a, err := o.s.engine.Promote(ctx, id, r.GetAlias(), caller(ctx).Name, r.GetReason())
	return aliasReply(a, err)
}

// RollbackModel implements pb.OperatorServer.
func (o *operator) RollbackModel(ctx context.Context, r *pb.RollbackRequest) (*pb.ModelAlias, error) {
	if err := checkReason(r.GetReason()); err != nil {
		return nil, err
	}
	a, err := o.s.engine.Rollback(ctx, r.GetAlias(), int64(r.GetPromotion()), caller(ctx).Name, r.GetReason())
	return aliasReply(a, err)
}

// GetAlias implements pb.OperatorServer.
func (o *operator) GetAlias(ctx context.Context, r *pb.GetAliasRequest) (*pb.ModelAlias, error) {
	a, err := o.s.engine.Alias(ctx, r.GetAlias())
	return aliasReply(a, err)
}

func aliasReply(a engine.Alias, err error) (*pb.ModelAlias, error) {
	if err != nil {
		return nil, err
	}
	reply := &pb.ModelAlias{Alias: a.Name, Job: a.Job.ID[:], Name: a.Job.Name, Promotion: uint64(a.Seq)}
	for _, p := range a.History {
		reply.History = append(reply.History, &pb.Promotion{Promotion: uint64(p.Seq), Job: p.Job[:], Name: p.JobName, By: p.By, AtMs: p.AtMs, Reason: p.Reason,
			WithdrawnBy: p.WithdrawnBy, WithdrawnMs: p.WithdrawnMs, WithdrawnReason: p.WithdrawnReason})
	}
	return reply, nil
}
