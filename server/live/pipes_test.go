package live_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
)

// serve starts s, over f's pipes if it has some, until the test ends.
func (f *liveSite) serve(s *httptest.Server) {
	if f.pipes != nil {
		_ = s.Listener.Close()
		s.Listener = f.pipes
	}
	s.Start()
	f.T.Cleanup(s.Close)
}

// client is one for servers that f.serve started.
func (f *liveSite) client() *http.Client {
	if f.pipes == nil {
		return &http.Client{Transport: &http.Transport{}}
	}
	return &http.Client{Transport: &http.Transport{DialContext: f.pipes.Dial, DisableKeepAlives: true}}
}

// dial opens a connection to s, until the test ends.
func (f *liveSite) dial(s *httptest.Server) net.Conn {
	f.T.Helper()
	dial := new(net.Dialer).DialContext
	if f.pipes != nil {
		dial = f.pipes.Dial
	}
	conn, err := dial(context.Background(), "tcp", s.Listener.Addr().String())
	if err != nil {
		f.T.Fatal(err)
	}
	f.T.Cleanup(func() { _ = conn.Close() })
	return conn
}
