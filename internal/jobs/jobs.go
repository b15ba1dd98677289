// Package jobs runs what has to be done again and again: some of it by each node, some of it by one node for all.
package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

const (
	lease = 10 * time.Minute // how long the node that claimed a job may take before another node may claim it
	look  = 10 * time.Minute // how often at least a node asks whether a job is due
)

// Store remembers for all nodes when a job is due.
type Store interface {
	// ClaimJob claims a job that is due at a time and reports whether this node has it now; no other node gets it before
	// until.
	ClaimJob(ctx context.Context, name string, at, until time.Time) (bool, error)
	// FinishJob sets when a job is due again.
	FinishJob(ctx context.Context, name string, due time.Time) error
}

// Job is what one node does for all, once in each interval.
type Job struct {
	Name  string // the same on all nodes
	Every time.Duration
	Do    func(context.Context) error
}

// Runner runs jobs that share a store.
type Runner struct {
	Store  Store
	Now    func() time.Time
	Logger *slog.Logger
}

// Run runs j whenever it is due until ctx ends. Failures are logged when they begin and when they end.
func (r Runner) Run(ctx context.Context, j Job) {
	log := NewFailureLog(r.Logger, "the job "+j.Name)
	for {
		log.Note(ctx, r.RunIfDue(ctx, j))
		if !Pause(ctx, min(j.Every, look)) {
			return
		}
	}
}

// RunIfDue runs j once if it is due and no other node is at it. A job that failed is due again after j.Every or, if
// that is longer, after the time that its node had for it.
func (r Runner) RunIfDue(ctx context.Context, j Job) error {
	began := r.Now()
	claimed, err := r.Store.ClaimJob(ctx, j.Name, began, began.Add(lease))
	if err != nil || !claimed {
		return err
	}
	err = j.Do(ctx)
	next := j.Every
	if err != nil {
		next = min(j.Every, lease)
	}
	return errors.Join(err, r.Store.FinishJob(ctx, j.Name, began.Add(next)))
}

// Repeat calls do at each interval until ctx ends. What failed is logged when it begins to fail and when it works
// again.
func Repeat(ctx context.Context, interval time.Duration, log *FailureLog, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			log.Note(ctx, do(ctx))
		}
	}
}

// Pause waits for d and reports whether ctx still goes on.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// FailureLog logs that something fails when that begins and when it ends, and not at each failure. It is for one
// goroutine.
type FailureLog struct {
	log     *slog.Logger
	what    string
	failing bool
}

// NewFailureLog makes a log of the failures of what, which begins the sentence that is logged.
func NewFailureLog(log *slog.Logger, what string) *FailureLog {
	return &FailureLog{log: log, what: what}
}

// Note logs err unless it says what the last one said; nothing is logged once ctx has ended.
func (t *FailureLog) Note(ctx context.Context, err error) {
	if ctx.Err() != nil || (err != nil) == t.failing {
		return
	}
	if t.failing = err != nil; t.failing {
		t.log.ErrorContext(ctx, t.what+" fails", "err", err)
	} else {
		t.log.InfoContext(ctx, t.what+" works again")
	}
}
