package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/gateway"
	"userkeys/internal/bench"
	"userkeys/internal/bench/keyset"
	"userkeys/internal/bench/minimum"
	"userkeys/internal/wiring"
)

// The environment variables of a server process.
const (
	variantVariable  = "USERKEYS_BENCH_VARIANT"
	keysVariable     = "USERKEYS_BENCH_KEYS"
	countVariable    = "USERKEYS_BENCH_COUNT"
	upstreamVariable = "USERKEYS_BENCH_UPSTREAM"
	profileVariable  = "USERKEYS_BENCH_PROFILE" // folder for CPU profiles; empty: none
)

// headroom is the default of serve's --gc-headroom, in bytes. A handler without a guard has it too, so that a guard is
// not compared with less.
const headroom = 32 << 20

// answerBody is the body of every answer.
const answerBody = `{"notifications":[],"total_rows_notifications":0,"seen":0}`

func answer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = io.WriteString(w, answerBody)
}

// A variant makes the handler of a server, and a function that runs in the background.
type variant func(context.Context, order) (http.Handler, *authority.Authority, error)

var variants = map[string]variant{
	"bare": func(context.Context, order) (http.Handler, *authority.Authority, error) {
		return http.HandlerFunc(answer), nil, nil
	},
	"guard": func(ctx context.Context, o order) (http.Handler, *authority.Authority, error) {
		a, err := onSQLite(ctx, o, keyset.Raised)
		return guarded(a, gateway.Guard), a, err
	},
	"guard-memory": func(ctx context.Context, o order) (http.Handler, *authority.Authority, error) {
		a, err := inMemory(ctx, o, keyset.Raised)
		return guarded(a, gateway.Guard), a, err
	},
	"guard-shipped": func(ctx context.Context, o order) (http.Handler, *authority.Authority, error) {
		a, err := inMemory(ctx, o, nil)
		return guarded(a, gateway.Guard), a, err
	},
	"minimum": func(_ context.Context, o order) (http.Handler, *authority.Authority, error) {
		return leastGuard(minimum.New(o.keys.Len(), o.keys.Text)), nil, nil
	},
	"require": func(ctx context.Context, o order) (http.Handler, *authority.Authority, error) {
		a, err := onSQLite(ctx, o, keyset.Raised)
		return guarded(a, gateway.Require), a, err
	},
	"limited": func(ctx context.Context, o order) (http.Handler, *authority.Authority, error) {
		a, err := onSQLite(ctx, o, always)
		return guarded(a, gateway.Require), a, err
	},
	"bare-asked": func(context.Context, order) (http.Handler, *authority.Authority, error) {
		return http.HandlerFunc(bareAsked), nil, nil
	},
	"asked": askedSite,
	"plain-proxy": func(_ context.Context, o order) (http.Handler, *authority.Authority, error) {
		return plainProxy(o.upstream), nil, nil
	},
	"proxy": func(ctx context.Context, o order) (http.Handler, *authority.Authority, error) {
		a, err := onSQLite(ctx, o, keyset.Raised)
		if err != nil {
			return nil, nil, err
		}
		p, err := gateway.NewProxy(gateway.ProxyConfig{Upstream: o.upstream, Checker: a})
		return p, a, err
	},
}

// leastGuard does the least that a guard can do, and tells nobody who calls.
func leastGuard(keys *minimum.Table) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if k := r.Header[userkeys.KeyHeader]; len(k) != 1 || !keys.Check(k[0], time.Now()) {
			http.Error(w, "this key is not good", http.StatusForbidden)
			return
		}
		answer(w, r)
	})
}

func guarded(a *authority.Authority, door func(gateway.Checker) func(http.Handler) http.Handler) http.Handler {
	if a == nil {
		return nil // the caller reports that it could not be made
	}
	return door(a)(http.HandlerFunc(answer))
}

// An order says what a server process is.
type order struct {
	keys     keyset.Keys
	upstream *url.URL
	dir      string // for a database; below that of the keys, which the fleet removes
}

func readOrder() (order, error) {
	n, err := strconv.Atoi(os.Getenv(countVariable))
	if err != nil {
		return order{}, err
	}
	keys, err := os.ReadFile(os.Getenv(keysVariable))
	if err != nil {
		return order{}, err
	}
	o := order{keys: keyset.Keys(keys).First(n), upstream: &url.URL{Scheme: "http", Host: os.Getenv(upstreamVariable)}}
	o.dir, err = os.MkdirTemp(filepath.Dir(os.Getenv(keysVariable)), "server-*")
	return o, err
}

// serveVariant runs a server process from its start to its end.
func serveVariant(ctx context.Context, name string) error {
	o, err := readOrder()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(o.dir) }()
	makeHandler, ok := variants[name]
	if !ok {
		return fmt.Errorf("there is no variant %s", name)
	}
	h, auth, err := makeHandler(ctx, o)
	if err != nil {
		return err
	}
	if name != "plain-proxy" { // a program that anybody would write; the others are as serve runs
		defer wiring.KeepHeadroom(headroom)()
	}
	if auth != nil {
		if err := keyset.Warm(ctx, auth, o.keys); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var runErr, serveErr error
	if auth != nil {
		wg.Go(func() { runErr = auth.Run(ctx) })
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	wg.Go(func() {
		if serveErr = server.Serve(l); errors.Is(serveErr, http.ErrServerClosed) {
			serveErr = nil
		}
	})
	stopProfile, err := startProfile(name)
	if err == nil {
		err = bench.Serve(l.Addr().String())
		stopProfile()
	}
	cancel()
	_ = server.Close()
	wg.Wait()
	return errors.Join(err, runErr, serveErr)
}

// startProfile writes a CPU profile of the server to a file, for `go tool pprof`. A profiled server is slower, so
// the ratios of such a run are not valid.
func startProfile(name string) (stop func(), err error) {
	dir := os.Getenv(profileVariable)
	if dir == "" {
		return func() {}, nil
	}
	f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", name, os.Getpid())))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

// plainProxy is a proxy as anybody would write it: the base that ours is compared with.
func plainProxy(upstream *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(upstream); r.SetXForwarded() },
		Transport:  newTransport(),
		BufferPool: &buffers{},
	}
}

// newTransport returns a transport with the connections that a proxy needs.
func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 512,
		IdleConnTimeout:     time.Minute,
	}
}

// buffers lends the memory in which answers are copied, as our proxy does.
type buffers struct{ pool sync.Pool }

// Get lends a buffer.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

// Put takes a buffer back.
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
