package main

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

// endSignals are the signals that end a command in good order. SIGHUP is one of
// them where a person sits at a terminal, which may be closed, unless whoever
// started the command had it ignored, as nohup does.
func endSignals(in io.Reader) []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if atTerminal(in) && !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// ignoreHangup keeps a server without a terminal running when it gets SIGHUP: log
// rotation sends it by habit, and there is nothing to read again.
func ignoreHangup(in io.Reader) {
	if !atTerminal(in) {
		signal.Ignore(syscall.SIGHUP)
	}
}

func atTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// loudListener logs why connections cannot be accepted, at most once a second: out
// of file descriptors, most likely.
type loudListener struct {
	net.Listener
	log  *slog.Logger
	now  func() time.Time
	last time.Time // of the last line; the server accepts in one goroutine
}

// Accept waits for the next connection.
func (l *loudListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil || errors.Is(err, net.ErrClosed) {
		return c, err
	}
	if now := l.now(); now.Sub(l.last) >= time.Second {
		l.last = now
		l.log.Error("a connection could not be accepted", "error", err)
	}
	return c, err
}
