package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a network in memory: what waits in it, waits by the clock of a
// synctest bubble, so that a test with the patience that ships takes no time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

// Accept waits for the next dial.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close ends accepting and dialling.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr is the zero address.
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// inMemory runs test in a bubble in which a proxy of cfg stands before an upstream that
// answers by reply. connect opens a client's connection to it.
func inMemory(t *testing.T, cfg ProxyConfig, reply func(head string, c net.Conn), test func(t *testing.T, connect func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		behind, front := newPipes(), newPipes()
		up := newUpstreamOn(t, behind, reply)
		tr := newTransport(30 * time.Second)
		tr.DialContext = behind.dial
		cfg.Upstream, cfg.Transport = up.url(), tr
		s := &http.Server{Handler: newProxy(t, cfg)}
		Limits(s)
		var served sync.WaitGroup
		served.Go(func() { _ = s.Serve(front) })
		t.Cleanup(func() {
			_ = s.Close()
			served.Wait()
			time.Sleep(2 * time.Minute) // until everybody has noticed
		})
		test(t, func() net.Conn {
			c, err := front.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			return c
		})
	})
}
