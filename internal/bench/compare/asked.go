package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"

	"userkeys"
	"userkeys/authority"
	"userkeys/gateway"
	"userkeys/internal/bench/keyset"
	"userkeys/internal/bench/table"
	"userkeys/internal/wiring"
)

// Who the bare handler says that calls: what a key of a bench has.
var told = map[string]string{
	gateway.UsernameHeader: "user17", gateway.UserIDHeader: "17", gateway.IdentityClientIDHeader: "client-17",
	gateway.KeyIDHeader: "17", gateway.TrustLevelHeader: "1", gateway.AdminHeader: "false",
	gateway.ModeratorHeader: "false", gateway.ScopesHeader: "read,write",
}

// bareAsked answers every question with the identity that [gateway.Asked] tells of a good key, and checks nothing.
func bareAsked(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Userkeys-Status", "200")
	h.Set("Authorization", "")
	for _, name := range gateway.IdentityHeaderNames() {
		h.Set(name, told[name])
	}
	w.WriteHeader(http.StatusOK)
}

// askedSite is what `userkeys serve --ask-listen` serves to web servers that connect to a Unix socket.
func askedSite(ctx context.Context, o order) (http.Handler, *authority.Authority, error) {
	st, err := keyset.OpenStore(ctx, o.dir)
	if err != nil {
		return nil, nil, err
	}
	if err := keyset.GrantAll(ctx, st, o.keys); err != nil {
		return nil, nil, err
	}
	s, err := wiring.Open(ctx, wiring.Config{
		Store: st, BaseURL: &url.URL{Scheme: "https", Host: "bench.example"}, Pinned: keyset.Raised,
		Logger: logger(),
	})
	if err != nil {
		return nil, nil, err
	}
	overUnix := func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "@"
		s.Asked().ServeHTTP(w, r)
	}
	return http.HandlerFunc(overUnix), s.Authority, nil
}

// question is a question about a request with a random one of keys.
func question(keys keyset.Keys) request {
	const head = "GET /nginx HTTP/1.1\r\n" + commonHead + "X-Original-Method: GET\r\nX-Original-URI: " + keyset.Path +
		"\r\nX-Forwarded-For: 192.0.2.1\r\n" + userkeys.KeyHeader + ": "
	return func(buf []byte, rng *rand.Rand) []byte {
		buf = append(buf, head...)
		buf = append(buf, keys.Text(rng.IntN(keys.Len()))...)
		return append(buf, "\r\n\r\n"...)
	}
}

// introspection is a request for the introspection of one with a random one of keys.
func introspection(keys keyset.Keys) request {
	const fields = "method=GET&uri=%2Fnotifications.json&token="
	const head = "POST " + gateway.IntrospectionPath + " HTTP/1.1\r\n" + commonHead +
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "
	return func(buf []byte, rng *rand.Rand) []byte {
		key := keys.Text(rng.IntN(keys.Len()))
		buf = strconv.AppendInt(append(buf, head...), int64(len(fields)+len(key)), 10)
		buf = append(append(buf, "\r\n\r\n"...), fields...)
		return append(buf, key...)
	}
}

// compareAsked compares what web servers ask with a handler that answers the same and checks nothing, and a request
// that is introspected with one that is asked about.
func compareAsked(ctx context.Context, p plan) ([]table.Line, error) {
	return onFleet(ctx, p.few, func(f *fleet) ([]table.Line, error) {
		r, err := f.compare(p, []rival{
			{"bare-asked", 0, question(f.keys), 0},
			{"asked", p.few, question(f.keys), 0},
			{"asked", p.few, introspection(f.keys), 0},
		})
		if err != nil {
			return nil, err
		}
		return []table.Line{
			table.Ratio("asked by a web server / bare handler", r[1], r[0], 1.25),
			table.Ratio("introspection of a request / asked", r[2], r[1], 1.5),
		}, nil
	})
}
