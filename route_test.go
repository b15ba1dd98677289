package userkeys_test

import (
	"net/http/httptest"
	"net/url"
	"regexp"
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
		{"PS13 an ending", "GET /t/{id}.json", "GET /t/1.json,GET /t/a.b.json,GET /t/.json.json,HEAD /t/1.json", "GET /t/1,GET /t/.json,GET /t/1.JSON,GET /t/1.json/,GET /t/1.json/x,GET /t/1json,GET /t/1.jsonx,GET /t/1.json.rss,GET /t/x/1.json,GET /1.json,GET /t/{},POST /t/1.json"},
		{"PS13 an ending in the middle", "GET /{a}.x/{b}.y/z", "GET /1.x/2.y/z", "GET /1.x/2.y,GET /.x/2.y/z,GET /1.x/.y/z,GET /1.y/2.x/z,GET /1.x/2.y/z/"},
		{"PS13 an ending of the rest", "GET /f/{any...}.rss", "GET /f/a.rss,GET /f/a/b.rss,GET /f/a/b/.c.rss", "GET /f,GET /f/,GET /f.rss,GET /f/.rss,GET /f/a/.rss,GET /f/a.rss/,GET /f/a.rss/b,GET /f/a.RSS,GET /a.rss"},
		{"braces in a request", "GET /t/{id}.json", "GET /t/{}.json,GET /t/{id}.json", "GET /t/{}"},
		{"hyphens in names", "GET /{a-b}/{-}/{c-d...}", "GET /1/2,GET /1/2/3/4", "GET /1,GET /1//3"},
		{"a slash at the end", "GET /api/{id}/", "GET /api/1/", "GET /api/1,GET /api//,GET /api/1/x,GET /api/1//"},
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
		"GET /x/{id}.":      "either written out or {name}",
		"GET /x/{id}json":   "either written out or {name}",
		"GET /x/{id}.{f}":   "either written out or {name}",
		"GET /x/{id}.j}":    "either written out or {name}",
		"GET /x/{id}.*":     "either written out or {name}",
		"GET /x/{id}.%2e":   `no request can have the ending ".%2e"`,
		"GET /x/{id}.;y":    "no request can have the ending",
		"GET /x/{id}.\x00":  "no request can have the ending",
		"GET /{r...}.js/x":  "must come last",
		"GET /x/a{id}":      "either written out or {name}",
		"GET /x/{}":         "either written out or {name}",
		"GET /x/{...}":      "either written out or {name}",
		"GET /x/{a b}":      "either written out or {name}",
		"GET /x/{a}{b}":     "either written out or {name}",
		"GET /x/*":          "either written out or {name}",
		"GET /x//y":         "no request can have",
		"GET //":            "no request can have",
		"GET /x//":          "no request can have",
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

// FuzzRoute: a route covers what the regular expression of its text covers, and nothing else.
func FuzzRoute(f *testing.F) {
	for _, route := range []string{"GET /", "GET /t/{id}.json", "GET /f/{any...}.rss", "GET /{a-b}/x/", "POST /x/{rest...}"} {
		for _, path := range []string{"/", "/t/1.json", "/t/.json", "/f/.rss", "/f/a/b.rss", "/x/x/", "/x", "/x//a", "/{}/x/"} {
			f.Add(route, path)
		}
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		if r, err := userkeys.ParseRoute(text); err == nil {
			compareRoute(t, r, routeExpression(text), path)
		}
	})
}

// TestRouteExhaustively compares every route and every path of up to three segments of some kinds.
func TestRouteExhaustively(t *testing.T) {
	t.Parallel()
	paths := combine("", "a", "a.j", ".j", "b", "a.j.j")
	routes := 0
	for _, pattern := range combine("", "a", "a.j", "{n}", "{n}.j", "{n...}", "{n-m...}.j", "{n}.j.j") {
		r, err := userkeys.ParseRoute("GET " + pattern)
		if err != nil {
			continue
		}
		routes++
		expression := routeExpression(r.String())
		for _, path := range paths {
			compareRoute(t, r, expression, path)
		}
	}
	if routes < 200 {
		t.Errorf("only %d routes", routes)
	}
}

// combine returns all paths of one to three of the segments.
func combine(segments ...string) []string {
	var all []string
	for last, round := []string{""}, 0; round < 3; round++ {
		var longer []string
		for _, begin := range last {
			for _, seg := range segments {
				longer = append(longer, begin+"/"+seg)
			}
		}
		all, last = append(all, longer...), longer
	}
	return all
}

var wildcardExpression = regexp.MustCompile(`\\\{[A-Za-z0-9_-]+(\\\.\\\.\\\.)?\\\}`)

// routeExpression returns a regular expression for the paths of a route.
func routeExpression(route string) *regexp.Regexp {
	_, pattern, _ := strings.Cut(route, " ")
	expression := wildcardExpression.ReplaceAllStringFunc(regexp.QuoteMeta(pattern), func(name string) string {
		if strings.Contains(name, ".") {
			return "(.*/)?[^/]+"
		}
		return "[^/]+"
	})
	if open, ok := strings.CutSuffix(expression, "/(.*/)?[^/]+"); ok { // no ending: nothing need follow
		expression = open + "(/.*)?"
	}
	return regexp.MustCompile("(?s)^" + expression + "$")
}

func compareRoute(t *testing.T, r userkeys.Route, expression *regexp.Regexp, path string) {
	t.Helper()
	method, _, _ := strings.Cut(r.String(), " ")
	want := strings.HasPrefix(path, "/") && expression.MatchString(path)
	if got := r.Matches(method, path); got != want {
		t.Fatalf("%q covers %q: %v; %s says %v", r, path, got, expression, want)
	}
	if r.Matches("COPY", path) {
		t.Fatalf("%q covers COPY", r)
	}
}

// BenchmarkCanonicalPath is on the way of every request with a key.
func BenchmarkCanonicalPath(b *testing.B) {
	for b.Loop() {
		if _, err := userkeys.CanonicalPath("/t/some-topic/12345/posts.json"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRoute is the comparison of a request with the routes of the scopes of its key.
func BenchmarkRoute(b *testing.B) {
	for _, c := range []struct{ name, route, path string }{
		{"literal", "GET /session/current.json", "/session/current.json"},
		{"other", "GET /notifications/totals.json", "/t/some-topic/12345"},
		{"wildcards", "GET /t/{slug}/{id}/posts.json", "/t/some-topic/12345/posts.json"},
		{"rest", "GET /{rest...}", "/t/some-topic/12345/posts.json"},
	} {
		b.Run(c.name, func(b *testing.B) {
			r, err := userkeys.ParseRoute(c.route)
			if err != nil {
				b.Fatal(err)
			}
			want := c.name != "other"
			for b.Loop() {
				if r.Matches("GET", c.path) != want {
					b.Fatal(c.route)
				}
			}
		})
	}
}
