package sitecmd

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"
)

func listenOn(address string) (net.Listener, error) {
	if strings.Contains(address, "/") { // a socket's path, or a URL
		return nil, fmt.Errorf("--listen: %q is no address such as 127.0.0.1:8080", address)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	return ln, nil
}

// loudListener logs why connections cannot be accepted, such as too many open files, at most once a second. The next
// line says how many errors were not logged. The server accepts in one goroutine.
type loudListener struct {
	net.Listener
	log     *slog.Logger
	now     func() time.Time
	last    time.Time // of the last line
	leftOut int       // since then
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
