package engine

import (
	"context"
	"errors"
	"fmt"

	"tributary/coordinator/internal/store"
	"tributary/models/optim"
	"tributary/protocol/jobspec"
	"tributary/protocol/wire"
)

// startFrom gives the coefficients of a completed job's model for a new program to start from.
func (e *Engine) startFrom(ctx context.Context, model wire.Digest, program []byte) ([]float64, error) {
	var row *store.Job
	var data []byte
	err := e.Store.View(ctx, func(t *store.Tx) (err error) {
		if row, err = t.CompletedByState(model); err != nil {
			return err
		}
		data, err = t.State(row.ID, model)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("no completed job's model has the state %x…", model[:6])
	}
	if err != nil {
		return nil, err
	}
	r, err := jobspec.ParseResolved(row.Resolved)
	if err != nil {
		return nil, err
	}
	old, err := optim.ParseProgram(r.Program())
	if err != nil {
		return nil, err
	}
	state, err := old.DecodeState(data)
	if err != nil {
		return nil, err
	}
	p, err := optim.ParseProgram(program)
	if err != nil {
		return nil, err
	}
	return p.StartFrom(old, state)
}
