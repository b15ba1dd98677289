package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"

	"userkeys"
	"userkeys/internal/bench"
	"userkeys/internal/bench/keyset"
)

// The cores: the server that is measured has one alone; the load and the upstream run on the other.
const (
	serverCore = 0
	loadCore   = 1
)

// A fleet is the servers of a group.
type fleet struct {
	ctx     context.Context
	keys    keyset.Keys
	path    string // the file with the keys, for the servers
	servers []*bench.Process
}

// onFleet calls measure with a fleet whose servers know n new keys, and stops the servers. It returns an error if
// a server has ended by itself or with an error.
func onFleet(ctx context.Context, n int, measure func(f *fleet) ([]line, error)) ([]line, error) {
	if err := bench.PinSelf(loadCore); err != nil {
		return nil, err
	}
	f := &fleet{ctx: ctx, keys: keyset.New(n)}
	file, err := os.CreateTemp("", "userkeys-bench-keys-*")
	if err != nil {
		return nil, err
	}
	f.path = file.Name()
	_, err = file.WriteString(string(f.keys))
	var lines []line
	if err = errors.Join(err, file.Close()); err == nil {
		lines, err = measure(f)
	}
	for _, s := range f.servers {
		err = errors.Join(err, s.Stop())
	}
	return lines, errors.Join(err, os.Remove(f.path))
}

// start starts a server of a variant, which knows the first n keys.
func (f *fleet) start(core int, variant string, n int, upstream string) (*bench.Process, error) {
	p, err := bench.Start(f.ctx, core,
		variantVariable+"="+variant, keysVariable+"="+f.path, countVariable+"="+strconv.Itoa(n),
		upstreamVariable+"="+upstream)
	if err == nil {
		f.servers = append(f.servers, p)
	}
	return p, err
}

// target sends p requests with a random one of keys; without keys, none.
func target(name string, p *bench.Process, keys keyset.Keys, status int) bench.Target {
	t := targetWith(name, p, keys, func(buf []byte, key string) []byte {
		return append(append(buf, userkeys.KeyHeader+": "...), key...)
	})
	t.Status = status
	return t
}

// A headerLine appends a header line with a key to buf, without its end.
type headerLine func(buf []byte, key string) []byte

// targetWith is target with keys in a header line, all of which are good.
func targetWith(name string, p *bench.Process, keys keyset.Keys, line headerLine) bench.Target {
	const head = "GET " + requestPath + " HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: " +
		"application/json\r\n"
	return bench.Target{
		Name: name, Addr: p.Addr, CPU: p.CPU, Status: http.StatusOK,
		Request: func(buf []byte, rng *rand.Rand) []byte {
			buf = append(buf, head...)
			if n := keys.Len(); n > 0 {
				buf = append(line(buf, keys.Text(rng.IntN(n))), "\r\n"...)
			}
			return append(buf, "\r\n"...)
		},
	}
}

// compareGuard compares a handler in Go behind the guard with the same handler without it. The store is SQLite,
// and every last use is written as usual.
func compareGuard(ctx context.Context, p plan) ([]line, error) {
	return onFleet(ctx, p.few, func(f *fleet) ([]line, error) {
		bare, err := f.start(serverCore, "bare", 0, "")
		if err != nil {
			return nil, err
		}
		guard, err := f.start(serverCore, "guard", p.few, "")
		if err != nil {
			return nil, err
		}
		idle, err := f.start(serverCore, "guard-memory", p.few, "")
		if err != nil {
			return nil, err
		}
		r, err := bench.Compare(ctx, []bench.Target{
			target("bare", bare, f.keys, http.StatusOK),
			target("guard", guard, f.keys, http.StatusOK),
			target("idle", idle, f.keys, http.StatusOK),
		}, p.Options)
		if err != nil {
			return nil, err
		}
		return []line{
			ratio("bare handler", r, 0, -1),
			ratio("guard, 1,000 keys / bare handler", r, 1, 1.10),
			ratio("the same, last uses not written / bare handler", r, 2, 1.10),
		}, nil
	})
}

// compareGrowth compares a server with a million keys with one with a thousand; each request has a random key.
func compareGrowth(ctx context.Context, p plan) ([]line, error) {
	return onFleet(ctx, p.many, func(f *fleet) ([]line, error) {
		small, err := f.start(serverCore, "guard-memory", p.few, "")
		if err != nil {
			return nil, err
		}
		large, err := f.start(serverCore, "guard-memory", p.many, "")
		if err != nil {
			return nil, err
		}
		r, err := bench.Compare(ctx, []bench.Target{
			target("few", small, f.keys.First(p.few), http.StatusOK),
			target("many", large, f.keys, http.StatusOK),
		}, p.Options)
		if err != nil {
			return nil, err
		}
		return []line{ratio("guard, 1,000,000 random keys / 1,000", r, 1, 1.10)}, nil
	})
}

// compareProxy compares our proxy with that of net/http, with the same transport and buffers, before the same
// upstream.
func compareProxy(ctx context.Context, p plan) ([]line, error) {
	return onFleet(ctx, p.few, func(f *fleet) ([]line, error) {
		upstream, err := f.start(loadCore, "bare", 0, "")
		if err != nil {
			return nil, err
		}
		plain, err := f.start(serverCore, "plain-proxy", 0, upstream.Addr)
		if err != nil {
			return nil, err
		}
		ours, err := f.start(serverCore, "proxy", p.few, upstream.Addr)
		if err != nil {
			return nil, err
		}
		r, err := bench.Compare(ctx, []bench.Target{
			target("plain", plain, f.keys, http.StatusOK),
			target("ours", ours, f.keys, http.StatusOK),
			target("stranger", ours, "", http.StatusOK),
		}, p.Options)
		if err != nil {
			return nil, err
		}
		return []line{
			ratio("plain httputil.ReverseProxy", r, 0, -1),
			ratio("our proxy, with a key / plain", r, 1, 1.10),
			ratio("our proxy, without a key / plain", r, 2, 1.10),
		}, nil
	})
}

// compareRefusals checks that refusing a request costs no more than answering it.
func compareRefusals(ctx context.Context, p plan) ([]line, error) {
	return onFleet(ctx, p.few, func(f *fleet) ([]line, error) {
		require, err := f.start(serverCore, "require", p.few, "")
		if err != nil {
			return nil, err
		}
		limited, err := f.start(serverCore, "limited", p.few, "")
		if err != nil {
			return nil, err
		}
		r, err := bench.Compare(ctx, []bench.Target{
			target("accepted", require, f.keys, http.StatusOK),
			target("no key", require, "", http.StatusForbidden),
			target("misspelt", require, f.keys.Misspelt(), http.StatusForbidden),
			target("unknown", require, keyset.New(p.few), http.StatusForbidden),
			target("limited", limited, f.keys, http.StatusTooManyRequests),
		}, p.Options)
		if err != nil {
			return nil, err
		}
		return []line{
			ratio("403, no key / 200", r, 1, 1.0),
			ratio("403, key that cannot be one / 200", r, 2, 1.0),
			ratio("403, unknown key / 200", r, 3, 1.0),
			ratio("429 / 200", r, 4, 1.1),
		}, nil
	})
}
