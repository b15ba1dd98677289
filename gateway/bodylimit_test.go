package gateway

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"userkeys/gateway/internal/forward"
)

// GO-2026-6859: the body is read by the transport's goroutine while the answer
// is written. A MaxBytesReader around the body must not touch the
// answer's headers from there. Only the race detector can see it.
func TestGO_2026_6859_BodyLimitDoesNotRaceWithTheAnswer(t *testing.T) {
	t.Parallel()
	const limit = 4 << 10
	up := newUpstream(t, nil)
	up.early = true
	p := newProxy(t, ProxyConfig{Upstream: up.url()})
	for name, h := range map[string]http.Handler{
		"around the proxy": http.MaxBytesHandler(p, limit),
		"behind a wrapped writer": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a := forward.NewAnswer(w, r)
			r.Body = http.MaxBytesReader(a, r.Body, limit)
			p.ServeHTTP(a, r)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := listen(t, h)
			chunk := "800\r\n" + strings.Repeat("x", 0x800) + "\r\n"
			request := "POST" + get("/x", "Transfer-Encoding: chunked", "Connection: close")[3:] + strings.Repeat(chunk, 4) + "0\r\n\r\n"
			var clients sync.WaitGroup
			for range 8 {
				clients.Go(func() {
					for range 40 {
						c := dial(t, addr)
						_, _ = io.WriteString(c, request)
						_, _ = io.Copy(io.Discard, c)
						c.Close()
					}
				})
			}
			clients.Wait()
		})
	}
}
