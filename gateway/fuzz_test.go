package gateway

import (
	"bufio"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
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

func TestCVE_2026_40912_WhatIsJudgedIsWhatIsSent(t *testing.T) {
	t.Parallel()
	parts := []string{
		"/", "/", "//", "a", "admin", "pub", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", "%3b", "#", "%23", "?", "?", "&", "=", "%", "%25", "%252e",
		"%00", "%0a", "\xc3\xa9", "%C3%A9", "\xff", "%ff", "user_api_key", "user%5fapi_key=x", "+", ":", "@", "*", "\"", "http://h", "~", "%7e", "!", "[", "|",
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var b strings.Builder
		if rng.IntN(20) > 0 {
			b.WriteByte('/')
		}
		for range rng.IntN(9) {
			b.WriteString(parts[rng.IntN(len(parts))])
		}
		checkTarget(t, b.String())
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

// FuzzHeaderName looks for a name that an upstream folds to an identity header of ours.
func FuzzHeaderName(f *testing.F) {
	for _, s := range []string{"X-Userkeys-Username", "x_userkeys.admin", "Remote_User", "X-A"} {
		f.Add(s)
	}
	cgi := func(name string) string {
		return strings.Map(func(r rune) rune {
			switch {
			case 'a' <= r && r <= 'z':
				return r - 'a' + 'A'
			case 'A' <= r && r <= 'Z' || '0' <= r && r <= '9':
				return r
			}
			return '_'
		}, name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(get("/", name+": FORGED"))))
		if err != nil {
			return
		}
		for left := range noneOurs.passing(r.Header, 0) {
			switch folded := cgi(left); {
			case strings.HasPrefix(folded, "X_USERKEYS_"), folded == "REMOTE_USER", folded == "X_FORWARDED_FOR", folded == "USER_API_KEY",
				folded == "HTTP_USER_API_KEY", folded == "CLIENT_IP", folded == "TRANSFER_ENCODING", folded == "CONTENT_LENGTH" && left != "Content-Length":
				t.Errorf("%q stays as %q", name, left)
			}
		}
	})
}

func FuzzClientIP(f *testing.F) {
	f.Add("6.6.6.6, 10.0.0.2")
	f.Add("unknown")
	f.Fuzz(func(t *testing.T, line string) {
		r := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {line, "6.6.6.6, 10.0.0.3"}}}
		if got := ClientIP(prefixes("10.0.0.0/8"))(r); got != "6.6.6.6" {
			t.Errorf("%q left of the truth makes %s of it", line, got)
		}
	})
}

// noneOurs strips the headers of a stranger on a site that made no admin API key.
var noneOurs = strip{ours: func([]string) bool { return false }}
