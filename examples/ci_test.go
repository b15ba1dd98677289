package examples_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"userkeys/internal/testkit"
	"userkeys/internal/testkit/nettest"
)

func query(name, value string) string { return url.Values{name: {value}}.Encode() }

// wall is the website behind the site: it takes posts and remembers them.
type wall struct {
	*testkit.Upstream
	mu    sync.Mutex
	posts []string
}

// newWall answers posts with answer, after they are on the wall.
func newWall(t *testing.T, answer http.HandlerFunc) (*wall, *testkit.Site) {
	t.Helper()
	w := &wall{Upstream: testkit.NewUpstream(t)}
	w.Say(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.posts = append(w.posts, strings.Join([]string{r.Method, r.URL.Path, r.Header.Get("X-Userkeys-Username"), r.FormValue("topic_id"), r.FormValue("raw")}, " "))
		w.mu.Unlock()
		answer(rw, r)
	})
	s := newSite(t, testkit.Behind(w.URL))
	s.Set("allow_user_api_key_scopes", "read|write")
	return w, s
}

func (w *wall) has(t *testing.T, want ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	posts := slices.DeleteFunc(slices.Clone(w.posts), func(p string) bool { return strings.HasPrefix(p, "GET /session/current.json ") }) // whose key it is
	if !slices.Equal(posts, want) {
		t.Errorf("on the wall is %q, want %q", posts, want)
	}
}

func taken(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":17}`) }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// TestCIExitCodes: whoever reads the exit code knows whether to run the job again.
func TestCIExitCodes(t *testing.T) {
	t.Parallel()
	const posted = "POST /posts.json alice 7 Build 17 is green"
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) } // taken, but nobody hears of it
	tests := []struct {
		name   string
		answer http.HandlerFunc
		scopes string
		change func(s *testkit.Site, app *testkit.App)
		code   int
		says   string
		wall   []string
	}{
		{"done", taken, "write", nil, 0, "posted 17", []string{posted}},
		{"a revoked key", taken, "write", func(s *testkit.Site, app *testkit.App) { app.Call("POST", "/user-api-key/revoke") }, 3, "invalid key", nil},
		{"a missing scope", taken, "read", nil, 4, "missing scope: write", nil},
		{"the limit of a day", taken, "write", func(s *testkit.Site, app *testkit.App) { s.Set("max_user_api_reqs_per_day", "0") }, 5, "429", nil},
		{"no answer", cut, "write", nil, 6, "look whether the message was posted", []string{posted}},
		{"an error after the post", status(500), "write", nil, 6, "look whether the message was posted", []string{posted}},
		{"an answer that means nothing", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "write", nil, 6, "look whether", []string{posted}},
		{"refused by the website", status(422), "write", nil, 1, "422", []string{posted}},
		{"a redirect is not followed", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, "write", nil, 1, "302", []string{posted}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, s := newWall(t, tt.answer)
			app := s.App("ci", tt.scopes).Connect(s.Person("alice"))
			if tt.change != nil {
				tt.change(s, app)
			}
			p := run(t, "ci", []string{"USERKEYS_SITE=" + s.URL, "USERKEYS_KEY=" + app.Key.Reveal(), "USERKEYS_TOPIC=7"}, "Build 17 is green")
			p.must(tt.code, tt.says)
			secret(t, s, "the output", p.said())
			w.has(t, tt.wall...)
		})
	}
}

// TestCISetUpWrongly is what never reaches a site.
func TestCISetUpWrongly(t *testing.T) {
	t.Parallel()
	const key = "USERKEYS_KEY=0123456789abcdef0123456789abcdef"
	away := "USERKEYS_SITE=http://" + nettest.ReserveAddress(t)
	for _, tt := range []struct {
		name string
		env  []string
		args []string
		code int
		says string
	}{
		{"no site", []string{key}, []string{"hello"}, 2, "USERKEYS_SITE"},
		{"plain http", []string{key, "USERKEYS_SITE=http://forum.example"}, []string{"hello"}, 2, "use https"},
		{"no message", []string{key, away}, nil, 2, "usage"},
		{"a blank message", []string{key, away}, []string{" "}, 2, "usage"},
		{"no key at all", []string{"USERKEYS_KEY=secret", away}, []string{"hello"}, 3, "does not look like a key"},
		{"a site that is away", []string{key, away}, []string{"hello"}, 1, "cannot reach"},
		{"a site that is away, and no key", []string{away}, []string{"hello"}, 3, "cannot reach"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := run(t, "ci", tt.env, tt.args...)
			p.must(tt.code, tt.says)
			if strings.Contains(p.said(), "0123456789abcdef") || strings.Contains(p.said(), "secret") {
				t.Error("the key is in the output")
			}
		})
	}
}

// TestCIWithoutAKey asks a person by a code, and leaves no key behind.
func TestCIWithoutAKey(t *testing.T) {
	t.Parallel()
	const code = `type ([A-Z0-9]{4}-[A-Z0-9]{4})`
	t.Run("approved", func(t *testing.T) {
		t.Parallel()
		w, s := newWall(t, taken)
		p := start(t, "ci", []string{"USERKEYS_SITE=" + s.URL}, "Build 18 is red")
		typeCode(t, s.Person("alice"), p.says(code), "authorize")
		p.must(0, "posted 17")
		secret(t, s, "the output", p.said())
		w.has(t, "POST /posts.json alice  Build 18 is red")
		if k := s.Keys()[0]; k.RevokedAt.IsZero() || k.ExpiresAt.IsZero() {
			t.Errorf("the key goes on: %+v", k)
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		w, s := newWall(t, taken)
		p := start(t, "ci", []string{"USERKEYS_SITE=" + s.URL}, "Build 18 is red")
		typeCode(t, s.Person("alice"), p.says(code), "deny")
		p.must(3, "the person refused")
		w.has(t)
	})
	t.Run("a scope that the site does not give", func(t *testing.T) {
		t.Parallel()
		w, s := newWall(t, taken)
		s.Set("allow_user_api_key_scopes", "read")
		run(t, "ci", []string{"USERKEYS_SITE=" + s.URL}, "Build 18 is red").must(4, "does not allow the scope write")
		w.has(t)
	})
}
