package engine

import (
	"context"
	"time"

	"tributary/protocol/round"
)

const (
	longestSleep = time.Minute            // of the clock, so that a changed system time is noticed
	idleBackoff  = 100 * time.Millisecond // before a job whose Clock changed nothing gets another
	errorBackoff = 2 * time.Second
)

// Run lets deadlines fall and rounds begin until ctx ends, then waits for openings under way. It is called once.
func (e *Engine) Run(ctx context.Context) {
	defer e.work.Wait()
	defer e.halt()
	for {
		e.prune(ctx)
		sleep := longestSleep
		for _, j := range e.openJobs() {
			sleep = min(sleep, e.tick(ctx, j))
		}
		if sleep <= 0 {
			if ctx.Err() != nil {
				return
			}
			continue
		}
		timer := time.NewTimer(sleep)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-e.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// tick gives the job a Clock if one is due, and tells how long until the next is.
func (e *Engine) tick(ctx context.Context, j *job) time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := e.Now()
	if wait := j.notBefore.Sub(now); wait > 0 {
		return wait
	}
	if j.machine != nil && !j.kick {
		if at := j.machine.NextClock(); at > uint64(now.UnixMilli()) {
			return min(time.Duration(at-uint64(now.UnixMilli()))*time.Millisecond, longestSleep)
		}
	}
	j.kick = false
	n, err := e.feed(ctx, j, round.Clock{})
	switch {
	case err != nil:
		e.logJob(j, "clock", err)
		j.notBefore = now.Add(errorBackoff)
	case n == 0:
		j.notBefore = now.Add(idleBackoff)
	}
	return max(j.notBefore.Sub(now), 0)
}
