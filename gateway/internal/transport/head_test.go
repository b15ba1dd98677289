package transport

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRequestsForNetHTTP lists what is not sent here.
func TestRequestsForNetHTTP(t *testing.T) {
	t.Parallel()
	tr := newSynchronous(Config{Upstream: &url.URL{Scheme: "http", Host: "up.example"}})
	for name, tt := range map[string]struct {
		change func(r *http.Request)
		usual  bool
	}{
		"as it is":              {func(*http.Request) {}, true},
		"a body":                {func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1 }, true},
		"no body":               {func(r *http.Request) { r.Body = http.NoBody }, true},
		"a tab in a value":      {func(r *http.Request) { r.Header.Set("X-A", "a\tb") }, true},
		"a value of UTF-8":      {func(r *http.Request) { r.Header.Set("X-A", "b\u00fcro") }, true},
		"opaque":                {func(r *http.Request) { r.URL = &url.URL{Scheme: "http", Host: "up.example", Opaque: "/a%2Fb?c"} }, true},
		"a big body":            {func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("")), maxBody+1 }, false},
		"unknown length":        {func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("")), -1 }, false},
		"perhaps a body":        {func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("")) }, false},
		"a length alone":        {func(r *http.Request) { r.ContentLength = 1 }, false},
		"chunks":                {func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }, false},
		"a trailer":             {func(r *http.Request) { r.Trailer = http.Header{"X-Sum": nil} }, false},
		"https":                 {func(r *http.Request) { r.URL.Scheme = "https" }, false},
		"another host":          {func(r *http.Request) { r.URL.Host = "up.example:81" }, false},
		"close":                 {func(r *http.Request) { r.Close = true }, false},
		"CONNECT":               {func(r *http.Request) { r.Method = "CONNECT" }, false},
		"Upgrade":               {func(r *http.Request) { r.Header.Set("Upgrade", "websocket") }, false},
		"Expect":                {func(r *http.Request) { r.Header.Set("Expect", "100-continue") }, false},
		"Connection":            {func(r *http.Request) { r.Header.Set("Connection", "close") }, false},
		"a line in a value":     {func(r *http.Request) { r.Header.Set("X-A", "a\r\nX-B: c") }, false},
		"a NUL in a value":      {func(r *http.Request) { r.Header.Set("X-A", "a\x00") }, false},
		"a line in a name":      {func(r *http.Request) { r.Header["X-A\r\nX-B"] = []string{"c"} }, false},
		"no name":               {func(r *http.Request) { r.Header[""] = []string{"c"} }, false},
		"a space in the method": {func(r *http.Request) { r.Method = "GET /evil" }, false},
		"no method":             {func(r *http.Request) { r.Method = "" }, false},
		"a space in the target": {func(r *http.Request) { r.URL.Opaque = "/a b" }, false},
		"a line in the target":  {func(r *http.Request) { r.URL.Opaque = "/a\r\nX-A: b" }, false},
		"a line in the query":   {func(r *http.Request) { r.URL.RawQuery = "a\nb" }, false},
		"a line in the host":    {func(r *http.Request) { r.Host = "a\r\nX-A: b" }, false},
		"a zone in the host":    {func(r *http.Request) { r.Host = "[fe80::1%25en0]" }, false},
		"a slash in the host":   {func(r *http.Request) { r.Host = "a/b" }, false},
		"a host of UTF-8":       {func(r *http.Request) { r.Host = "b\u00fccher.example" }, false},
		"no User-Agent":         {func(r *http.Request) { r.Header.Del("User-Agent") }, false},
		"no header":             {func(r *http.Request) { r.Header = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequest("GET", "http://up.example/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("User-Agent", "test")
			tt.change(r)
			usual := tr.isUsual(r)
			if usual {
				_, usual = appendHead(nil, r)
			}
			if usual != tt.usual {
				t.Errorf("usual is %v", usual)
			}
		})
	}
}

// TestSameRequestsAsNetHTTP compares what both transports send, or that they send nothing, for requests that
// programs and attackers make. Only the order of headers may differ.
func TestSameRequestsAsNetHTTP(t *testing.T) {
	t.Parallel()
	type sent struct {
		Line, Host, Body string
		Length           int64
		Header           http.Header
	}
	var got chan sent
	u := newUpstream(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			b, _ := io.ReadAll(r.Body)
			got <- sent{r.Method + " " + r.RequestURI, r.Host, string(b), r.ContentLength, r.Header}
			if r.Method == "HEAD" {
				_, _ = io.WriteString(c, strings.TrimSuffix(okAnswer, "ok"))
				continue
			}
			_, _ = io.WriteString(c, okAnswer)
		}
	})
	got = make(chan sent, 10)
	ours, theirs := direct(t, u.config()), Standard(u.config())
	defer theirs.CloseIdleConnections()
	rng := rand.New(rand.NewPCG(15, 3))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	for range 500 {
		method := pick("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND", "GE T", "")
		target := pick("/", "/a%2Fb?c", "/a?b=%00", "/a|b", "/\u00fc", "//a", "/a b", "/a\x01", "*")
		host := pick("", "site.example", "site.example:8080", "SITE.example", "a/b", "b\u00fccher.example", "[::1]:80", "a_b", "a\r\nX-Evil: 1")
		header := http.Header{"User-Agent": {pick("", "test", "a b")}}
		if rng.IntN(10) == 0 {
			delete(header, "User-Agent")
		}
		for range rng.IntN(5) {
			name := pick("X-A", "x-c", "X-B", "Te", "Cookie", "Content-Length", "Host", "Accept", "Trailer", "X A", "X\nA", "User-Agent", "Transfer-Encoding")
			header[name] = append(header[name], pick("", "1", " 1 ", "a\tb", "\u00fc", "a\r\nX-Evil: 1", "a\x00", "trailers"))
		}
		body := pick("", "", "body", strings.Repeat("x", maxBody), strings.Repeat("x", maxBody+1))
		var all [2]sent
		var failed [2]bool
		for i, tr := range []http.RoundTripper{ours, theirs} {
			r := u.request(t, "GET", nil)
			r.Method, r.Host, r.Header = method, host, header.Clone()
			r.URL.Path, r.URL.Opaque = "", target
			if body != "" {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			}
			if _, err := ask(tr, r); err != nil {
				failed[i] = true
			} else {
				all[i] = <-got
			}
		}
		if diff := cmp.Diff(all[1], all[0]); diff != "" || failed[0] != failed[1] {
			t.Fatalf("%q %q to %q with %q: failed %v (-net/http +ours):\n%s", method, target, host, fmt.Sprint(header), failed, diff)
		}
	}
}
