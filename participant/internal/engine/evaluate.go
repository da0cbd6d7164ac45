package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"tributary/models/local"
	"tributary/models/metrics"
	"tributary/participant/internal/client"
	"tributary/participant/internal/store"
	"tributary/protocol/pb"
	"tributary/protocol/round"
	"tributary/protocol/wire"
)

// Evaluation is what a finished model does on this participant's own held-out rows, and what the job's sums say of all rows. Own is
// for this participant alone: neither the coordinator nor another participant may have one participant's metrics.
type Evaluation struct {
	Type     string            // of the model
	Own      *local.Evaluation // exact and without noise, also in a private job
	All      metrics.Summary   // what the job measured over all participants; unknown if it measures nothing
	Noised   bool              // whether All is noisy
	Measured bool              // whether the job holds rows out at all
}

// ReadEvaluation reads what this node kept at a job's end, or gives store.ErrNotFound.
func ReadEvaluation(s *store.Store, job wire.Digest) (*Evaluation, error) {
	data, _, err := s.Evaluation(job)
	if err != nil {
		return nil, err
	}
	out := &Evaluation{}
	if err := json.Unmarshal(data, out); err != nil || out.Own == nil {
		return nil, fmt.Errorf("read evaluation: %w", errors.Join(err, errors.New("damaged")))
	}
	return out, nil
}

// evaluate measures a finished job's model on the own held-out rows and keeps that in the node's database. Nothing of it is sent,
// logged or charged. A job isn't held up by it: why there is none is logged, and the error is that of ctx or of a coordinator that
// can't be reached.
func (n *Node) evaluate(ctx context.Context, l *live, last wire.Digest) error {
	if l.stored.Source == "" || l.stored.Record == nil {
		return nil
	}
	err := n.measure(ctx, l, last)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, client.ErrUnreachable):
		return err
	case err != nil:
		n.Log.Warn("the model isn't evaluated on the own rows", zap.String("job", l.stored.Name), zap.Error(err))
	}
	return nil
}

func (n *Node) measure(ctx context.Context, l *live, last wire.Digest) error {
	encoded := l.stored.Record.State
	if round.StateDigest(encoded) != last { // this node doesn't verify the job's states: the ledger's release says which it is
		var err error
		if encoded, err = n.Client.Fetch(ctx, pb.FetchKind_FETCH_STATE, l.stored.Job, last, l.maxState()); err != nil {
			return err
		}
		if round.StateDigest(encoded) != last {
			return fmt.Errorf("%w: another state than the last release's", client.ErrAnswer)
		}
	}
	p := l.terms.program
	state, err := p.DecodeState(encoded)
	if err != nil {
		return err
	}
	if err := n.unchanged(ctx, l); err != nil {
		return err
	}
	table, err := tableOf(l.work.rows, l.terms.resolved, p)
	if err != nil {
		return err
	}
	l.work = work{} // encoded rows that no round needs any more
	out := Evaluation{Type: p.Model.Type, Noised: p.Private(), Measured: p.Evaluate.HoldOut}
	if out.Own, err = local.Evaluate(p, state, table); err != nil {
		return err
	}
	out.All, _ = state.Metrics()
	data, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return n.Store.SaveEvaluation(l.stored.Job, data)
}
