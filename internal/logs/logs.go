// Package logs bounds what requests can write into a log: how many lines a second, and what of a path.
package logs

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"userkeys"
)

// Pace bounds the lines of one kind that a log gets each second, so that
// nobody can fill a disk with them. What is left out is counted.
type Pace struct {
	most int // lines a second

	mu      sync.Mutex
	second  int64
	written int
	leftOut int
}

// NewPace returns a pace of most lines a second.
func NewPace(most int) *Pace { return &Pace{most: most} }

// Allow counts a line. It reports whether the line may be written, and how many were left out before it.
func (p *Pace) Allow(now time.Time) (leftOut int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := now.Unix(); s != p.second {
		p.second, p.written = s, 0
	}
	if p.written >= p.most {
		p.leftOut++
		return 0, false
	}
	p.written++
	leftOut, p.leftOut = p.leftOut, 0
	return leftOut, true
}

// Errors writes errors of one kind into a log, at most one a second.
type Errors struct {
	log  *slog.Logger
	now  func() time.Time
	pace *Pace
}

// NewErrors returns a log of errors; with a nil logger it writes nothing.
func NewErrors(log *slog.Logger, now func() time.Time) *Errors {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Errors{log: log, now: now, pace: NewPace(1)}
}

// Write writes what happened, or counts it. The next line says how many were left out.
func (e *Errors) Write(ctx context.Context, what string, attrs ...slog.Attr) {
	leftOut, ok := e.pace.Allow(e.now())
	if !ok {
		return
	}
	if leftOut > 0 {
		attrs = append(attrs, slog.Int("left_out", leftOut))
	}
	e.log.LogAttrs(ctx, slog.LevelError, what, attrs...)
}

// Path returns path as a log may have it: at most 256 bytes, and without the one-time password at the end of an
// address that signs a user in. An address that is nearly such a one still has the password in it.
func Path(path string) string {
	if before, _, ok := strings.Cut(path, "/otp/"); ok {
		path = before + "/otp/..."
	}
	return userkeys.Shorten(path, 256)
}
