//go:build unix

package gateway

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"userkeys"
	"userkeys/gateway/internal/transport"
	"userkeys/site"
)

var payload = []byte(`{"notifications":[],"total_rows_notifications":0,"seen":true}`)

var api = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(payload)))
	_, _ = w.Write(payload)
})

// BenchmarkGuardRatio compares whole requests over loopback: behind Guard and
// without. Goal: cpu-ratio at most 1.10. The checker is a fake; the decision itself is measured in authority.
func BenchmarkGuardRatio(b *testing.B) {
	compare(b, api, Guard(&quickChecker{})(api), 200)
}

// BenchmarkRefusalRatio compares a refused key with a plain 200. Goal: at most 1.0.
func BenchmarkRefusalRatio(b *testing.B) {
	compareRequests(b, side{api, get("/api/x", withKey()...), 200}, side{Guard(&quickChecker{})(api), get("/api/x", "User-Api-Key: x"), 403})
}

// BenchmarkProxyRatio compares the proxy with the plain httputil.ReverseProxy
// on an equal transport. Goal: cpu-ratio at most 1.10.
func BenchmarkProxyRatio(b *testing.B) {
	s := httptest.NewServer(api)
	b.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		b.Fatal(err)
	}
	plain := &httputil.ReverseProxy{
		Rewrite:   func(pr *httputil.ProxyRequest) { pr.SetURL(u); pr.SetXForwarded() },
		Transport: transport.Standard(transport.Config{HeaderTimeout: 30 * time.Second}), BufferPool: &benchBuffers{},
	}
	b.Run("key", func(b *testing.B) {
		compare(b, plain, newProxy(b, ProxyConfig{Upstream: u, Checker: &quickChecker{}}), 200)
	})
	b.Run("stranger", func(b *testing.B) {
		stranger := get("/api/x", "Accept: */*", "User-Agent: bench")
		compareRequests(b, side{plain, stranger, 200}, side{newProxy(b, ProxyConfig{Upstream: u, Checker: &quickChecker{}}), stranger, 200})
	})
}

// quickChecker decides without remembering what it was asked.
type quickChecker struct{ crowd }

func (quickChecker) Check(_ context.Context, c site.Call) (userkeys.Access, error) {
	if c.Key != aliceKey {
		return userkeys.Access{}, userkeys.ErrInvalidKey
	}
	return alice, nil
}

type side struct {
	handler http.Handler
	request string
	want    int
}

func compare(b *testing.B, base, ours http.Handler, want int) {
	b.Helper()
	request := get("/api/x", withKey("Accept: */*", "User-Agent: bench")...)
	compareRequests(b, side{base, request, want}, side{ours, request, want})
}

// compareRequests runs slices A B B A ... and reports the medians of the ratios of
// neighbours, ours to the base: CPU of the whole process (client and upstream
// included, which hides a little of either) and time.
func compareRequests(b *testing.B, base, ours side) {
	b.Helper()
	const slice = 2000
	conns := [2]net.Conn{dial(b, listen(b, base.handler)), dial(b, listen(b, ours.handler))}
	readers := [2]*bufio.Reader{bufio.NewReader(conns[0]), bufio.NewReader(conns[1])}
	for i, s := range []side{base, ours} {
		defer conns[i].Close()
		_ = conns[i].SetDeadline(time.Time{})
		run(b, conns[i], readers[i], s, slice)
	}
	var cpu, wall []float64
	for b.Loop() {
		var spent, took [2]time.Duration
		for _, i := range []int{0, 1, 1, 0} {
			c, start := cpuTime(), time.Now()
			run(b, conns[i], readers[i], [2]side{base, ours}[i], slice)
			spent[i] += cpuTime() - c
			took[i] += time.Since(start)
		}
		cpu = append(cpu, float64(spent[1])/float64(spent[0]))
		wall = append(wall, float64(took[1])/float64(took[0]))
	}
	b.ReportMetric(median(cpu), "cpu-ratio")
	b.ReportMetric(median(wall), "time-ratio")
}

func run(b *testing.B, c net.Conn, br *bufio.Reader, s side, n int) {
	b.Helper()
	for range n {
		if _, err := io.WriteString(c, s.request); err != nil {
			b.Fatal(err)
		}
		if status := skipAnswer(b, br); status != s.want {
			b.Fatalf("answer %d, want %d", status, s.want)
		}
	}
}

// skipAnswer reads one answer with a length, as cheaply as it can.
func skipAnswer(b *testing.B, br *bufio.Reader) int {
	b.Helper()
	status, length := 0, 0
	for {
		line, err := br.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		switch {
		case len(line) <= 2:
			if _, err := br.Discard(length); err != nil {
				b.Fatal(err)
			}
			return status
		case status == 0:
			status, _ = strconv.Atoi(string(line[9:12]))
		case len(line) > 18 && string(line[:16]) == "Content-Length: ":
			length, _ = strconv.Atoi(string(line[16 : len(line)-2]))
		}
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// BenchmarkGuard is what Guard adds to a handler, without HTTP around it.
func BenchmarkGuard(b *testing.B) {
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	h, r, w := Guard(&quickChecker{})(nothing), httptest.NewRequest("GET", "/api/x", nil), httptest.NewRecorder()
	r.Header.Set("User-Api-Key", aliceKey)
	b.ReportAllocs()
	for b.Loop() {
		clear(w.Header()) // each answer begins without any
		h.ServeHTTP(w, r)
	}
}

// benchBuffers lends the plain proxy memory, as ours does.
type benchBuffers struct{ pool sync.Pool }

func (b *benchBuffers) Get() []byte {
	if p, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return p[:]
	}
	return make([]byte, 32<<10)
}

func (b *benchBuffers) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }

// BenchmarkProxy is what the proxy does besides the network, next to the plain one.
func BenchmarkProxy(b *testing.B) {
	u := &url.URL{Scheme: "http", Host: "up.example"}
	canned := cannedTransport{}
	plain := &httputil.ReverseProxy{
		Rewrite:   func(pr *httputil.ProxyRequest) { pr.SetURL(u); pr.SetXForwarded() },
		Transport: canned, BufferPool: &benchBuffers{},
	}
	ours := newProxy(b, ProxyConfig{Upstream: u, Checker: &quickChecker{}, Transport: canned})
	for _, bb := range []struct {
		name  string
		h     http.Handler
		lines []string
	}{{"plain", plain, withKey()}, {"key", ours, withKey()}, {"stranger", ours, nil}} {
		b.Run(bb.name, func(b *testing.B) {
			request := get("/api/x?a=b", append(bb.lines, "Accept: */*", "User-Agent: bench")...)
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
			if err != nil {
				b.Fatal(err)
			}
			r.RemoteAddr = "127.0.0.1:12345"
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			r = r.WithContext(ctx)
			b.ReportAllocs()
			for b.Loop() {
				bb.h.ServeHTTP(&discard{h: http.Header{}}, r)
			}
		})
	}
}

type cannedTransport struct{}

func (cannedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, ContentLength: 2, Body: io.NopCloser(strings.NewReader("ok")), Request: r,
		Header: http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"2"}, "Date": {"x"}},
	}, nil
}

type discard struct{ h http.Header }

func (d *discard) Header() http.Header                { return d.h }
func (d *discard) Write(p []byte) (int, error)        { return len(p), nil }
func (d *discard) WriteHeader(int)                    {}
func (d *discard) SetWriteDeadline(_ time.Time) error { return nil }
