package main

import (
	"context"
	"encoding/base64"
	"net/http"

	"userkeys/internal/bench"
)

// compareCarriers compares keys in Authorization with the same keys in User-Api-Key, at the same server.
func compareCarriers(ctx context.Context, p plan) ([]line, error) {
	return onFleet(ctx, p.few, func(f *fleet) ([]line, error) {
		guard, err := f.start(serverCore, "carrier-guard", p.few, "")
		if err != nil {
			return nil, err
		}
		upstream, err := f.start(loadCore, "bare", 0, "")
		if err != nil {
			return nil, err
		}
		proxy, err := f.start(serverCore, "carrier-proxy", p.few, upstream.Addr)
		if err != nil {
			return nil, err
		}
		lines, err := f.compareCarried("guard", guard, p)
		if err != nil {
			return nil, err
		}
		more, err := f.compareCarried("our proxy", proxy, p)
		return append(lines, more...), err
	})
}

func (f *fleet) compareCarried(what string, server *bench.Process, p plan) ([]line, error) {
	r, err := bench.Compare(f.ctx, []bench.Target{
		target("header", server, f.keys, http.StatusOK),
		targetWith("bearer", server, f.keys, bearer),
		targetWith("basic", server, f.keys, basic),
	}, p.Options)
	if err != nil {
		return nil, err
	}
	return []line{
		ratio(what+", key as Bearer token / in User-Api-Key", r, 1, 1.03),
		ratio(what+", key as Basic password / in User-Api-Key", r, 2, 1.03),
	}, nil
}

func bearer(buf []byte, key string) []byte {
	return append(append(buf, "Authorization: Bearer "...), key...)
}

func basic(buf []byte, key string) []byte {
	buf = append(buf, "Authorization: Basic "...)
	return base64.StdEncoding.AppendEncode(buf, append([]byte{':'}, key...))
}
