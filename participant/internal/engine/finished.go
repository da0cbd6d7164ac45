package engine

import (
	"errors"
	"fmt"

	"tributary/models/optim"
	"tributary/participant/internal/store"
	"tributary/protocol/jobspec"
)

// ErrNoModel is returned for a job whose finished model this node doesn't have.
var ErrNoModel = errors.New("this node has no finished model of the job")

// Finished is a job's model as this node verified it, with what it was agreed on. A private job's is the one that its last release names:
// of noised sums nobody but the coordinator computes it.
type Finished struct {
	Resolved *jobspec.Resolved
	Contract *jobspec.Contract
	Program  *optim.Program
	State    *optim.State
}

// ReadFinished reads a stored job that completed, by its last release.
func ReadFinished(j *store.Job) (*Finished, error) {
	if j.Status != store.Finished || j.Record == nil {
		return nil, fmt.Errorf("%w: it is %s\nhint: only a job that completed has one", ErrNoModel, j.Status)
	}
	items, err := bundle(j.Bundle)
	if err != nil {
		return nil, err
	}
	f := &Finished{}
	if f.Resolved, err = jobspec.ParseResolved(items[1]); err != nil {
		return nil, fmt.Errorf("read the job's spec: %w", err)
	}
	if f.Contract, err = jobspec.ParseContractJSON(items[2]); err != nil {
		return nil, fmt.Errorf("read the job's contract: %w", err)
	}
	if f.Program, err = optim.ParseProgram(f.Resolved.Program()); err != nil {
		return nil, fmt.Errorf("read the job's program: %w", err)
	}
	if f.State, err = f.Program.DecodeState(j.Record.State); err != nil {
		return nil, fmt.Errorf("read the job's state: %w", err)
	}
	if f.State.Kind() != optim.Done {
		return nil, fmt.Errorf("%w: its state comes before %s\nhint: a seat without data doesn't follow the model, nor does any node where a round's payloads are over 64 MB", ErrNoModel, f.State.Kind())
	}
	return f, nil
}
