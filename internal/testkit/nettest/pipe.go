package nettest

import (
	"context"
	"net"
	"sync"
)

// PipeListener is a [net.Listener] within the process whose connections are made by [PipeListener.Dial]. Tests by the
// clock of testing/synctest need it: while a goroutine waits for a real connection that clock does not go on.
type PipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// ListenPipe makes a listener.
func ListenPipe() *PipeListener {
	return &PipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next dial. Errors: [net.ErrClosed] once l is closed.
func (l *PipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends accepting and dialling; connections that are there stay open.
func (l *PipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is 127.0.0.1:1, where nobody listens.
func (l *PipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// Dial makes a connection once somebody accepts it. Network and address do not count, so that it can be the DialContext
// of an http.Transport. Errors: [net.ErrClosed] once l is closed, and that of ctx.
func (l *PipeListener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
