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
		upstream, err := f.start(loadCore, "bare", 0, "")
		if err != nil {
			return nil, err
		}
		var lines []line
		for _, s := range []struct{ variant, what string }{{"carrier-guard", "guard"}, {"carrier-proxy", "our proxy"}} {
			server, err := f.start(serverCore, s.variant, p.few, upstream.Addr)
			if err != nil {
				return nil, err
			}
			r, err := bench.Compare(ctx, []bench.Target{
				target("header", server, f.keys, http.StatusOK),
				targetWith("bearer", server, f.keys, http.StatusOK, bearer),
				targetWith("basic", server, f.keys, http.StatusOK, basic),
			}, p.Options)
			if err != nil {
				return nil, err
			}
			lines = append(lines,
				ratio(s.what+", key as Bearer token / in User-Api-Key", r, 1, 1.03),
				ratio(s.what+", key as Basic password / in User-Api-Key", r, 2, 1.03),
			)
		}
		return lines, nil
	})
}

func bearer(buf, key []byte) []byte { return append(append(buf, "Authorization: Bearer "...), key...) }

func basic(buf, key []byte) []byte {
	buf = append(buf, "Authorization: Basic "...)
	return base64.StdEncoding.AppendEncode(buf, append([]byte{':'}, key...))
}
