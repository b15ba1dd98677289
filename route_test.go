package userkeys_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"userkeys"
)

func TestPathVectors(t *testing.T) {
	t.Parallel()
	const file = "paths.txt"
	for _, v := range vectorLines(t, file) {
		f := strings.SplitN(v.text, " ", 3)
		id, verdict, target := f[0], f[1], f[2]
		want := ""
		if verdict == "accept" {
			target, want, _ = strings.Cut(target, " ")
			want = unquote(t, want)
		}
		target = unquote(t, target)
		t.Run(id+" "+verdict+" "+v.at(file), func(t *testing.T) {
			t.Parallel()
			got, err := userkeys.CanonicalPath(target)
			if verdict == "refuse" {
				mustRefuse(t, err, userkeys.InvalidParameters, v.note)
				if got != "" || userkeys.AsError(err).Reason != "ambiguous path" {
					t.Errorf("path %q, reason %q", got, userkeys.AsError(err).Reason)
				}
				return
			}
			if err != nil || got != want {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		})
	}
}

// TestCVE_2025_66490_EncodedDots: Traefik matched before it decoded what the
// server behind decodes (PS2); ServeMux runs the handler of /pub/ for this path.
func TestCVE_2025_66490_EncodedDots(t *testing.T) {
	t.Parallel()
	target := "/pub/%2e%2e/admin/x"
	if p := httptest.NewRequest("GET", target, nil).URL.Path; p != "/pub/../admin/x" {
		t.Fatalf("net/http now reads %s", p)
	}
	if got, err := userkeys.CanonicalPath(target); err == nil {
		t.Errorf("judged as %s", got)
	}
}

func TestRouteMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, route string
		yes, no     string // requests "METHOD /path", between commas
	}{
		{"literal", "GET /notifications", "GET /notifications,HEAD /notifications", "POST /notifications,GET /notifications/,GET /notifications/1,GET /,GET /notification,GET /notificationsx"},
		{"the root", "GET /", "GET /,HEAD /", "GET /x,GET /x/y,GET //"},
		{"one segment", "GET /t/{id}", "GET /t/1,GET /t/a b,GET /t/{id}", "GET /t,GET /t/,GET /t/1/,GET /t/1/2,GET /x/1"},
		{"PS13 suffixes are literal", "GET /t/{id}/posts.json", "GET /t/1/posts.json", "GET /t/1/posts.JSON,GET /t/1/posts.json/,GET /t/1/posts,GET /t//posts.json"},
		{"a segment in the middle", "POST /message-bus/{client}/poll", "POST /message-bus/abc/poll", "POST /message-bus/poll,POST /message-bus//poll,POST /message-bus/a/b/poll,GET /message-bus/a/poll"},
		{"PS15 rest begins at a segment", "GET /api/v1/{rest...}", "GET /api/v1,GET /api/v1/,GET /api/v1/x,GET /api/v1/x/y/", "GET /api/v10/x,GET /api/v1evil,GET /api,GET /API/v1/x"},
		{"everything", "DELETE /{rest...}", "DELETE /,DELETE /x,DELETE /x/y", "GET /,delete /x,DELETE x,DELETE "},
		{"SC10 methods are exact", "GET /{rest...}", "GET /x,HEAD /x", "get /x,Get /x,OPTIONS /x,POST /x,PUT /x,PATCH /x,DELETE /x,FOO /x, /x"},
		{"HEAD is no write", "POST /x", "POST /x", "HEAD /x,GET /x"},
		{"PS10 case", "GET /admin", "GET /admin", "GET /ADMIN,GET /Admin"},
		{"two segments", "PUT /{a}/{b}", "PUT /1/2", "PUT /1,PUT /1/,PUT //2,PUT /1/2/3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := userkeys.ParseRoute(c.route)
			if err != nil || r.String() != c.route {
				t.Fatalf("%v, %v", r, err)
			}
			for i, list := range []string{c.yes, c.no} {
				for req := range strings.SplitSeq(list, ",") {
					method, path, _ := strings.Cut(req, " ")
					if got, want := r.Matches(method, path), i == 0; got != want {
						t.Errorf("%s covers %s: %v", c.route, req, got)
					}
				}
			}
		})
	}
	if (userkeys.Route{}).Matches("", "/") || (userkeys.Route{}).Matches("GET", "/") {
		t.Error("the zero Route covers something")
	}
}

func TestParseRouteRefuses(t *testing.T) {
	t.Parallel()
	for route, words := range map[string]string{
		"":                  "must begin with GET",
		"GET":               "must begin with GET",
		"/x":                "must begin with GET",
		"get /x":            "must begin with GET",
		"HEAD /x":           "HEAD counts as GET",
		"COPY /x":           "must begin with GET",
		"* /x":              "must begin with GET",
		"GET  /x":           "slash",
		"GET x":             "slash",
		"GET /{rest...}/x":  "must come last",
		"GET /x/{id}.json":  "either written out or {name}",
		"GET /x/a{id}":      "either written out or {name}",
		"GET /x/{}":         "either written out or {name}",
		"GET /x/{...}":      "either written out or {name}",
		"GET /x/{a b}":      "either written out or {name}",
		"GET /x/{a}{b}":     "either written out or {name}",
		"GET /x/*":          "either written out or {name}",
		"GET /x//y":         "no request can have",
		"GET /x/":           "no request can have",
		"GET /x/..":         "no request can have",
		"GET /./x":          "no request can have",
		"GET /x?y=1":        "no request can have",
		"GET /x#y":          "no request can have",
		"GET /x;y":          "no request can have",
		`GET /x\y`:          "no request can have",
		"GET /x%2fy":        "no request can have",
		"GET /x\u202e\x00y": `no request can have the segment "x\u202e\x00y"`,
	} {
		_, err := userkeys.ParseRoute(route)
		if text, code := public(err); code != userkeys.InvalidParameters || !strings.Contains(text, words) {
			t.Errorf("%q: %q, want %q", route, text, words)
		}
	}
}

// FuzzCanonicalPath: what is accepted is read alike by net/url, has one
// reading, and can be said again.
func FuzzCanonicalPath(f *testing.F) {
	for _, v := range vectorLines(f, "paths.txt") {
		_, rest, _ := strings.Cut(v.text, " ")
		_, target, _ := strings.Cut(rest, " ")
		if !strings.HasPrefix(target, `"`) {
			target, _, _ = strings.Cut(target, " ")
		}
		f.Add(unquote(f, target))
	}
	f.Fuzz(func(t *testing.T, target string) {
		path, err := userkeys.CanonicalPath(target)
		if err != nil {
			return
		}
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Path != path || u.RawQuery != "" || u.Fragment != "" || u.Host != "" {
			t.Fatalf("%q is %q for us and %+v, %v for net/url", target, path, u, err)
		}
		if strings.Count(path, "/") != strings.Count(target, "/") || strings.ContainsAny(path, "\\;#\x00\r\n") {
			t.Fatalf("%q became %q", target, path)
		}
		if twice, err := url.PathUnescape(path); err == nil && twice != path {
			t.Fatalf("%q is %q, and %q once more decoded", target, path, twice)
		}
		again, err := userkeys.CanonicalPath((&url.URL{Path: path}).EscapedPath())
		if err != nil || again != path {
			t.Fatalf("%q said again is %q, %v", path, again, err)
		}
	})
}

// BenchmarkCanonicalPath is on the way of every request with a key.
func BenchmarkCanonicalPath(b *testing.B) {
	for b.Loop() {
		if _, err := userkeys.CanonicalPath("/t/some-topic/12345/posts.json"); err != nil {
			b.Fatal(err)
		}
	}
}
