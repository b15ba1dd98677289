package gateway

import (
	"bufio"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"userkeys"
	"userkeys/site"
)

// recorder is a transport that keeps the request line it would have sent.
type recorder struct{ lines []string }

func (s *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	s.lines = append(s.lines, r.Method+" "+r.URL.RequestURI())
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// through sends a request line through a proxy; ok is false if no server would hand it to a handler.
func through(t testing.TB, method, raw string, lines ...string) (sent []string, calls []site.Call, status int, ok bool) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + get(raw, lines...)[3:])))
	if err != nil || r.RequestURI != raw {
		return nil, nil, 0, false
	}
	r.RemoteAddr = "192.0.2.1:1234"
	tr, c, w := &recorder{}, &fakeChecker{}, httptest.NewRecorder()
	newProxy(t, ProxyConfig{Upstream: &url.URL{Scheme: "http", Host: "up.example"}, Checker: c, Transport: tr}).ServeHTTP(w, r)
	return tr.lines, c.seen(), w.Code, true
}

// PS22, T23; Traefik CVE-2026-40912, Oathkeeper CVE-2026-33494: a path was
// judged in one reading and served in another. What is sent for a request
// with a key must be read by anybody as the path that was judged.
func checkTarget(t *testing.T, raw string) {
	t.Helper()
	sent, calls, status, ok := through(t, "GET", raw, withKey()...)
	if !ok {
		return
	}
	if len(sent) != len(calls) || len(sent) > 1 || (len(sent) == 1) != (status == 200) {
		t.Fatalf("%q: checked %v, sent %q, answered %d", raw, calls, sent, status)
	}
	if len(sent) == 1 {
		_, target, _ := strings.Cut(sent[0], " ")
		path, query, _ := strings.Cut(target, "?")
		original, _, _ := strings.Cut(raw, "?")
		if judged, err := userkeys.CanonicalPath(path); err != nil || judged != calls[0].Path || path != original {
			t.Fatalf("%q: judged %q, sent %q, which reads %q (%v)", raw, calls[0].Path, target, judged, err)
		}
		if u, err := url.ParseRequestURI(target); err != nil || u.Path != calls[0].Path || u.Query().Has("user_api_key") {
			t.Fatalf("%q: judged %q, sent %q, which Go reads as %+v (%v)", raw, calls[0].Path, target, u, err)
		}
		if _, err := url.ParseQuery(query); err != nil {
			t.Fatalf("%q: the query that is sent can be read in two ways: %v", raw, err)
		}
	}
	// Without a key the same bytes go through, or nothing does.
	sent, _, status, _ = through(t, "GET", raw)
	if len(sent) == 1 && sent[0] != "GET "+raw || len(sent) == 0 && status != 400 {
		t.Fatalf("%q: a stranger's request was sent as %q and answered %d", raw, sent, status)
	}
}

// randomTarget puts together what programs read in two ways.
func randomTarget(rng *rand.Rand) string {
	parts := []string{
		"/", "/", "//", "a", "admin", "pub", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", "%3b", "#", "%23", "?", "?", "&", "=", "%", "%25", "%252e",
		"%00", "%0a", "\xc3\xa9", "%C3%A9", "\xff", "%ff", "user_api_key", "user%5fapi_key=x", "+", ":", "@", "*", "\"", "http://h", "~", "%7e", "!", "[", "|",
	}
	var b strings.Builder
	if rng.IntN(20) > 0 {
		b.WriteByte('/')
	}
	for range rng.IntN(9) {
		b.WriteString(parts[rng.IntN(len(parts))])
	}
	return b.String()
}

func TestCVE_2026_40912_WhatIsJudgedIsWhatIsSent(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		checkTarget(t, randomTarget(rng))
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/", "/a/../b", "//a", "/a?b=%zz", "/a%2fb", "/?user_api_key=x&a", "/\xc3\xa9", "*", "/a#b", "http://h/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if strings.ContainsAny(raw, " \r\n") {
			return
		}
		checkTarget(t, raw)
	})
}

// checkAsked asks one question and holds the answer to this: it is leave to pass only if exactly what was asked was
// judged, or nothing that has a key.
func checkAsked(t *testing.T, method, target, key string) {
	t.Helper()
	for path, lines := range map[string][]string{
		"/forwarded": {"X-Forwarded-Method", "X-Forwarded-Uri"}, "/nginx": {"X-Original-Method", "X-Original-Uri"}, "/envoy" + target: nil,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RequestURI = path
		if lines == nil {
			r.Method = method
		} else {
			r.Header[lines[0]], r.Header[lines[1]] = []string{method}, []string{target}
		}
		r.Header["User-Api-Key"] = []string{key}
		c, w := &fakeChecker{}, httptest.NewRecorder()
		newAsked(t, AskedConfig{Checker: c}).ServeHTTP(w, r)
		calls := c.seen()
		if w.Code != http.StatusOK {
			if w.Code/100 != 4 || w.Header().Get(UsernameHeader) != "" {
				t.Fatalf("%s %q at %s: refused with %d %v", method, target, path, w.Code, w.Header())
			}
			continue
		}
		if len(calls) != 1 || calls[0].Method != method || calls[0].Key != key || w.Header().Get(UsernameHeader) != "alice" {
			t.Fatalf("%s %q at %s: allowed %v, judged %+v", method, target, path, w.Header(), calls)
		}
		asked, query, _ := strings.Cut(target, "?")
		if read, err := url.PathUnescape(asked); err != nil || read != calls[0].Path {
			t.Fatalf("%q at %s: judged %q, and somebody else reads %q (%v)", target, path, calls[0].Path, read, err)
		}
		if u, err := url.ParseRequestURI(target); err != nil || u.Path != calls[0].Path || strings.ContainsAny(query, ";#") {
			t.Fatalf("%q at %s: judged %q, and Go reads %+v (%v)", target, path, calls[0].Path, u, err)
		}
	}
}

func TestAskedJudgesWhatItIsAsked(t *testing.T) {
	t.Parallel()
	rounds := 3000
	if os.Getenv("USERKEYS_LONG") != "" {
		rounds = 1e6
	}
	methods := []string{"GET", "GET", "GET", "POST", "HEAD", "DELETE", "OPTIONS", "get", "FOO", "", "GET ", "PATCH"}
	rng := rand.New(rand.NewPCG(3, 4))
	for range rounds {
		checkAsked(t, methods[rng.IntN(len(methods))], randomTarget(rng), aliceKey)
	}
}

func FuzzAsked(f *testing.F) {
	for _, s := range []string{"/", "/a/../b", "//a", "/a?b=%zz", "/a%2fb", "/?user_api_key=x&a", "/\xc3\xa9", "*", "/a#b", "http://h/x", ""} {
		f.Add("GET", s, aliceKey)
	}
	f.Fuzz(checkAsked)
}
