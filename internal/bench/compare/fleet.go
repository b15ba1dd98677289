package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"

	"userkeys"
	"userkeys/internal/bench"
	"userkeys/internal/bench/keyset"
	"userkeys/internal/bench/table"
)

// The cores: the server that is measured has one alone; the load and the upstream run on the other.
const (
	serverCore = 0
	loadCore   = 1
)

// A fleet is the servers of a group.
type fleet struct {
	ctx      context.Context
	keys     keyset.Keys
	dir      string
	upstream *bench.Process            // the website behind proxies
	variants map[string]*bench.Process // by variant and number of keys
	servers  []*bench.Process          // all of them, to be stopped
}

// onFleet calls measure with a fleet whose servers know n new keys or the first of them, and stops the servers. It
// returns an error if a server has ended by itself or with an error.
func onFleet(ctx context.Context, n int, measure func(*fleet) ([]table.Line, error)) ([]table.Line, error) {
	if err := bench.PinSelf(loadCore); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "userkeys-bench-*")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	f := &fleet{ctx: ctx, keys: keyset.New(n), dir: dir, variants: map[string]*bench.Process{}}
	if err := os.WriteFile(f.keysFile(), []byte(f.keys), 0o600); err != nil {
		return nil, err
	}
	lines, err := measure(f)
	for _, s := range f.servers {
		err = errors.Join(err, s.Stop())
	}
	return lines, err
}

// keysFile is where servers find the keys.
func (f *fleet) keysFile() string { return f.dir + "/keys" }

// start starts a server of a variant, which knows the first n keys, or returns the one that was started before.
func (f *fleet) start(variant string, n int) (*bench.Process, error) {
	id := variant + " " + strconv.Itoa(n)
	if p := f.variants[id]; p != nil {
		return p, nil
	}
	upstream := ""
	if strings.HasSuffix(variant, "proxy") {
		website, err := f.website()
		if err != nil {
			return nil, err
		}
		upstream = website.Addr
	}
	p, err := f.startOn(serverCore, variant, n, upstream)
	f.variants[id] = p
	return p, err
}

// website returns the website before which proxies stand.
func (f *fleet) website() (*bench.Process, error) {
	var err error
	if f.upstream == nil {
		f.upstream, err = f.startOn(loadCore, "bare", 0, "")
	}
	return f.upstream, err
}

func (f *fleet) startOn(core int, variant string, n int, upstream string) (*bench.Process, error) {
	return f.keep(bench.Start(f.ctx, core, variantVariable+"="+variant, keysVariable+"="+f.keysFile(),
		countVariable+"="+strconv.Itoa(n), upstreamVariable+"="+upstream))
}

// keep has a server stopped at the end.
func (f *fleet) keep(p *bench.Process, err error) (*bench.Process, error) {
	if err == nil {
		f.servers = append(f.servers, p)
	}
	return p, err
}

// A rival is a server that is compared with others, and the requests that it gets.
type rival struct {
	variant string
	known   int // how many keys it knows
	request request
	status  int // 0: 200
}

// A request appends a whole HTTP/1.1 request to buf; it draws from rng.
type request func(buf []byte, rng *rand.Rand) []byte

// compare compares rivals and other targets, in this order.
func (f *fleet) compare(p plan, rivals []rival, others ...bench.Target) ([]bench.Result, error) {
	var targets []bench.Target
	for _, r := range rivals {
		s, err := f.start(r.variant, r.known)
		if err != nil {
			return nil, err
		}
		if r.status == 0 {
			r.status = http.StatusOK
		}
		targets = append(targets, bench.Target{
			Name: r.variant, Addr: s.Addr, CPU: s.CPU, Request: r.request, Status: r.status,
		})
	}
	return bench.Compare(f.ctx, append(targets, others...), p.Options)
}

const commonHead = "Host: bench.example\r\nUser-Agent: bench\r\nAccept: application/json\r\n"

// get is a request with a random one of keys; without keys, none.
func get(keys keyset.Keys) request {
	if keys.Len() == 0 {
		return getWith(keyset.Path, func(buf []byte, _ *rand.Rand) []byte { return buf })
	}
	return getWith(keyset.Path, withKey(keys))
}

// getWith is a request for a path with header lines, which lines appends.
func getWith(path string, lines request) request {
	head := "GET " + path + " HTTP/1.1\r\n" + commonHead
	return func(buf []byte, rng *rand.Rand) []byte {
		return append(lines(append(buf, head...), rng), "\r\n"...)
	}
}

// withKey is the header line with a random one of keys.
func withKey(keys keyset.Keys) request {
	return func(buf []byte, rng *rand.Rand) []byte {
		buf = append(append(buf, userkeys.KeyHeader+": "...), keys.Text(rng.IntN(keys.Len()))...)
		return append(buf, "\r\n"...)
	}
}
