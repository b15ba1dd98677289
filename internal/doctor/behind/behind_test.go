package behind_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"userkeys/internal/doctor"
	"userkeys/internal/doctor/behind"
)

// forward serves requests as a proxy does that passes every header, after change, and answers with a status instead if
// change returns one.
func forward(t *testing.T, change func(h http.Header) int) string {
	t.Helper()
	echo := httptest.NewServer(behind.Echo())
	t.Cleanup(echo.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := http.NewRequestWithContext(r.Context(), r.Method, echo.URL+r.URL.RequestURI(), nil)
		if err != nil {
			t.Error(err)
			return
		}
		out.Header = r.Header.Clone()
		if change != nil {
			if status := change(out.Header); status != 0 {
				w.Header().Set("Location", "https://elsewhere.example/")
				w.WriteHeader(status)
				return
			}
		}
		resp, err := http.DefaultTransport.RoundTrip(out)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// lines returns the findings as "state check: text".
func lines(findings []doctor.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%v %s: %s\n", f.State, f.Check, f.Says)
	}
	return b.String()
}

func examine(t *testing.T, site string) string {
	t.Helper()
	return lines(behind.Examine(t.Context(), behind.Config{Site: site + "/some/page"}))
}

// TestANaiveForwarder: everything comes through, and every line says so.
func TestANaiveForwarder(t *testing.T) {
	t.Parallel()
	got := examine(t, forward(t, nil))
	for _, name := range behind.Names() {
		if !strings.Contains(strings.ToLower(strings.ReplaceAll(got, "_", "-")), " "+name) {
			t.Errorf("nothing is said of %s", name)
		}
	}
	for _, want := range []string{
		"problem identity: came through: X-Userkeys-Username, X_Userkeys_Username, X.Userkeys.Username, " +
			"X-Userkeys_Username, HTTP_X_USERKEYS_USERNAME, HTTP-X-Userkeys-Username\n",
		"problem question: came through: X-Forwarded-Uri, ", "problem question: came through: X-Original-Url, ",
		"problem question: came through: X-Envoy-Original-Path, ", "came through: Forwarded, Via, X-Real-Ip, True-Client-Ip, ",
		"warning identity: came through: X-Userkeys-Other, ",
		"problem connection: Connection came through",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("missing: %s", want)
		}
	}
	if strings.Contains(got, "ok identity") || strings.Contains(got, "ok question") || strings.Contains(got, "ok address") {
		t.Error(got)
	}
	if n := strings.Count(got, "warning address"); n != 1 {
		t.Errorf("%d lines of addresses", n)
	}
}

// passOnly removes every header but some.
func passOnly(h http.Header, names ...string) {
	for name := range h {
		if !slices.Contains(names, name) {
			delete(h, name)
		}
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		change  func(h http.Header) int
		want    string // lines, or parts of them
		mustNot string
	}{
		{"nothing passes", func(h http.Header) int { passOnly(h); return 0 }, "warning echo: it answers, but not even a harmless header", "problem"},
		{"a clean proxy", func(h http.Header) int { passOnly(h, "X-Doctor-Control"); return 0 }, "ok connection: what a client names", "problem"},
		{"one spelling of one", func(h http.Header) int { passOnly(h, "X-Doctor-Control", "X.remote.user"); return 0 }, "problem identity: came through: X.Remote.User\n", "ok identity"},
		{"renamed on the way", func(h http.Header) int {
			forged := h["X_userkeys_admin"]
			passOnly(h, "X-Doctor-Control")
			if forged != nil {
				h["X-Userkeys-Admin"] = forged
			}
			return 0
		}, "problem identity: came through: X_Userkeys_Admin (as X-Userkeys-Admin)\n", "ok identity"},
		{"beside the true one", func(h http.Header) int {
			forged := h["X-Userkeys-Username"]
			passOnly(h, "X-Doctor-Control")
			if forged != nil {
				h["X-Userkeys-Username"] = append([]string{"ann"}, forged...)
			}
			return 0
		}, "problem identity: came through: X-Userkeys-Username\n", ""},
		{"lists that grow", func(h http.Header) int {
			for _, name := range []string{"X-Forwarded-For", "Via"} {
				if v := h.Get(name); v != "" {
					h.Set(name, v+", 192.0.2.1")
				}
			}
			passOnly(h, "X-Doctor-Control", "X-Forwarded-For", "Via")
			return 0
		}, "ok address: from where: none of", "problem"},
		{"a list that does not", func(h http.Header) int { passOnly(h, "X-Forwarded-For"); return 0 }, "warning address: 1 came through: X-Forwarded-For\n", ""},
		{"a spelling is refused", func(h http.Header) int {
			for name := range h {
				if strings.Contains(name, "_") {
					return 400
				}
			}
			passOnly(h, "X-Doctor-Control")
			return 0
		}, "of them are refused", "problem"},
		{"one of many is refused", func(h http.Header) int {
			if h.Get("X-Auth-Groups") != "" {
				return 403
			}
			passOnly(h, "X-Doctor-Control", "X-Auth-Roles")
			return 0
		}, "problem identity: came through: X-Auth-Roles\n", "ok identity"},
		{"Connection is refused", func(h http.Header) int {
			if strings.Contains(h.Get("Connection"), "X-Userkeys-") {
				return 400
			}
			passOnly(h, "X-Doctor-Control")
			return 0
		}, "ok connection: a request whose Connection names", "problem"},
		{"a limit", func(h http.Header) int {
			if h.Get("X-Doctor-Control") == "" {
				return 429
			}
			return 0
		}, "warning identity: 40 headers such as X-Userkeys-Username were not tried: the site answered with 429", "ok identity"},
		{"another website", func(http.Header) int { return 200 }, "problem echo: the answer (200) is not of the echo\n", "identity"},
		{"a redirect", func(http.Header) int { return 301 }, "problem echo: the answer (301) is not of the echo\n", "identity"},
		{"no such page", func(http.Header) int { return 404 }, "problem echo: the site answered with 404", "identity"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := examine(t, forward(t, c.change))
			if !strings.Contains(got, c.want) || c.mustNot != "" && strings.Contains(got, c.mustNot) {
				t.Errorf("%swant %q, must not have %q", got, c.want, c.mustNot)
			}
		})
	}
	if got := examine(t, "http://127.0.0.1:1"); !strings.HasPrefix(got, "problem echo: 127.0.0.1:1 does not answer") {
		t.Error(got)
	}
}

// TestWhoCallsIsRemoved: a proxy that sets who calls and then obeys the client's Connection, as Caddy does.
func TestWhoCallsIsRemoved(t *testing.T) {
	t.Parallel()
	for obeys, want := range map[bool]string{
		true:  "problem connection: by naming them in Connection a client removes X-Userkeys-Key-Id, X-Userkeys-Username\n",
		false: "ok connection: a client cannot remove who calls by naming it in Connection\n",
	} {
		site := forward(t, func(h http.Header) int {
			named, key := h.Get("Connection"), h.Get("User-Api-Key")
			passOnly(h, "X-Doctor-Control")
			for _, name := range []string{"X-Userkeys-Username", "X-Userkeys-Key-Id"} {
				if key == "k1" && (!obeys || !strings.Contains(named, name)) {
					h.Set(name, "ann")
				}
			}
			return 0
		})
		got := lines(behind.Examine(t.Context(), behind.Config{Site: site, Key: "k1"}))
		if !strings.HasSuffix(got, want) || strings.Contains(got, "k1") {
			t.Errorf("obeys %v: %s", obeys, got)
		}
	}
}

// TestARevokedKey: a stored key that the site refuses is told from a site without userkeys.
func TestARevokedKey(t *testing.T) {
	t.Parallel()
	site := forward(t, func(h http.Header) int {
		if h.Get("User-Api-Key") != "" {
			return 403
		}
		passOnly(h, "X-Doctor-Control")
		return 0
	})
	got := lines(behind.Examine(t.Context(), behind.Config{Site: site, Key: "k1"}))
	if !strings.HasSuffix(got, "because the stored key is refused\n") {
		t.Error(got)
	}
}

// TestEchoRepeatsNoSecret: a page of the site that asks the echo learns neither a cookie nor a key.
func TestEchoRepeatsNoSecret(t *testing.T) {
	t.Parallel()
	for _, mark := range []string{"", "a", "secret", "deadbeef"} {
		r := httptest.NewRequest(http.MethodGet, "/?"+url.Values{"userkeys-doctor": {mark}}.Encode(), nil)
		r.Header.Set("Cookie", "session=secret")
		r.Header.Set("User-Api-Key", "secret")
		r.Header.Set("X-Userkeys-Username", "secret")
		r.Header.Set("X-Mine", "deadbeef")
		w := httptest.NewRecorder()
		behind.Echo().ServeHTTP(w, r)
		body := strings.Replace(w.Body.String(), `"userkeys_echo":"secret"`, "", 1)
		if strings.Contains(body, "secret") || strings.Contains(body, "X-Mine") != (mark == "deadbeef") {
			t.Errorf("%q: %s", mark, w.Body)
		}
		h := w.Header()
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Type") != "application/json" {
			t.Errorf("%v", h)
		}
	}
}
