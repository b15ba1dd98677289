package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"time"

	"userkeys"
	"userkeys/gateway/internal/request"
	"userkeys/internal/logs"
)

// linesPerSecond bounds the refusals that are written down, so that a flood of
// bad keys fills no disk. What is left out is counted.
const linesPerSecond = 10

// refusalLog writes down what the doors refuse. A nil one writes nothing.
type refusalLog struct {
	log      *slog.Logger
	clientIP func(*http.Request) string
	now      func() time.Time
	pace     *logs.Pace
}

func newRefusalLog(log *slog.Logger, clientIP func(*http.Request) string, now func() time.Time) *refusalLog {
	if log == nil {
		return nil
	}
	return &refusalLog{log: log, clientIP: clientIP, now: now, pace: logs.NewPace(linesPerSecond)}
}

// refused writes one line of a refused request, and its id into the answer, so
// that who asks about it can name it. The key is named by a part of its hash;
// the query, which may hold one, is left out.
func (l *refusalLog) refused(w http.ResponseWriter, r *http.Request, k request.Presented, why *request.Refusal) {
	attrs := append(keyAttr(k), slog.Int("status", why.Status), slog.String("refused", why.Reason))
	l.write(w, r, logLine{slog.LevelInfo, "refused", attrs})
}

// logLine is what is written of one request.
type logLine struct {
	level slog.Level
	what  string
	attrs []slog.Attr
}

// write writes a line if one more fits into this second.
func (l *refusalLog) write(w http.ResponseWriter, r *http.Request, line logLine) {
	if l == nil || !l.log.Enabled(r.Context(), line.level) {
		return
	}
	leftOut, ok := l.pace.Allow(l.now())
	if !ok {
		return
	}
	if leftOut > 0 {
		ctx := context.WithoutCancel(r.Context())
		l.log.LogAttrs(ctx, slog.LevelWarn, "refusals left out of this log", slog.Int("count", leftOut))
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // crypto/rand.Read never fails
	text := hex.EncodeToString(id[:])
	w.Header().Set("X-Request-Id", text)
	attrs := append(line.attrs, slog.String("id", text), slog.String("ip", l.clientIP(r)))
	l.log.LogAttrs(r.Context(), line.level, line.what, append(attrs, request.LogAttrs(r)...)...)
}

func keyAttr(k request.Presented) []slog.Attr {
	if len(k.Values) != 1 {
		return nil
	}
	return []slog.Attr{slog.String("key_hash", userkeys.Key(k.Values[0]).Hash().Short())}
}
