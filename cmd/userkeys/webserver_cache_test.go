//go:build unix

package main

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

// mustBePrivate holds that an answer to a key tells no shared cache that it may store it, whatever the website says to
// caches, and that an answer to a stranger says what the website says.
func (a *asking) mustBePrivate(t *testing.T, w *testkit.WebServer, key string) {
	t.Helper()
	shared := http.Header{
		"Surrogate-Control": {"max-age=60"}, "Cdn-Cache-Control": {"max-age=60"}, "Cache-Control": {"Public, max-age=60", "s-maxage=600"},
	}
	for _, tt := range []struct {
		said        http.Header // by the website
		wantControl string      // in an answer to a key
	}{
		{http.Header{}, "private"},
		{shared, "private"},
		{http.Header{"Cache-Control": {"no-store"}}, "no-store"},
		{http.Header{"Cache-Control": {"max-age=0, no-cache"}}, "no-cache"},
	} {
		a.website.Say(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Accel-Expires", "60") // which nginx takes out of every answer
			maps.Copy(w.Header(), tt.said)
		})
		got := wireRequest{method: "GET", target: "/a"}.over11(w).Must(t, 200).Header
		for name, values := range tt.said {
			if strings.Join(got.Values(name), ", ") != strings.Join(values, ", ") {
				t.Errorf("%v for a stranger became %s: %q", tt.said, name, got.Values(name))
			}
		}
		got = wireRequest{method: "GET", target: "/a", header: []string{"User-Api-Key: " + key}}.over11(w).Must(t, 200).Header
		control := strings.ToLower(strings.Join(got.Values("Cache-Control"), ", "))
		if !strings.Contains(control, tt.wantControl) || !strings.Contains(control, "private") && !strings.Contains(control, "no-store") {
			t.Errorf("%v for a key became Cache-Control: %s", tt.said, control)
		}
		for _, name := range []string{"Surrogate-Control", "Cdn-Cache-Control", "X-Accel-Expires"} {
			if got.Get(name) != "" {
				t.Errorf("an answer to a key has %s: %s", name, got.Get(name))
			}
		}
	}
	a.website.Say(nil)
	a.website.Take()
}

// TestNginxCacheBehindAKey has nginx keep answers for everybody: alice, bob, a stranger and a revoked key each get
// their own.
func TestNginxCacheBehindAKey(t *testing.T) {
	t.Parallel()
	front := nettest.ReserveAddress(t)
	a := startAsking(t, front)
	w := testkit.Recipe{Server: "nginx", Scheme: "http", Addr: front, Args: a.args, Change: func(recipe string) string {
		recipe = strings.Replace(recipe, "proxy_pass http://$userkeys_to;",
			"proxy_cache pages; proxy_cache_valid any 1h; add_header X-Cache $upstream_cache_status always; proxy_pass http://$userkeys_to;", 1)
		return "proxy_cache_path DIR/cache keys_zone=pages:1m;\n" + recipe
	}}.Start(t)
	a.website.Say(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		_, _ = io.WriteString(w, "hello "+r.Header.Get("X-Userkeys-Username")+r.Header.Get("X-Userkeys-Client-Id"))
	})
	a.add(t, "bob")
	alice, bobs := w.Person("alice"), w.App("one", "read").Connect(w.Person("bob"))
	one, two := w.App("one", "read").Connect(alice), w.App("two", "read").Connect(alice)
	gone := w.App("gone", "read").Connect(alice)
	gone.Call("GET", "/page").Must(t, 200, "hello alicegone")
	gone.Call("POST", "/user-api-key/revoke").Must(t, 200)
	stranger := w.Visitor()
	for _, tt := range []struct {
		name, want, cache string
		status            int
		got               testkit.Answer
	}{
		{"alice first", "hello aliceone", "BYPASS", 200, one.Call("GET", "/page")},
		{"a stranger", "hello ", "MISS", 200, stranger.Get("/page")},
		{"a stranger again", "hello ", "HIT", 200, stranger.Get("/page")},
		{"alice after a stranger", "hello aliceone", "BYPASS", 200, one.Call("GET", "/page")},
		{"bob after all of them", "hello bobone", "BYPASS", 200, bobs.Call("GET", "/page")},
		{"another key of alice", "hello alicetwo", "BYPASS", 200, two.Call("GET", "/page")},
		{"a revoked key", "invalid key", "", 403, gone.Call("GET", "/page")},
		{"a stranger after all", "hello ", "HIT", 200, stranger.Get("/page")},
	} {
		if tt.got.StatusCode != tt.status || tt.got.Header.Get("X-Cache") != tt.cache ||
			tt.got.Body != tt.want && (tt.status == 200 || !strings.Contains(tt.got.Body, tt.want)) {
			t.Errorf("%s: %d %s %q", tt.name, tt.got.StatusCode, tt.got.Header.Get("X-Cache"), tt.got.Body)
		}
	}
}
