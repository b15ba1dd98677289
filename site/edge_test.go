package site_test

import (
	"strings"
	"testing"

	"userkeys/site"
)

func TestKeyRoutes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		route, yes, no string // paths, separated by spaces
	}{
		{"GET /latest.rss", "/latest.rss", "/latest /latest.json /latest.rss/ /x/latest.rss /LATEST.rss"},
		{"GET /t/{slug}/{id}.rss", "/t/a/1.rss /t/a/b.c.rss", "/t/a/1 /t/a/1.json /t/a/.rss /t/1.rss /t/a/b/1.rss /t/a/1.rss/x /t/a/1.RSS"},
		{"GET /u/{name}/bookmarks.ics", "/u/alice/bookmarks.ics", "/u/bookmarks.ics /u/alice/bookmarks.ics/x"},
		{"GET /{any...}.rss", "/a.rss /a/b.rss", "/.rss /a /a/.rss /a.rss/b"},
		{"GET /feeds/{name}", "/feeds/x", "/feeds /feeds/x/y"},
	} {
		r, err := site.ParseKeyRoute(tt.route)
		if err != nil {
			t.Fatalf("%s: %v", tt.route, err)
		}
		for path := range strings.FieldsSeq(tt.yes) {
			if !r.Matches("GET", path) || !r.Matches("HEAD", path) || r.Matches("POST", path) || r.Matches("DELETE", path) {
				t.Errorf("%s and %s", tt.route, path)
			}
		}
		for path := range strings.FieldsSeq(tt.no) {
			if r.Matches("GET", path) {
				t.Errorf("%s covers %s", tt.route, path)
			}
		}
	}
	for _, bad := range []string{
		"", "/latest.rss", "POST /latest.rss", "HEAD /latest.rss", "GET latest.rss", "GET /{any...}", "GET /x/{any...}",
		"GET /{a}.rss*", "GET /{a}.%2e", "GET /a{b}.rss", "GET /{a}.;x", "GET /x.rss?y",
	} {
		var s site.Settings
		if err := s.Set("user_api_key_parameter_routes", bad); bad != "" && err == nil {
			t.Errorf("%q was taken", bad)
		}
		if r, err := site.ParseKeyRoute(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, r)
		}
	}
}

func TestEdgeOfSettings(t *testing.T) {
	t.Parallel()
	s := site.DefaultSettings()
	set := func(name, value string) {
		t.Helper()
		if err := s.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	if e := site.NewEdge(s); len(e.Origins) > 0 || len(e.KeyRoutes) > 0 || !e.BlocksAddresses || e.WarnsOfAddresses || e.PerMinute != 200 || e.Per10Seconds != 50 {
		t.Errorf("by default: %+v", e)
	}
	set("cors_origins", "https://a.example|http://b.example:8080")
	set("cors_origin", "https://c.example")
	for _, enabled := range []string{"false", "true"} {
		set("enable_cors", enabled)
		e := site.NewEdge(s)
		if e.AllowsOrigin("https://c.example") != (enabled == "true") || !e.AllowsOrigin("https://a.example") || !e.AllowsOrigin("http://b.example:8080") {
			t.Errorf("enable_cors %s: %v", enabled, e.Origins)
		}
		for _, other := range []string{"", "null", "*", "https://A.example", "https://a.example/", "https://a.example:443", "http://a.example", "http://b.example", "https://xa.example"} {
			if e.AllowsOrigin(other) {
				t.Errorf("%q is allowed", other)
			}
		}
	}
	if e := (&site.Edge{Origins: []string{"null", ""}}); e.AllowsOrigin("null") || e.AllowsOrigin("") {
		t.Error("an origin that any page has is allowed")
	}
	if s.Set("cors_origins", "null") == nil || s.Set("cors_origins", "*") == nil {
		t.Error("everybody may be listed")
	}
	for mode, want := range map[string][2]bool{"block": {true, false}, "warn": {false, true}, "warn+block": {true, true}, "none": {}} {
		set("max_reqs_per_ip_mode", mode)
		if e := site.NewEdge(s); e.BlocksAddresses != want[0] || e.WarnsOfAddresses != want[1] || e.LimitsAddresses() != (want[0] || want[1]) {
			t.Errorf("%s: %+v", mode, e)
		}
	}
	if s.Set("max_reqs_per_ip_per_minute", "0") == nil || s.Set("max_reqs_per_ip_per_10_seconds", "0") == nil {
		t.Error("a limit of zero would lock everybody out, also who can change it")
	}
}
