package gateway

import (
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"userkeys/gateway/internal/transport"
	"userkeys/internal/testkit/nettest"
)

// inMemory runs test in a bubble in which a proxy of cfg stands before an upstream that
// answers by reply. connect opens a client's connection to it.
func inMemory(t *testing.T, cfg ProxyConfig, reply func(head string, c net.Conn), test func(t *testing.T, connect func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		behind, front := nettest.ListenPipe(), nettest.ListenPipe()
		up := newUpstreamOn(t, behind, reply)
		cfg.Upstream = up.url()
		cfg.Transport = transport.New(transport.Config{
			Upstream: cfg.Upstream, HeaderTimeout: 30 * time.Second, Dial: behind.Dial,
		})
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
			c, err := front.Dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			return c
		})
	})
}
