package fakesite

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
)

// Serve starts s, over f's pipes if it has some, until the test ends.
func (f *Site) Serve(s *httptest.Server) {
	if f.Pipes != nil {
		_ = s.Listener.Close()
		s.Listener = f.Pipes
	}
	s.Start()
	f.T.Cleanup(s.Close)
}

// Client is one for servers that f.serve started.
func (f *Site) Client() *http.Client {
	if f.Pipes == nil {
		return &http.Client{Transport: &http.Transport{}}
	}
	return &http.Client{Transport: &http.Transport{DialContext: f.Pipes.Dial, DisableKeepAlives: true}}
}

// Dial opens a connection to s, until the test ends.
func (f *Site) Dial(s *httptest.Server) net.Conn {
	f.T.Helper()
	dial := new(net.Dialer).DialContext
	if f.Pipes != nil {
		dial = f.Pipes.Dial
	}
	conn, err := dial(context.Background(), "tcp", s.Listener.Addr().String())
	if err != nil {
		f.T.Fatal(err)
	}
	f.T.Cleanup(func() { _ = conn.Close() })
	return conn
}
