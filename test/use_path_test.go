package scenario_test

// Using a key: paths, methods and the site's own scopes. Group PS of docs/attacks.md. Paths before an upstream are in
// proxy_test.go.

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"

	"userkeys"
	"userkeys/internal/testkit"
	"userkeys/internal/wiring"
)

// pathVectors are the protocol's vectors of request paths that a client can
// put on a request line.
func pathVectors(t *testing.T) (accept, refuse map[string]string) {
	t.Helper()
	f, err := os.Open("../testdata/paths.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	accept, refuse = map[string]string{}, map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		text, _, _ := strings.Cut(s.Text(), " -- ")
		id, rest, _ := strings.Cut(text, " ")
		verdict, target, _ := strings.Cut(rest, " ")
		if verdict == "accept" {
			target, _, _ = strings.Cut(target, " ")
		}
		if strings.HasPrefix(target, `"`) {
			if target, err = strconv.Unquote(target); err != nil {
				t.Fatal(err)
			}
		}
		switch {
		case strings.ContainsAny(target, " \x00\t?") || target == "" || target == "*":
		case verdict == "accept":
			accept[target] = id
		case verdict == "refuse":
			refuse[target] = id
		}
	}
	if len(accept) < 10 || len(refuse) < 30 {
		t.Fatalf("%d and %d paths", len(accept), len(refuse))
	}
	return accept, refuse
}

var ambiguous = want{status: 400, kind: "invalid_parameters"}

// get is a request line with the victim's key, or without one.
func (sc *scene) get(method, target string, keyed bool) testkit.Answer {
	sc.t.Helper()
	return sc.Raw(method + " " + target + " HTTP/1.1\r\nHost: " + strings.TrimPrefix(sc.URL,
		"http://") + "\r\n" + sc.keyLine(keyed) + "\r\n")
}

func (sc *scene) keyLine(keyed bool) string {
	if !keyed {
		return ""
	}
	return userkeys.KeyHeader + ": " + sc.victim.Key.Reveal() + "\r\n"
}

// TestPathsOfTheSite tries the attacks PS on a site without an upstream: what can be read in two
// ways is refused to everybody.
func TestPathsOfTheSite(t *testing.T) {
	t.Parallel()
	accept, refuse := pathVectors(t)
	onSQLite(t, func(sc *scene) {
		for target, id := range refuse {
			for who, keyed := range map[string]bool{"with a key": true, "without": false} {
				sc.refused(sprint("%s %+q %s", id, target, who), ambiguous,
					func(sc *scene) testkit.Answer { return sc.get("GET", target, keyed) })
			}
		}
		for target, id := range accept {
			sc.row(sprint("%s %+q may be asked for", id, target), func(sc *scene) {
				if a := sc.get("GET", target, true); a.StatusCode != 404 && a.StatusCode != 403 {
					sc.t.Errorf("status %d", a.StatusCode)
				}
			})
		}
		for _, method := range []string{"TRACE", "CONNECT", "get", "FOO", "PRI", "PROPFIND", "MKCOL"} {
			sc.refused("PS18 "+method, wrongMethod, func(sc *scene) testkit.Answer {
				return sc.get(method,
					"/session/current.json", true)
			})
			sc.refused("PS18 "+method+" without a key", wrongMethod,
				func(sc *scene) testkit.Answer { return sc.get(method, "/session/current.json", false) })
		}
		for _, target := range []string{
			"http://other/admin", "http://user:pw@other/admin", "javascript:alert(1)", "x",
			"session/current.json",
		} {
			sc.refused("PS20 the target "+target, want{status: 400},
				func(sc *scene) testkit.Answer { return sc.get("GET", target, true) })
		}
		for _, query := range []string{"x=1;y=2", "x=%zz", "x=%", "a#b"} {
			sc.refused("RP16 CVE-2022-2880 the query "+query, want{status: 400, kind: "invalid_parameters"}, func(sc *scene) testkit.Answer {
				return sc.get("GET", "/session/current.json?"+query, true)
			})
		}
		sc.row("PS19 OPTIONS", func(sc *scene) {
			for _, target := range []string{"*", "/my/apps", "/user-api-key"} {
				a := sc.get("OPTIONS", target, true)
				if a.StatusCode/100 == 5 || strings.Contains(a.Body, "alice") || a.Header.Get("X-Discourse-Username") != "" {
					sc.t.Errorf("%s: %d %v %s", target, a.StatusCode, a.Header, a.Body)
				}
			}
		})
		narrow := sc.App("narrow", "session_info").Connect(sc.alice)
		for target, status := range map[string]int{
			"/session/current.json": 200, "/session/%63urrent.json": 200, "/session/current.json?format=xml&x=/private": 200, "/session/current": 200,
			"/SESSION/current.json": 403, "/session/current.JSON": 403, "/session/current.json/": 403, "/session/current.jsonx": 403, "/session/current.json/x": 403,
			"/session/currentx": 403, "/private?x=/session/current.json": 403, "/private?skip=1": 403, "/u/alice/topic-tracking-state.json/x": 403,
			"/session/current;.json": 400, "/my/apps?/../session/current.json": 403,
		} {
			sc.row(sprint("PS10 PS11 PS13 PS14 %s", target), func(sc *scene) {
				a := sc.Raw("GET " + target + " HTTP/1.1\r\nHost: x\r\nUser-Api-Key: " + narrow.Key.Reveal() + "\r\n\r\n")
				if a.StatusCode != status {
					sc.t.Errorf("status %d, want %d: %s", a.StatusCode, status, a.Body)
				}
			})
		}
	})
}

// TestOwnScopes tries paths against a scope of the site's own (PS15), and hosts (PS21).
func TestOwnScopes(t *testing.T) {
	t.Parallel()
	route, err := userkeys.ParseRoute("GET /api/v1/{rest...}")
	if err != nil {
		t.Fatal(err)
	}
	own := func(cfg *wiring.Config) {
		cfg.Scopes = []userkeys.Scope{{Name: "api", Sentence: "use the first API", Routes: []userkeys.Route{route}}}
		cfg.OnlyHost = true
		u := *cfg.BaseURL
		u.Host = "site.example"
		cfg.BaseURL = &u
	}
	up := testkit.NewUpstream(t)
	onSQLite(t, func(sc *scene) {
		app := sc.grantTo("api", "api")
		for target, status := range map[string]int{
			"/api/v1": 200, "/api/v1/x": 200, "/api/v1/x/y?z": 200, "/api/v1/": 200, "/api/v10/x": 403, "/api/v1evil": 403, "/api": 403, "/API/v1/x": 403, "/api/v1/../v2": 400,
		} {
			sc.row("PS15 "+target, func(sc *scene) {
				a := sc.Raw("GET " + target + " HTTP/1.1\r\nHost: x\r\nUser-Api-Key: " + app.Key.Reveal() + "\r\n\r\n")
				if a.StatusCode != status || len(up.Take()) != map[bool]int{true: 1}[status == 200] {
					sc.t.Errorf("status %d, want %d: %s", a.StatusCode, status, a.Body)
				}
			})
		}
		for host, status := range map[string]int{
			"other.example": 421, "site.example.evil.net": 421, "evil.site.example": 421, "SITE.example": 302, "site.example.": 302, "site.example:8443": 302, "127.0.0.1:80": 302, "[::1]": 302, "": 400,
		} {
			sc.row(sprint("PS21 Host %q", host), func(sc *scene) {
				a := sc.Raw("GET /my/apps HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
				if a.StatusCode != status || strings.Contains(a.Body, "evil") || strings.Contains(a.Header.Get("Location"),
					"example") {
					sc.t.Errorf("status %d, want %d: %v %s", a.StatusCode, status, a.Header, a.Body)
				}
			})
		}
	}, own, testkit.Behind(up.URL))
}
