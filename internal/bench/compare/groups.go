package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"

	"userkeys"
	"userkeys/internal/bench"
)

// Where things run: what is measured alone on one core, the load and the upstream on the other.
const (
	serverCore = 0
	loadCore   = 1
)

// fleet starts the servers of a group and ends them.
type fleet struct {
	ctx     context.Context
	keys    keyList
	path    string // the file with the keys, for the servers
	servers []*bench.Process
}

// newFleet makes n keys, which every server of the fleet will know.
func newFleet(ctx context.Context, n int) (*fleet, error) {
	if err := bench.PinSelf(loadCore); err != nil {
		return nil, err
	}
	f := &fleet{ctx: ctx, keys: newKeys(n)}
	file, err := os.CreateTemp("", "userkeys-bench-keys-*")
	if err != nil {
		return nil, err
	}
	f.path = file.Name()
	if _, err := file.Write(f.keys); err != nil {
		f.end()
		return nil, err
	}
	return f, file.Close()
}

func (f *fleet) end() {
	for _, s := range f.servers {
		s.Stop()
	}
	_ = os.Remove(f.path)
}

// start starts a variant that knows the first n keys.
func (f *fleet) start(core int, variant string, n int, upstream string) (*bench.Process, error) {
	p, err := bench.Start(f.ctx, core,
		variantVariable+"="+variant, keysVariable+"="+f.path, countVariable+"="+strconv.Itoa(n), upstreamVariable+"="+upstream)
	if err == nil {
		f.servers = append(f.servers, p)
	}
	return p, err
}

// target sends p requests with a random one of keys; without keys, none.
func target(name string, p *bench.Process, keys keyList, status int) bench.Target {
	const head = "GET " + requestPath + " HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: application/json\r\n"
	return bench.Target{
		Name: name, Addr: p.Addr, CPU: p.CPU, Status: status,
		Request: func(buf []byte, rng *rand.Rand) []byte {
			buf = append(buf, head...)
			if n := keys.len(); n > 0 {
				buf = append(buf, userkeys.KeyHeader+": "...)
				buf = append(buf, keys.text(rng.IntN(n))...)
				buf = append(buf, "\r\n"...)
			}
			return append(buf, "\r\n"...)
		},
	}
}

// compareGuard: a handler in Go with the guard around it, against the same
// handler without. The store is SQLite, with every key's last use written as always.
func compareGuard(ctx context.Context, o bench.Options) ([]line, error) {
	f, err := newFleet(ctx, 1000)
	if err != nil {
		return nil, err
	}
	defer f.end()
	bare, err := f.start(serverCore, "bare", 0, "")
	if err != nil {
		return nil, err
	}
	guard, err := f.start(serverCore, "guard", 1000, "")
	if err != nil {
		return nil, err
	}
	idle, err := f.start(serverCore, "guard-memory", 1000, "")
	if err != nil {
		return nil, err
	}
	r, err := bench.Compare(ctx, []bench.Target{
		target("bare", bare, f.keys, http.StatusOK),
		target("guard", guard, f.keys, http.StatusOK),
		target("idle", idle, f.keys, http.StatusOK),
	}, o)
	if err != nil {
		return nil, err
	}
	return []line{
		ratio("bare handler", r.Results[0], -1),
		ratio("guard, 1,000 keys / bare handler", r.Results[1], 1.10),
		ratio("the same, last uses not written / bare handler", r.Results[2], 1.10),
	}, nil
}

// compareGrowth: a million keys, each request another one at random, against a thousand.
func compareGrowth(ctx context.Context, o bench.Options) ([]line, error) {
	const few, many = 1000, 1_000_000
	f, err := newFleet(ctx, many)
	if err != nil {
		return nil, err
	}
	defer f.end()
	small, err := f.start(serverCore, "guard-memory", few, "")
	if err != nil {
		return nil, err
	}
	large, err := f.start(serverCore, "guard-memory", many, "")
	if err != nil {
		return nil, err
	}
	r, err := bench.Compare(ctx, []bench.Target{
		target("few", small, f.keys.first(few), http.StatusOK),
		target("many", large, f.keys, http.StatusOK),
	}, o)
	if err != nil {
		return nil, err
	}
	return []line{ratio("guard, 1,000,000 random keys / 1,000", r.Results[1], 1.10)}, nil
}

// compareProxy: our proxy against net/http's own with the same transport and
// buffers, both before the same upstream.
func compareProxy(ctx context.Context, o bench.Options) ([]line, error) {
	f, err := newFleet(ctx, 1000)
	if err != nil {
		return nil, err
	}
	defer f.end()
	upstream, err := f.start(loadCore, "bare", 0, "")
	if err != nil {
		return nil, err
	}
	plain, err := f.start(serverCore, "plain-proxy", 0, upstream.Addr)
	if err != nil {
		return nil, err
	}
	ours, err := f.start(serverCore, "proxy", 1000, upstream.Addr)
	if err != nil {
		return nil, err
	}
	r, err := bench.Compare(ctx, []bench.Target{
		target("plain", plain, f.keys, http.StatusOK),
		target("ours", ours, f.keys, http.StatusOK),
		target("stranger", ours, nil, http.StatusOK),
	}, o)
	if err != nil {
		return nil, err
	}
	return []line{
		ratio("plain httputil.ReverseProxy", r.Results[0], -1),
		ratio("our proxy, with a key / plain", r.Results[1], 1.10),
		ratio("our proxy, without a key / plain", r.Results[2], 1.10),
	}, nil
}

// compareRefusals: nobody can make us work harder by being refused.
func compareRefusals(ctx context.Context, o bench.Options) ([]line, error) {
	f, err := newFleet(ctx, 1000)
	if err != nil {
		return nil, err
	}
	defer f.end()
	require, err := f.start(serverCore, "require", 1000, "")
	if err != nil {
		return nil, err
	}
	limited, err := f.start(serverCore, "limited", 1000, "")
	if err != nil {
		return nil, err
	}
	r, err := bench.Compare(ctx, []bench.Target{
		target("accepted", require, f.keys, http.StatusOK),
		target("no key", require, nil, http.StatusForbidden),
		target("misspelt", require, f.keys.misspelt(), http.StatusForbidden),
		target("unknown", require, newKeys(1000), http.StatusForbidden),
		target("limited", limited, f.keys, http.StatusTooManyRequests),
	}, o)
	if err != nil {
		return nil, err
	}
	return []line{
		ratio("403, no key / 200", r.Results[1], 1.0),
		ratio("403, key that cannot be one / 200", r.Results[2], 1.0),
		ratio("403, unknown key / 200", r.Results[3], 1.0),
		ratio("429 / 200", r.Results[4], 1.1),
	}, nil
}
