package outbox

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// JobStore lets one node do what is done once for all.
type JobStore interface {
	// ClaimJob takes a job that is due; nobody else gets it before until.
	ClaimJob(ctx context.Context, name string, at, until time.Time) (bool, error)
	// FinishJob says when it is due again.
	FinishJob(ctx context.Context, name string, due time.Time) error
}

const (
	jobLease = 10 * time.Minute // how long whoever claimed a job may be gone before somebody else takes it
	jobLook  = 10 * time.Minute // how often a node looks whether one is due
)

// everyClaimed runs a job once in each interval until ctx ends, on one node of all.
func everyClaimed(ctx context.Context, st JobStore, now func() time.Time, log *slog.Logger, name string, interval time.Duration, job func(context.Context) error) {
	trouble := newTrouble(log, "the job "+name)
	for {
		at := now()
		mine, err := st.ClaimJob(ctx, name, at, at.Add(jobLease))
		if err == nil && mine {
			err = errors.Join(job(ctx), st.FinishJob(ctx, name, at.Add(interval)))
		}
		trouble.note(ctx, err)
		if !pause(ctx, min(interval, jobLook)) {
			return
		}
	}
}

// pause waits, and tells whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// trouble logs failures when they begin and when they end, not at each.
type trouble struct {
	log     *slog.Logger
	what    string
	failing bool
}

func newTrouble(log *slog.Logger, what string) *trouble { return &trouble{log: log, what: what} }

func (t *trouble) note(ctx context.Context, err error) {
	if ctx.Err() != nil || (err != nil) == t.failing {
		return
	}
	if t.failing = err != nil; t.failing {
		t.log.ErrorContext(ctx, t.what+" fails", "err", err)
	} else {
		t.log.InfoContext(ctx, t.what+" works again")
	}
}
