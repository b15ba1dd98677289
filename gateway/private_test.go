package gateway

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAnswersToKeysArePrivate asks every door with a key for what a website or a handler offers to
// caches: what was chosen by a header must not be given to who sends another one.
func TestAnswersToKeysArePrivate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, came, want string // header lines; want without Vary
	}{
		{"nothing said", "", "Cache-Control: private"},
		{"an age", "Cache-Control: max-age=60", "Cache-Control: private, max-age=60"},
		{"public", "Cache-Control: public, max-age=60, s-maxage=600", "Cache-Control: private, max-age=60"},
		{"other spellings", "Cache-Control: Public ,MAX-AGE=60,S-MaxAge = 600", "Cache-Control: private, MAX-AGE=60"},
		{"two lines", "Cache-Control: max-age=60\r\nCache-Control: public", "Cache-Control: private, max-age=60"},
		{"private already", "Cache-Control: private, max-age=5", "Cache-Control: private, max-age=5"},
		{"private for one field", `Cache-Control: private="Set-Cookie, X", max-age=5`, "Cache-Control: private, max-age=5"},
		{"nothing stored", "Cache-Control: no-store", "Cache-Control: no-store"},
		{"nothing stored, and public", "Cache-Control: public, no-store", "Cache-Control: no-store"},
		{"stored all the same", "Cache-Control: must-understand, no-store", "Cache-Control: private, must-understand, no-store"},
		{"asked again each time", "Cache-Control: no-cache", "Cache-Control: private, no-cache"},
		{"a quoted list", `Cache-Control: no-cache="X, public", max-age=1`, `Cache-Control: private, no-cache="X, public", max-age=1`},
		{"a quote that does not end", `Cache-Control: no-cache="X, public, max-age=1`, "Cache-Control: no-store"},
		{"an end", "Expires: Thu, 01 Jan 2099 00:00:00 GMT", "Cache-Control: private\nExpires: Thu, 01 Jan 2099 00:00:00 GMT"},
		{
			"words for caches before us",
			"CDN-Cache-Control: max-age=60\r\nCloudflare-CDN-Cache-Control: max-age=60\r\nSurrogate-Control: max-age=60\r\n" +
				"X-Accel-Expires: 60\r\nEdge-Control: cache-maxage=60\r\nX-LiteSpeed-Cache-Control: public\r\nCache-Control: max-age=1",
			"Cache-Control: private, max-age=1",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for door, addr := range offering(t, tt.came) {
				got := send(t, addr, get("/x", withKey()...))
				if vary := got.header["Vary"]; got.status != 200 || len(vary) != 1 || vary[0] != "User-Api-Key" {
					t.Errorf("%s: status %d, Vary %q", door, got.status, vary)
				}
				if diff := cmp.Diff(tt.want, cacheLines(got.header)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", door, diff)
				}
				if got := send(t, addr, get("/x")); got.header.Get("Cache-Control") != headerLine(tt.came, "Cache-Control") || got.header.Get("Vary") != "" {
					t.Errorf("%s: a stranger is told Cache-Control %q, Vary %q", door, got.header.Get("Cache-Control"), got.header.Get("Vary"))
				}
			}
		})
	}
}

// offering are the doors before what answers with these header lines.
func offering(t *testing.T, lines string) map[string]string {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for line := range strings.SplitSeq(lines, "\r\n") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				w.Header().Add(name, value)
			}
		}
	})
	if lines != "" {
		lines += "\r\n"
	}
	up := newUpstream(t, func(_ string, c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+lines+"Content-Length: 2\r\n\r\nok")
	})
	front, err := NewFront(FrontConfig{Own: h, Checker: &fakeChecker{}})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"proxy": listen(t, newProxy(t, ProxyConfig{Upstream: up.url()})),
		"guard": listen(t, Guard(&fakeChecker{})(h)),
		"front": listen(t, front),
	}
}

// cacheLines are the header lines that caches read, without Vary.
func cacheLines(h http.Header) string {
	var lines []string
	for _, name := range []string{
		"Cache-Control", "Expires", "Cdn-Cache-Control", "Cloudflare-Cdn-Cache-Control", "Surrogate-Control",
		"X-Accel-Expires", "Edge-Control", "X-Litespeed-Cache-Control",
	} {
		for _, line := range h[name] {
			lines = append(lines, name+": "+line)
		}
	}
	return strings.Join(lines, "\n")
}

// TestGuardLeavesTheWriterUsable uses what handlers find in a writer of net/http.
func TestGuardLeavesTheWriterUsable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"a flush", func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "flushed")
		}, "flushed"},
		{"a flush that tells", func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).Flush(); err == nil {
				_, _ = io.WriteString(w, "flushed")
			}
		}, "flushed"},
		{"a copy", func(w http.ResponseWriter, _ *http.Request) {
			if n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("copied")); n == 6 && err == nil {
				_, _ = io.WriteString(w, ".")
			}
		}, "copied."},
		{"a text", func(w http.ResponseWriter, _ *http.Request) {
			if n, err := w.(io.StringWriter).WriteString("written"); n == 7 && err == nil {
				_, _ = w.Write([]byte("."))
			}
		}, "written."},
		{"early hints", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Cache-Control", "public")
			_, _ = io.WriteString(w, "hinted")
		}, "hinted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := listen(t, Guard(&fakeChecker{})(tt.handler))
			r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s+"/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("User-Api-Key", aliceKey)
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if string(body) != tt.want || err != nil || res.Header.Get("Cache-Control") != "private" {
				t.Errorf("%q, %v, Cache-Control %q", body, err, res.Header.Get("Cache-Control"))
			}
		})
	}
	t.Run("a connection taken over", func(t *testing.T) {
		t.Parallel()
		got := send(t, listen(t, Guard(&fakeChecker{})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = io.WriteString(c, okReply)
		}))), get("/x", withKey()...))
		if got.status != 200 || got.body != "ok" {
			t.Errorf("%+v", got)
		}
	})
}
