package sitecmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"userkeys/internal/logs"
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

// loudListener logs why connections cannot be accepted, such as too many open files.
type loudListener struct {
	net.Listener
	failed *logs.Errors
}

// Accept waits for the next connection.
func (l *loudListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		l.failed.Write(context.Background(), "a connection could not be accepted", slog.Any("error", err))
	}
	return c, err
}
