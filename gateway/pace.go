package gateway

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// pace bounds the lines of one kind that a log gets each second, so that
// nobody can fill a disk with them. What is left out is counted.
type pace struct {
	most int // lines a second

	mu      sync.Mutex
	second  int64
	written int
	leftOut int
}

// mayWrite counts a line, and tells how many were left out before it.
func (p *pace) mayWrite(now time.Time) (leftOut int, ok bool) {
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

// errorLog writes down errors of one kind, at most one a second.
type errorLog struct {
	log  *slog.Logger
	now  func() time.Time
	pace pace
}

// newErrorLog makes an error log; with a nil logger it writes nothing.
func newErrorLog(log *slog.Logger, now func() time.Time) *errorLog {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &errorLog{log: log, now: now, pace: pace{most: 1}}
}

// write writes down what happened to r, or counts it.
func (l *errorLog) write(r *http.Request, what string, attrs ...slog.Attr) {
	leftOut, ok := l.pace.mayWrite(l.now())
	if !ok {
		return
	}
	if leftOut > 0 {
		attrs = append(attrs, slog.Int("left_out", leftOut))
	}
	l.log.LogAttrs(r.Context(), slog.LevelError, what,
		append(attrs, slog.String("method", cut(r.Method, 20)), slog.String("path", loggable(r)))...)
}
