package main

import (
	"context"
	"net/http"

	"userkeys/internal/bench"
	"userkeys/internal/bench/inside"
	"userkeys/internal/bench/keyset"
	"userkeys/internal/bench/programs"
	"userkeys/internal/bench/table"
)

// A group is a set of measurements that are made together.
type group struct {
	name string
	run  func(context.Context, plan) ([]table.Line, error)
}

// groups are measured in this order: the decision first, while the heap is still empty.
var groups = []group{
	{"decision", func(ctx context.Context, p plan) ([]table.Line, error) { return inside.Decision(ctx, p.inside()) }},
	{"guard", compareGuard},
	{"growth", compareGrowth},
	{"proxy", compareProxy},
	{"asked", compareAsked},
	{"refusals", compareRefusals},
	{"grants", func(ctx context.Context, p plan) ([]table.Line, error) { return inside.Grants(ctx, p.inside()) }},
	{"nginx", compareNginx},
	{"peers", comparePeers},
}

// compareGuard compares a handler in Go behind the guard with the same handler without it. The store is SQLite,
// and every last use is written as usual.
func compareGuard(ctx context.Context, p plan) ([]table.Line, error) {
	return onFleet(ctx, p.few, func(f *fleet) ([]table.Line, error) {
		keys := get(f.keys)
		r, err := f.compare(p, []rival{
			{"bare", 0, keys, 0}, {"minimum", p.few, keys, 0}, {"guard", p.few, keys, 0},
		})
		if err != nil {
			return nil, err
		}
		return []table.Line{
			table.Ratio("guard, 1,000 keys with raised limits / bare handler", r[2], r[0], 1.17),
			table.Ratio("the minimum in place of the guard / bare handler", r[1], r[0], table.NoGoal),
		}, nil
	})
}

// compareGrowth compares a server with a million keys with one with a thousand; each request has a random key.
func compareGrowth(ctx context.Context, p plan) ([]table.Line, error) {
	return onFleet(ctx, p.many, func(f *fleet) ([]table.Line, error) {
		r, err := f.compare(p, []rival{
			{"guard-memory", p.few, get(f.keys.First(p.few)), 0}, {"guard-shipped", p.many, get(f.keys), 0},
		})
		if err != nil {
			return nil, err
		}
		return []table.Line{
			table.Ratio("guard, 1,000,000 random keys / 1,000 keys with raised limits", r[1], r[0], 1.10),
		}, nil
	})
}

// compareProxy compares our proxy with that of net/http, and with nginx as a proxy if it is installed, before the same
// upstream.
func compareProxy(ctx context.Context, p plan) ([]table.Line, error) {
	return onFleet(ctx, p.few, func(f *fleet) ([]table.Line, error) {
		keys := get(f.keys)
		var nginx []bench.Target
		if programs.Find("nginx") != "" {
			t, err := f.nginxProxy()
			if err != nil {
				return nil, err
			}
			nginx = append(nginx, t)
		}
		r, err := f.compare(p, []rival{
			{"plain-proxy", 0, keys, 0}, {"proxy", p.few, keys, 0}, {"proxy", p.few, get(""), 0},
		}, nginx...)
		if err != nil {
			return nil, err
		}
		lines := []table.Line{
			table.Ratio("our proxy, with a key / plain httputil.ReverseProxy", r[1], r[0], 1.05),
			table.Ratio("our proxy, without a key / plain httputil.ReverseProxy", r[2], r[0], 0.90),
		}
		if len(nginx) > 0 {
			l := table.Ratio("our proxy, with a key / nginx as a proxy", r[1], r[3], 2.0)
			l.Informs = true
			lines = append(lines, l)
		}
		return lines, nil
	})
}

// compareRefusals compares a refused request with one that is answered, and measures a flood of unknown keys.
func compareRefusals(ctx context.Context, p plan) ([]table.Line, error) {
	lines, err := onFleet(ctx, p.few, func(f *fleet) ([]table.Line, error) {
		r, err := f.compare(p, []rival{
			{"require", p.few, get(f.keys), 0},
			{"require", p.few, get(keyset.New(p.few)), http.StatusForbidden},
			{"limited", p.few, get(f.keys), http.StatusTooManyRequests},
		})
		if err != nil {
			return nil, err
		}
		return []table.Line{
			table.Ratio("429 / 200", r[2], r[0], 1.05),
			table.Ratio("403, unknown key / 200", r[1], r[0], 0.95),
		}, nil
	})
	if err != nil {
		return lines, err
	}
	flood, err := inside.Flood(ctx, p.inside())
	return append(lines, flood...), err
}
