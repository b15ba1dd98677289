package scenario_test

// The reverse proxy: paths, and the headers that tell the upstream who calls. Groups PS and RP of docs/attacks.md.

import (
	"slices"
	"strings"
	"testing"

	"userkeys/internal/accounts"
	"userkeys/internal/testkit"
	"userkeys/internal/wiring"
)

// behind plays a scene on a site before an upstream.
func behind(t *testing.T, play func(sc *scene, up *testkit.Upstream), opts ...testkit.Option) {
	t.Helper()
	up := testkit.NewUpstream(t)
	opts = append(slices.Clone(opts), testkit.Behind(up.URL), own("/session/current.json"))
	onSQLite(t, func(sc *scene) {
		up.Take()
		play(sc, up)
	}, opts...)
}

// own makes the site answer more paths itself.
func own(paths ...string) testkit.Option {
	return func(cfg *wiring.Config) { cfg.OwnPaths = append(cfg.OwnPaths, paths...) }
}

// TestPathsBeforeAnUpstream tries the attacks PS before an upstream: an ambiguous path is refused with a key, and
// passed on as it came without one.
func TestPathsBeforeAnUpstream(t *testing.T) {
	t.Parallel()
	accept, refuse := pathVectors(t)
	behind(t, func(sc *scene, up *testkit.Upstream) {
		targets := func(got []testkit.Received) (out []string) {
			for _, g := range got {
				out = append(out, g.Target)
			}
			return out
		}
		for target, id := range refuse {
			sc.refused(sprint("%s %+q with a key", id, target), ambiguous,
				func(sc *scene) testkit.Answer { return sc.get("GET", target, true) })
			if got := up.Take(); len(got) > 0 {
				sc.t.Errorf("%s %q reached the upstream with a key", id, target)
			}
			sc.row(sprint("%s %+q without a key goes as it came, or not at all", id, target), func(sc *scene) {
				a := sc.get("GET", target, false)
				got := targets(up.Take())
				if a.StatusCode == 200 && !slices.Equal(got,
					[]string{target}) || a.StatusCode != 200 && (len(got) > 0 || a.StatusCode != 400) {
					sc.t.Errorf("status %d, the upstream got %q", a.StatusCode, got)
				}
			})
		}
		for target, id := range accept {
			sc.row(sprint("%s PS11 %+q is passed on byte for byte", id, target), func(sc *scene) {
				a := sc.get("GET", target+"?a=%41&b", true)
				if got := targets(up.Take()); a.StatusCode != 200 || !slices.Equal(got, []string{target + "?a=%41&b"}) {
					sc.t.Errorf("status %d, the upstream got %q", a.StatusCode, got)
				}
			})
		}
		for _, method := range []string{"TRACE", "CONNECT", "get", "FOO", "PRI", "PROPFIND"} {
			sc.refused("PS18 "+method, wrongMethod, func(sc *scene) testkit.Answer { return sc.get(method, "/x", true) })
		}
		for _, target := range []string{"http://other/admin", "http://u:p@other/x", "javascript:alert(1)"} {
			sc.refused("PS20 "+target, want{status: 400}, func(sc *scene) testkit.Answer { return sc.get("GET", target, true) })
			sc.refused("PS20 without a key "+target, want{status: 400},
				func(sc *scene) testkit.Answer { return sc.get("GET", target, false) })
		}
		for _, query := range []string{"x=1;y=2&x=%zz&z=3", "x=%zz", "x;y", "a#b"} {
			sc.refused("RP16 CVE-2022-2880 "+query, malformed,
				func(sc *scene) testkit.Answer { return sc.get("GET", "/x?"+query, true) })
		}
		for _, target := range []string{"*", "/admin", "/x"} {
			sc.row("PS19 OPTIONS "+target+" with a key", func(sc *scene) {
				if a := sc.get("OPTIONS", target, true); a.StatusCode/100 == 5 || a.Body != "" {
					sc.t.Errorf("%d %s", a.StatusCode, a.Body)
				}
			})
		}
		sc.refused("SC13 a route that no scope covers",
			want{
				status: 403, kind: "invalid_access",
				reason: "missing scope: write",
			}, func(sc *scene) testkit.Answer { return sc.get("POST", "/x", true) })
		sc.refused("X-KEY an unknown key", deadKey, func(sc *scene) testkit.Answer {
			return sc.key(strings.Repeat("0", 32),
				"GET", "/x")
		})
		sc.refused("KU2 two keys", malformed, func(sc *scene) testkit.Answer {
			return sc.Raw("GET /x HTTP/1.1\r\nHost: x\r\n" + sc.keyLine(true) + sc.keyLine(true) + "\r\n")
		})
		if got := up.Take(); len(got) > 0 {
			sc.t.Errorf("refused requests reached the upstream: %+v", got)
		}
		sc.row("KU4 CVE-2026-34969 the key in the query is taken out", func(sc *scene) {
			key := sc.victim.Key.Reveal()
			sc.get("GET", "/x?a=1&user_api_key="+key+"&User%2DApi-Key="+key+"&b=2", true).Must(sc.t, 200)
			if got := targets(up.Take()); !slices.Equal(got, []string{"/x?a=1&b=2"}) {
				sc.t.Errorf("the upstream got %q", got)
			}
		})
		sc.row("PS17 a method is not overridden", func(sc *scene) {
			sc.victim.Call("GET", "/x", "X-HTTP-Method-Override", "DELETE", "X-Http-Method", "DELETE", "X-Method-Override",
				"DELETE").Must(sc.t, 200)
			for _, g := range up.Take() {
				for name := range g.Header {
					if strings.Contains(strings.ToLower(name), "method") {
						sc.t.Errorf("%s was passed on", name)
					}
				}
			}
		})
	})
}

// spellings returns spellings of a header's name that some servers take for that header.
func spellings(name string) []string {
	return []string{
		name, strings.ReplaceAll(name, "-", "_"), strings.Replace(name, "-", "_", 1),
		strings.ReplaceAll(strings.ToLower(name), "-", "."), strings.ToUpper(name),
	}
}

// TestIdentityHeaders tries the attacks RP: only the site tells the upstream who calls.
func TestIdentityHeaders(t *testing.T) {
	t.Parallel()
	behind(t, func(sc *scene, up *testkit.Upstream) {
		names := []string{
			"X-Userkeys-Username", "X-Userkeys-User-Id", "X-Userkeys-Groups", "X-Userkeys-Scopes", "X-Userkeys-Client-Id", "X-Userkeys-Admin", "X-Userkeys-Anything",
			"X-Auth-User", "X-Forwarded-User", "Remote-User", "X-Remote-User", "X-Auth-Request-User",
		}
		forwarding := []string{
			"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Method",
			"Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Original-URL", "X-Rewrite-URL", "Via", "Proxy",
		}
		for _, keyed := range []bool{true, false} {
			who := map[bool]string{true: "with a key", false: "without"}[keyed]
			for _, name := range append(slices.Clone(names), forwarding...) {
				sc.row("RP1 RP2 RP3 RP6 CVE-2025-64484 CVE-2026-30851 "+name+" "+who, func(sc *scene) {
					var lines strings.Builder
					for _, s := range spellings(name) {
						lines.WriteString(s + ": forged\r\n" + s + ": forged too\r\n")
					}
					sc.Raw("GET /x HTTP/1.1\r\nHost: here\r\n"+sc.keyLine(keyed)+lines.String()+"\r\n").Must(sc.t, 200)
					sc.unforged(up, keyed)
				})
				sc.row("RP4 RP5 CVE-2021-33197 Connection: "+name+" "+who, func(sc *scene) {
					sc.Raw("GET /x HTTP/1.1\r\nHost: here\r\n"+sc.keyLine(keyed)+"Connection: close, "+strings.ToLower(name)+", Host, Cookie, Authorization, Content-Length\r\n"+
						name+": forged\r\n\r\n").Must(sc.t, 200)
					sc.unforged(up, keyed)
				})
			}
			sc.row("RP9 a trailer "+who, func(sc *scene) {
				method := map[bool]string{true: "GET", false: "POST"}[keyed]
				sc.Raw(method+" /x HTTP/1.1\r\nHost: here\r\n"+sc.keyLine(keyed)+"Transfer-Encoding: chunked\r\nTrailer: X-Userkeys-Username, X-Auth-User\r\n\r\n"+
					"1\r\na\r\n0\r\nX-Userkeys-Username: forged\r\nX-Auth-User: forged\r\n\r\n").Must(sc.t, 200)
				sc.unforged(up, keyed)
			})
			sc.row("RP10 obs-fold "+who, func(sc *scene) {
				a := sc.Raw("GET /x HTTP/1.1\r\nHost: here\r\n" + sc.keyLine(keyed) + "X-A: b\r\n X-Userkeys-Username: forged\r\n\r\n")
				if a.StatusCode != 200 && a.StatusCode != 400 {
					sc.t.Errorf("status %d", a.StatusCode)
				}
				for _, g := range up.Take() {
					if u := g.Header.Get("X-Userkeys-Username"); u != "" && u != "alice" {
						sc.t.Errorf("told to be %q", u)
					}
				}
			})
		}
		for _, line := range []string{"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings", "Upgrade: h2c, websocket\r\nConnection: Upgrade", "Upgrade: TLS/1.0\r\nConnection: Upgrade"} {
			for _, keyed := range []bool{true, false} {
				sc.refused(sprint("RP11 RP12 %.30q, key %v", line, keyed), malformed, func(sc *scene) testkit.Answer {
					return sc.Raw("GET /x HTTP/1.1\r\nHost: x\r\n" + sc.keyLine(keyed) + line + "\r\n\r\n")
				})
			}
		}
		if got := up.Take(); len(got) > 0 {
			sc.t.Errorf("RP12: reached the upstream: %+v", got)
		}
		sc.row("our session cookie stays here, and the app's others go", func(sc *scene) {
			sc.alice.Get("/x").Must(sc.t, 200)
			r := sc.alice.Request("GET", "/x", "")
			r.Header.Set("Cookie", "theirs=1")
			sc.alice.Do(r).Must(sc.t, 200)
			got := up.Take()
			if got[0].Header.Get("Cookie") != "" || got[1].Header.Get("Cookie") != "theirs=1" {
				sc.t.Errorf("%q, %q", got[0].Header["Cookie"], got[1].Header["Cookie"])
			}
		})
		sc.row("RP20 plain http stays http", func(sc *scene) {
			sc.victim.Call("GET", "/x", "X-Forwarded-Proto", "https").Must(sc.t, 200)
			if got := up.Take(); got[0].Header.Get("X-Forwarded-Proto") != "http" {
				sc.t.Errorf("%v", got[0].Header)
			}
		})
		sc.row("RP8 names that would need two lines are no names", func(sc *scene) {
			for _, bad := range []string{"a, admin", "a\r\nX-Admin: true", "\u00e9", strings.Repeat("a", 10<<10), ""} {
				user := accounts.NewUser{Username: bad, Password: testkit.Password}
				if _, err := sc.Identity.Create(sc.t.Context(), user, testkit.Command); err == nil {
					sc.t.Errorf("a user named %.50q", bad)
				}
				user = accounts.NewUser{Username: "fine", Password: testkit.Password, Groups: []string{bad}}
				if _, err := sc.Identity.Create(sc.t.Context(), user, testkit.Command); err == nil {
					sc.t.Errorf("a group named %.50q", bad)
				}
			}
			sc.User("grouped", func(n *accounts.NewUser) { n.Groups = []string{"night_shift", "a-b"} })
			sc.App("grouped", "read").With("client_id", "a, b; \u00e9").Connect(sc.Person("grouped")).Call("GET",
				"/x").Must(sc.t, 200)
			got := up.Take()
			last := got[len(got)-1].Header
			if !slices.Equal(last["X-Userkeys-Groups"],
				[]string{"night_shift,a-b"}) || !slices.Equal(last["X-Userkeys-Client-Id"], []string{"a%2C%20b%3B%20%C3%A9"}) {
				sc.t.Errorf("%q", last)
			}
		})
	})
}

// unforged fails if the last request reached the upstream with an identity that the client sent, or without the true
// one.
func (sc *scene) unforged(up *testkit.Upstream, keyed bool) {
	sc.t.Helper()
	got := up.Take()
	if len(got) != 1 {
		sc.t.Fatalf("the upstream got %d requests", len(got))
	}
	for name, values := range got[0].Header {
		if strings.Contains(strings.Join(values, ","), "forged") {
			sc.t.Errorf("the upstream got %s: %q", name, values)
		}
	}
	for name, values := range got[0].Trailer {
		sc.t.Errorf("the upstream got a trailer %s: %q", name, values)
	}
	if got[0].Header["User-Api-Key"] != nil {
		sc.t.Error("the upstream got the key")
	}
	want := []string{"alice"}
	if !keyed {
		want = nil
	}
	if users := got[0].Header["X-Userkeys-Username"]; !slices.Equal(users, want) || got[0].Host != "here" {
		sc.t.Errorf("told to be %q at %s, want %q", users, got[0].Host, want)
	}
	if ip := got[0].Header["X-Forwarded-For"]; !slices.Equal(ip, []string{"127.0.0.1"}) {
		sc.t.Errorf("X-Forwarded-For %q", ip)
	}
}
