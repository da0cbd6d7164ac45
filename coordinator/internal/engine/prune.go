package engine

import (
	"context"
	"time"

	"go.uber.org/zap"

	"tributary/coordinator/internal/store"
)

// MinRetention is the least time for which working records of ended jobs are kept: three years, as PIPL Art. 56 asks for of records of
// assessments and processing.
const MinRetention = 3 * 366 * 24 * time.Hour

const pruneEvery = 24 * time.Hour

// prune removes what is older than the retention, now and then. A failure costs room, not correctness.
func (e *Engine) prune(ctx context.Context) {
	now := e.Now()
	if e.Retention < MinRetention || now.Before(e.nextPrune) { // 0: for ever
		return
	}
	e.nextPrune = now.Add(pruneEvery)
	var removed int64
	err := e.Store.Update(ctx, "commit/prune", func(t *store.Tx) (err error) {
		removed, err = t.Prune(now.Add(-e.Retention).UnixMilli())
		return err
	})
	switch {
	case err != nil:
		e.Log.Warn("working records that are past their retention can't be removed", zap.Error(err))
	case removed > 0:
		e.Log.Info("removed working records of jobs that ended before the retention", zap.Int64("records", removed))
	}
}
