package main

import (
	"errors"
	"io"
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

// Accept waits for the next connection.
func (l *loudListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil || errors.Is(err, net.ErrClosed) {
		return c, err
	}
	now := l.now()
	if now.Sub(l.last) < time.Second {
		l.leftOut++
		return c, err
	}
	attrs := []any{"error", err}
	if l.leftOut > 0 {
		attrs = append(attrs, "left_out", l.leftOut)
	}
	l.last, l.leftOut = now, 0
	l.log.Error("a connection could not be accepted", attrs...)
	return c, err
}
