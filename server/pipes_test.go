package server

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
)

// pipes are connections within this process, so that the time of a test can be synctest's.
type pipes struct {
	conns chan net.Conn
	over  context.Context
	end   context.CancelFunc
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn)}
	p.over, p.end = context.WithCancel(context.Background())
	return p
}

// Accept waits for a dial.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over.Done():
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.end(); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// dial gives a new connection to the server.
func (p *pipes) dial() (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.over.Done():
		return nil, net.ErrClosed
	}
}

// eachWayTimed is [eachWay] in synctest's time, where a test can wait until nothing goes on any more.
func eachWayTimed(t *testing.T, play func(t *testing.T, f *fakeSite)) {
	t.Helper()
	t.Parallel()
	for name, above := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := busSite(t, parkingAbove(above))
				f.pipes = newPipes()
				play(t, f)
				f.server.Drain(t.Context())
				if n := f.server.parked.Load(); n != 0 {
					t.Errorf("%d are still parked", n)
				}
			})
		})
	}
}

// serve starts s, over f's pipes if it has some, until the test ends.
func (f *fakeSite) serve(s *httptest.Server) {
	if f.pipes != nil {
		_ = s.Listener.Close()
		s.Listener = f.pipes
	}
	s.Start()
	f.t.Cleanup(s.Close)
}

// client is one for servers that f.serve started.
func (f *fakeSite) client() *http.Client {
	if f.pipes == nil {
		return http.DefaultClient
	}
	dial := func(context.Context, string, string) (net.Conn, error) { return f.pipes.dial() }
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

// dial opens a connection to s, until the test ends.
func (f *fakeSite) dial(s *httptest.Server) net.Conn {
	f.t.Helper()
	dial := func() (net.Conn, error) { return net.Dial("tcp", s.Listener.Addr().String()) }
	if f.pipes != nil {
		dial = f.pipes.dial
	}
	conn, err := dial()
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	return conn
}
