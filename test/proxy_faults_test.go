package scenario_test

// The reverse proxy: upstreams that misbehave, users that share connections, proxies in front. Put a test of a proxy
// fault here.

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys/internal/testkit"
	"userkeys/internal/wiring"
)

// TestTrustedProxies checks which address counts as the client's behind trusted proxies (RP22).
func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	trust := func(cfg *wiring.Config) {
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")}
	}
	behind(t, func(sc *scene, up *testkit.Upstream) {
		junk := sc.Visitor().Request("GET", "/user-api-key/login", "")
		junk.Header.Set("X-Forwarded-For", "unknown")
		sc.Visitor().Do(junk).Must(sc.t, 200)
		if log := sc.Log.String(); strings.Count(log, "entry=unknown") != 1 { // and never again
			sc.t.Errorf("an address that cannot be read is not in the log: %s", log)
		}
		for header, ip := range map[string]string{
			"6.6.6.6, 10.0.0.2": "6.6.6.6", "1.1.1.1, 6.6.6.6, 10.0.0.2": "6.6.6.6", "6.6.6.6, unknown": "127.0.0.1", "203.0.113.5:50123": "203.0.113.5", "[2001:db8::1]:443": "2001:db8::1", "6.6.6.6,": "6.6.6.6", "01.2.3.4": "127.0.0.1",
			"": "127.0.0.1", "2001:db8::1": "2001:db8::1", strings.Repeat("6.6.6.6, ", 999) + "10.0.0.1": "",
		} {
			sc.row(sprint("RP22 %.40q", header), func(sc *scene) {
				p := sc.Visitor()
				r := p.Request("GET", "/user-api-key/login", "")
				r.Header.Set("X-Forwarded-For", header)
				mark := sc.Log.Len()
				a := p.Do(r).Must(sc.t, 200)
				sc.oneLine(a, mark)
				if ip != "" && !strings.Contains(sc.Log.Since(mark), "ip="+ip+"\n") {
					sc.t.Errorf("the log says %s", sc.Log.Since(mark))
				}
			})
		}
	}, trust)
}

// TestUpstreamMisbehaves has the upstream answer wrongly, too much or never (RP14, RP15, RP17).
func TestUpstreamMisbehaves(t *testing.T) {
	t.Parallel()
	quick := func(cfg *wiring.Config) { cfg.UpstreamTimeout = 300 * time.Millisecond }
	behind(t, func(sc *scene, up *testkit.Upstream) {
		say := func(text string) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					return
				}
				defer func(c net.Conn) { _ = c.Close() }(conn)
				_, _ = conn.Write([]byte(text)) // the site may have hung up already
			}
		}
		for what, c := range map[string]struct {
			answer http.HandlerFunc
			status int
		}{
			"RP14 101 unasked":             {say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), 502},
			"RP14 headers of 2 MB":         {say("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 2<<20) + "\r\n\r\n"), 502},
			"RP14 no HTTP":                 {say("hello\r\n\r\n"), 502},
			"RP14 a reset before the head": {say("HTTP/1.1 20"), 502},
			"RP17 no answer in time":       {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 504},
		} {
			sc.row(what, func(sc *scene) {
				up.Say(c.answer)
				defer up.Say(nil)
				a := sc.victim.Call("GET", "/x")
				if a.StatusCode != c.status || !isJSON(a) || strings.Contains(a.Body, strings.TrimPrefix(up.URL, "http://")) {
					sc.t.Errorf("status %d: %.500s", a.StatusCode, a.Body)
				}
			})
		}
		sc.row("RP15 the upstream gives nobody a session of ours", func(sc *scene) {
			up.Say(func(w http.ResponseWriter, _ *http.Request) {
				h := w.Header()
				h["Set-Cookie"] = []string{"userkeys=planted; Path=/", "USERKEYS=planted", "theirs=1", "=userkeys=planted"}
				h.Set("X-Discourse-Username", "theirs")
			})
			defer up.Say(nil)
			for _, a := range []testkit.Answer{sc.victim.Call("GET", "/x"), sc.Visitor().Get("/x")} {
				if got := a.Must(sc.t, 200).Header["Set-Cookie"]; !slices.Equal(got, []string{"theirs=1"}) {
					sc.t.Errorf("cookies %q", got)
				}
			}
		})
	}, quick)
}

// TestCVE_2026_33544_TwoUsersAreNeverMixed sends many requests of two users over the same connections to the upstream:
// each gets only its own answers (T13, RP18).
func TestCVE_2026_33544_TwoUsersAreNeverMixed(t *testing.T) {
	t.Parallel()
	behind(t, func(sc *scene, up *testkit.Upstream) {
		sc.User("bob")
		bob := sc.Person("bob")
		keys := map[string]string{"alice": sc.victim.Key.Reveal(), "bob": sc.App("bob's", "read").Connect(bob).Key.Reveal()}
		client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
		defer client.CloseIdleConnections()
		var wg sync.WaitGroup
		for worker := range 16 {
			name := []string{"alice", "bob"}[worker%2]
			wg.Go(func() {
				for i := range 60 {
					path := []string{"/of/" + name, "/session/current.json"}[i%2]
					r, err := http.NewRequestWithContext(sc.t.Context(), "GET",
						sc.URL+path+"?"+url.Values{"n": {sprint("%d-%d", worker, i)}}.Encode(), nil)
					if err != nil {
						sc.t.Error(err)
						return
					}
					r.Header.Set("User-Api-Key", keys[name])
					var body string
					// On a busy machine a database answers too late now and then: nobody is answered for anybody else then.
					for status := 0; status == 0 || status == http.StatusServiceUnavailable; {
						res, err := client.Do(r)
						if err != nil {
							sc.t.Error(err)
							return
						}
						status, body = res.StatusCode, testkit.Read(res)
					}
					if want := "user=" + name + " target=" + r.URL.RequestURI(); i%2 == 0 && body != want || i%2 == 1 && !strings.Contains(body, `"username":"`+name+`"`) {
						sc.t.Errorf("%s hears %q", name, body)
					}
				}
			})
		}
		wg.Wait()
		if n := len(up.Take()); n != 16*30 {
			sc.t.Errorf("the upstream got %d requests", n)
		}
	})
}
