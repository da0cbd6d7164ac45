package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"tributary/coordinator/internal/ca"
	"tributary/coordinator/internal/store"
	"tributary/crypto/identity"
	"tributary/protocol/ledger"
	"tributary/protocol/wire"
)

// Config is what an engine works with.
type Config struct {
	Consortium   string
	Organisation string // the coordinator's
	LogOrigin    string
	Address      string // host:port that invitations name
	Key          *identity.Key
	CA           *ca.CA
	Store        *store.Store
	Spool        *store.Spool
	Log          *zap.Logger
	Now          func() time.Time
	Retention    time.Duration // of ended jobs' working records; 0: for ever; never below MinRetention
}

// Engine runs a coordinator's jobs. It is safe for concurrent use.
type Engine struct {
	Config

	mu      sync.Mutex
	jobs    map[wire.Digest]*job      // guarded by mu; those that aren't over
	order   []wire.Digest             // guarded by mu; by submission
	done    map[wire.Digest]delivery  // guarded by mu; finished jobs whose last payloads are still kept
	seen    map[wire.Member]time.Time // guarded by mu
	news    chan struct{}             // guarded by mu; closed and replaced at every change
	submit  sync.Mutex                // serialises submissions
	budgets sync.Mutex                // serialises the recomputing of accounts
	wake    chan struct{}             // tells the clock that a job's next time changed
	stop    context.Context           // ends when Run does
	halt    context.CancelFunc
	work    sync.WaitGroup // openings under way

	nextPrune time.Time // of Run alone
}

// New restores all jobs that aren't over. Run must be called for anything to happen in them.
func New(ctx context.Context, c Config) (*Engine, error) {
	e := &Engine{Config: c, jobs: map[wire.Digest]*job{}, done: map[wire.Digest]delivery{}, seen: map[wire.Member]time.Time{},
		news: make(chan struct{}), wake: make(chan struct{}, 1)}
	e.stop, e.halt = context.WithCancel(context.WithoutCancel(ctx))
	if err := e.restore(ctx); err != nil {
		e.halt()
		return nil, fmt.Errorf("restore jobs: %w", err)
	}
	return e, nil
}

// Changed gives a channel that is closed at the next change of any job or charter.
func (e *Engine) Changed() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.news
}

// Stopping is closed when the engine stops: whoever waits for changes should leave.
func (e *Engine) Stopping() <-chan struct{} { return e.stop.Done() }

func (e *Engine) changed() {
	e.mu.Lock()
	close(e.news)
	e.news = make(chan struct{})
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// openJobs lists the open jobs by submission.
func (e *Engine) openJobs() []*job {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*job, 0, len(e.order))
	for _, id := range e.order {
		out = append(out, e.jobs[id])
	}
	return out
}

func (e *Engine) openJob(id wire.Digest) (*job, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j, ok := e.jobs[id]
	return j, ok
}

func (e *Engine) add(j *job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.jobs[j.row.ID]; !ok {
		e.order = append(e.order, j.row.ID)
	}
	e.jobs[j.row.ID] = j
}

func (e *Engine) drop(id wire.Digest) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.jobs, id)
	for i, o := range e.order {
		if o == id {
			e.order = append(e.order[:i:i], e.order[i+1:]...)
			return
		}
	}
}

// Saw remembers when a member last called.
func (e *Engine) Saw(m wire.Member) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen[m] = e.Now()
}

func (e *Engine) lastSeen(m wire.Member) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t, ok := e.seen[m]; ok {
		return t.UnixMilli()
	}
	return 0
}

func (e *Engine) nowMs() uint64 { return uint64(e.Now().UnixMilli()) }

// Head is the ledger's, as last committed.
func (e *Engine) Head(ctx context.Context) (head ledger.Head, err error) {
	err = e.Store.View(ctx, func(t *store.Tx) error {
		head, err = ledger.CurrentHead(t)
		return err
	})
	return head, err
}

// logEntry appends to the ledger within a transaction.
func (e *Engine) logEntry(t *store.Tx, kind ledger.Kind, object []byte) (int64, error) {
	return ledger.Append(t, ledger.Entry{Kind: kind, AtMs: e.nowMs(), Object: object})
}
