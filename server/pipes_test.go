package server

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"userkeys/internal/testkit/nettest"
)

// eachWayTimed is [eachWay] in synctest's time, where a test can wait until nothing goes on any more.
func eachWayTimed(t *testing.T, play func(t *testing.T, f *fakeSite)) {
	t.Helper()
	t.Parallel()
	for name, above := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := busSite(t, parkingAbove(above))
				f.pipes = nettest.ListenPipe()
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
	return &http.Client{Transport: &http.Transport{DialContext: f.pipes.Dial, DisableKeepAlives: true}}
}

// dial opens a connection to s, until the test ends.
func (f *fakeSite) dial(s *httptest.Server) net.Conn {
	f.t.Helper()
	dial := new(net.Dialer).DialContext
	if f.pipes != nil {
		dial = f.pipes.Dial
	}
	conn, err := dial(context.Background(), "tcp", s.Listener.Addr().String())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	return conn
}
