package outward

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/nettest"
)

// server starts one that does what h says, and a client that may reach it.
func server(t testing.TB, h http.HandlerFunc, c Config) (string, *http.Client) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the handler does not learn that the client went away
		h(w, r)
	}))
	at := s.Listener.Addr().String()
	c.Inward = func() []string { return []string{at} }
	hc := New(c)
	t.Cleanup(func() {
		hc.CloseIdleConnections()
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL, hc
}

func post(t testing.TB, c *http.Client, address string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(r)
}

func TestSS14_RedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"inside", "the same host", "a public address"} {
			t.Run(fmt.Sprintf("%d to %s", status, to), func(t *testing.T) {
				t.Parallel()
				target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
				defer target.Close()
				location := map[string]string{"inside": target.URL, "the same host": "/again", "a public address": "https://8.8.8.8/"}[to]
				address, c := server(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/" {
						t.Error("the redirect was followed")
					}
					w.Header().Set("Location", location)
					w.WriteHeader(status)
				}, Config{})
				seen := 0
				c.Transport.(*transport).connecting = func(string) error { seen++; return nil }
				resp, err := post(t, c, address+"/")
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if resp.StatusCode != status || resp.Header.Get("Location") != location || seen != 1 {
					t.Errorf("%s, Location %q, %d connections", resp.Status, resp.Header.Get("Location"), seen)
				}
			})
		}
	}
}

// TestSS15_NoProxyOfTheEnvironment runs before the tests beside it: the environment is everybody's. The name is not localhost, which
// no proxy gets anyway.
func TestSS15_NoProxyOfTheEnvironment(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	t.Setenv("NO_PROXY", "")
	t.Setenv("no_proxy", "")
	r := httptest.NewRequest(http.MethodGet, "http://hub.test/", nil)
	if u, err := http.ProxyFromEnvironment(r); err != nil || u == nil {
		t.Fatalf("the environment has no proxy: %v", err) // else this test shows nothing; run again, it is the first one, which is closed
	}
	asked := 0
	port := inside(t, func(http.ResponseWriter, *http.Request) { asked++ })
	n := &nettest.Names{Zone: map[string]nettest.Record{"hub.test": {IPs: []string{"127.0.0.1"}}}}
	c := New(Config{Inward: func() []string { return []string{"hub.test" + port} }, Resolver: n.Resolver()})
	defer c.CloseIdleConnections()
	if got := problem(t, c, "http://hub.test"+port); got != "" || asked != 1 {
		t.Errorf("%q, asked %d times", got, asked)
	}
	if got := problem(t, c, "http://127.0.0.1"+port); got != ProblemAddress {
		t.Errorf("an address that is not listed: %q", got)
	}
}

func TestAnswersAreBoundedInSize(t *testing.T) {
	t.Parallel()
	const gigabyte = 1 << 30
	for _, tt := range []struct {
		name    string
		h       http.HandlerFunc
		config  Config
		read    int64
		problem string
	}{
		{"F37 a gigabyte", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(gigabyte))
			_, _ = io.CopyN(w, zeros{}, gigabyte)
		}, Config{}, 64 << 10, ProblemSize},
		{"F37 a gigabyte that nobody announced", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, gigabyte) }, Config{MaxBody: 1000}, 1000, ProblemSize},
		{"F37 nothing, compressed without end", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			var member bytes.Buffer
			if err := gzip.NewWriter(&member).Close(); err != nil {
				panic(err)
			}
			for {
				if _, err := w.Write(bytes.Repeat(member.Bytes(), 100)); err != nil {
					return
				}
			}
		}, Config{}, 64 << 10, ProblemSize},
		{"as much as is allowed", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, 1000) }, Config{MaxBody: 1000}, 1000, ""},
		{"one byte more", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, 1001) }, Config{MaxBody: 1000}, 1000, ProblemSize},
		{"no bound", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, 1<<20) }, Config{MaxBody: -1}, 1 << 20, ""},
		{"an answer that breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write(make([]byte, 10))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, Config{}, 10, ProblemConnection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, c := server(t, tt.h, tt.config)
			resp, err := post(t, c, address)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			n, err := io.Copy(io.Discard, resp.Body)
			if n != tt.read || Problem(err) != tt.problem {
				t.Errorf("read %d bytes, %q (%v); want %d, %q", n, Problem(err), err, tt.read, tt.problem)
			}
			if tt.problem == ProblemSize && !errors.Is(err, userkeys.BodyTooLarge) {
				t.Errorf("%v is no %v", err, userkeys.BodyTooLarge)
			}
			if _, again := resp.Body.Read(make([]byte, 1)); (again == nil) || tt.problem != "" && Problem(again) != tt.problem {
				t.Errorf("reading on: %v", again)
			}
		})
	}
}

// zeros is a source without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// drip writes a byte now and then until nobody listens.
func drip(w io.Writer, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := w.Write([]byte("a")); err != nil {
			return
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestAnswersAreBoundedInTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		h      http.HandlerFunc
		inBody bool
	}{
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, false},
		{"F36 the head a byte at a time", func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Long: ")
			for {
				if _, err := conn.Write([]byte("a")); err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}, false},
		{"F36 the body a byte at a time", func(w http.ResponseWriter, r *http.Request) { drip(w, r) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, c := server(t, tt.h, Config{Timeout: 200 * time.Millisecond})
			resp, err := post(t, c, address)
			if (err == nil) != tt.inBody {
				t.Fatalf("%v", err)
			}
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			var network net.Error
			if Problem(err) != ProblemTimeout || !errors.As(err, &network) || !network.Timeout() {
				t.Errorf("%q: %v", Problem(err), err)
			}
		})
	}
	if c := New(Config{}); c.Timeout != 10*time.Second {
		t.Errorf("without a setting it ends after %v", c.Timeout)
	}
}

func TestF36_HeadersAreBounded(t *testing.T) {
	t.Parallel()
	address, c := server(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 200 {
			w.Header().Set(fmt.Sprintf("X-Long-%d", i), strings.Repeat("a", 1000))
		}
	}, Config{})
	if resp, err := post(t, c, address); Problem(err) != ProblemConnection {
		if err == nil {
			resp.Body.Close()
		}
		t.Errorf("%v", err)
	}
}

func TestF36_AnUpgradeThatNobodyAskedForIsBounded(t *testing.T) {
	t.Parallel()
	address, c := server(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		_, _ = io.Copy(conn, zeros{})
	}, Config{})
	resp, err := post(t, c, address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols || n != usualMaxBody || Problem(err) != ProblemSize {
		t.Errorf("%s, %d bytes, %v", resp.Status, n, err)
	}
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	var got http.Header
	address, c := server(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
	}, Config{})
	for range 2 {
		resp, err := post(t, c, address)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if got.Get("User-Agent") != "userkeys" || got.Get("Cookie") != "" || got.Get("Accept-Encoding") != "" {
		t.Errorf("%v", got)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User-Agent", "another")
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got.Get("User-Agent") != "another" {
		t.Errorf("a name of its own became %q", got.Get("User-Agent"))
	}
}

func TestAFollowerIsJudgedAtEveryStep(t *testing.T) {
	t.Parallel()
	secret := inside(t, func(http.ResponseWriter, *http.Request) { t.Error("it was reached") })
	address, c := server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1"+secret, http.StatusTemporaryRedirect)
	}, Config{MaxBody: -1})
	c.CheckRedirect = nil // as client.Outward has it
	c.Jar, _ = cookiejar.New(nil)
	resp, err := post(t, c, address)
	if err == nil {
		resp.Body.Close()
	}
	if Problem(err) != ProblemAddress {
		t.Errorf("%v", err)
	}
}

func TestSS27_ErrorsTellNothingOfTheInside(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().String()[strings.LastIndexByte(l.Addr().String(), ':'):]
	l.Close() // nobody listens there now
	broken := inside(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	garbage := inside(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, "-ERR 10.1.2.3 wrong password\r\n")
		conn.Close()
	})
	partial := inside(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsecret")
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	})
	n := &nettest.Names{Zone: map[string]nettest.Record{
		"hub.test": {IPs: []string{"127.0.0.1"}}, "metadata.test": {IPs: []string{"10.1.2.3"}}, "broken.test": {Broken: true},
	}}
	c := New(Config{Resolver: n.Resolver(), Inward: func() []string {
		return []string{"hub.test" + port, "hub.test" + broken, "hub.test" + garbage, "hub.test" + partial}
	}})
	defer c.CloseIdleConnections()
	for _, tt := range []struct{ name, address, problem string }{
		{"refused", "http://metadata.test/", ProblemAddress},
		{"nobody listens", "http://hub.test" + port, ProblemConnection},
		{"broken off", "http://hub.test" + broken, ProblemConnection},
		{"not HTTP", "http://hub.test" + garbage, ProblemConnection},
		{"broken off in the body", "http://hub.test" + partial, ProblemConnection},
		{"DNS is broken", "http://broken.test/", ProblemConnection},
		{"no such name", "http://none.test/", ProblemConnection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := post(t, c, tt.address)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			if Problem(err) != tt.problem {
				t.Fatalf("%q: %v", Problem(err), err)
			}
			for _, text := range []string{err.Error(), userkeys.AsError(err).Public, userkeys.AsError(err).Error()} {
				for _, inner := range []string{"127.0.0.1", "10.1.2.3", "password", "secret", "lookup", "refused", "reset", "EOF"} {
					if strings.Contains(text, inner) {
						t.Errorf("%q tells %q", text, inner)
					}
				}
			}
			if detail := Detail(err); !strings.HasPrefix(detail, tt.problem+": ") || len(detail) < len(tt.problem)+5 {
				t.Errorf("the log would have %q", detail)
			}
		})
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	address, c := server(t, func(http.ResponseWriter, *http.Request) {}, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(r)
	if err == nil {
		resp.Body.Close()
	}
	if Problem(err) != ProblemCanceled || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if Problem(nil) != "" || Detail(nil) != "" {
		t.Error("nil is a problem")
	}
	if other := errors.New("of somebody else"); Problem(other) != ProblemConnection || Detail(other) != other.Error() {
		t.Errorf("%q, %q", Problem(other), Detail(other))
	}
	for problem, sentence := range sentences {
		f := fail(problem, errors.New("cause"))
		var network net.Error
		if f.Error() != sentence || Problem(&url.Error{Err: f}) != problem || !errors.As(f, &network) || network.Timeout() != (problem == ProblemTimeout) {
			t.Errorf("%s: %v", problem, f)
		}
	}
}

// TestARefusedRequestIsClosed: whoever gave a body must get it back, whatever happens.
func TestARefusedRequestIsClosed(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.1", "10.0.0.1"} {
		body := &closed{Reader: strings.NewReader("{}")}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+"/", body)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := New(Config{}).Do(r)
		if err == nil {
			resp.Body.Close()
		}
		if Problem(err) != ProblemAddress || !body.yes.Load() {
			t.Errorf("%s: %v, closed %v", host, err, body.yes.Load())
		}
	}
}

type closed struct {
	io.Reader
	yes atomic.Bool
}

func (c *closed) Close() error { c.yes.Store(true); return nil }

// TestConnectionsAreUsedAgain: a thousand requests, 64 at a time, need few connections: a second set of 64 at most, since a
// request may begin to connect a moment before another gives its connection back.
func TestConnectionsAreUsedAgain(t *testing.T) {
	t.Parallel()
	const atOnce, each = 64, 16
	address, c := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }, Config{})
	var connects atomic.Int32
	c.Transport.(*transport).connecting = func(string) error { connects.Add(1); return nil }
	done := make(chan error)
	for range atOnce {
		go func() {
			var failed error
			for range each {
				if err := postAndRead(t.Context(), c, address); err != nil {
					failed = err
				}
			}
			done <- failed
		}()
	}
	for range atOnce {
		if err := <-done; err != nil {
			t.Error(Detail(err))
		}
	}
	if n := connects.Load(); n > 2*atOnce {
		t.Errorf("%d connections for %d requests at once", n, atOnce)
	}
}

// postAndRead posts and reads the answer.
func postAndRead(ctx context.Context, c *http.Client, address string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// BenchmarkPost compares with a plain client in interleaved slices: "ratio" is our time in units of its time.
func BenchmarkPost(b *testing.B) {
	address, ours := server(b, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }, Config{})
	plain := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: maxIdlePerHost}, Timeout: usualTimeout}
	defer plain.CloseIdleConnections()
	const slice = 200
	slices := func(c *http.Client) time.Duration {
		start := time.Now()
		done := make(chan error)
		workers := 4 * runtime.GOMAXPROCS(0)
		for range workers {
			go func() {
				for range slice / workers {
					if err := postAndRead(b.Context(), c, address); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range workers {
			if err := <-done; err != nil {
				b.Error(Detail(err))
			}
		}
		return time.Since(start)
	}
	var mine, its time.Duration
	for i := 0; b.Loop(); i++ {
		if i%2 == 0 {
			mine += slices(ours)
			its += slices(plain)
		} else {
			its += slices(plain)
			mine += slices(ours)
		}
	}
	b.ReportMetric(float64(mine)/float64(its), "ratio")
	b.ReportMetric(float64(b.N*slice)/mine.Seconds(), "posts/s")
}

// TestWriteTimeout: whoever takes the connection and reads nothing is not waited for.
func TestWriteTimeout(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept() // and nothing more
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	c := New(Config{WriteTimeout: 50 * time.Millisecond, Timeout: time.Minute, Inward: func() []string { return []string{ln.Addr().String()} }})
	resp, err := c.Post("http://"+ln.Addr().String()+"/", "application/octet-stream", bytes.NewReader(make([]byte, 64<<20)))
	if err == nil {
		_ = resp.Body.Close()
		t.Fatal("it answered")
	}
	if Problem(err) != ProblemTimeout {
		t.Errorf("%q: %s", Problem(err), Detail(err))
	}
}
