package sitecmd

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"userkeys/internal/logs"
)

// scriptedListener accepts what a test says.
type scriptedListener struct {
	net.Listener
	errs []error
}

func TestConnectionsThatCannotBeAcceptedAreLogged(t *testing.T) {
	t.Parallel()
	var logged strings.Builder
	now := time.Unix(1e9, 0)
	full := &net.OpError{Op: "accept", Err: syscall.EMFILE}
	l := &loudListener{
		Listener: &scriptedListener{errs: []error{full, full, full, full, net.ErrClosed}},
		failed:   logs.NewErrors(slog.New(slog.NewTextHandler(&logged, nil)), func() time.Time { return now }),
	}
	for _, pause := range []time.Duration{0, 500 * time.Millisecond, 400 * time.Millisecond, 100 * time.Millisecond} {
		now = now.Add(pause)
		if _, err := l.Accept(); !errors.Is(err, syscall.EMFILE) {
			t.Errorf("got %v, which the server does not know", err)
		}
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if log := logged.String(); strings.Count(log, "\n") != 2 || strings.Count(log, "level=ERROR") != 2 || !strings.Contains(log, syscall.EMFILE.Error()) ||
		strings.Count(log, "left_out") != 1 || !strings.Contains(log, "left_out=2\n") {
		t.Errorf("logged\n%s", log)
	}
}

// Accept gives the next error.
func (l *scriptedListener) Accept() (net.Conn, error) {
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}
