// Package docs_test runs the programs that the pages show.
package docs_test

import (
	"bytes"
	"encoding/json"
	"go/format"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"userkeys/internal/testkit"
)

// programs are those of apps.md, each with the flows that it knows.
var programs = []program{
	{"hello.go", loopback, findGo},
	{"hello.go", device, findGo},
	{"hello.mjs", device, findNode},
	{"hello.py", loopback, findPython},
	{"hello.sh", paste, findShell},
}

var everyFlow = []flow{loopback, device, paste}

// each runs test with every program that has one of the flows, each at a site of its own.
func each(t *testing.T, flows []flow, test func(t *testing.T, p program, f *forum)) {
	t.Helper()
	t.Parallel()
	for _, p := range programs {
		if !slices.Contains(flows, p.flow) {
			continue
		}
		t.Run(p.file+" "+string(p.flow), func(t *testing.T) {
			t.Parallel()
			p.find(t) // before anything is made that needs it
			f := newForum(t)
			if p.flow == device {
				f.base = f.front(func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) })
			}
			if p.file == "hello.go" && p.flow == device {
				f.Set("allow_user_api_key_loopback_redirects", "false")
			}
			test(t, p, f)
		})
	}
}

func TestAppsPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("apps.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n >= 200 {
		t.Errorf("apps.md has %d lines; it promises one page, less than 200", n)
	}
	blocks := snippets(t)
	if n := strings.Count(string(text), "\n```"); n != 2*len(blocks) {
		t.Errorf("apps.md has %d fences, and %d blocks that the tests run", n, len(blocks))
	}
	for _, p := range programs {
		if blocks[p.file] == "" {
			t.Errorf("apps.md has no %s", p.file)
		}
	}
	formatted, err := format.Source([]byte(blocks["hello.go"]))
	if err != nil || string(formatted) != blocks["hello.go"] {
		t.Errorf("hello.go is not formatted by gofmt: %v\n%s", err, formatted)
	}
}

// From nothing to a greeting, through a limit and an outage; then once more, as at a second login.
func TestProgramsGetUseAndRevokeAKey(t *testing.T) {
	each(t, everyFlow, func(t *testing.T, p program, f *forum) {
		home := t.TempDir()
		f.answers(refusal(http.StatusTooManyRequests), refusal(http.StatusServiceUnavailable))
		id := f.greets(p.start(t, f.base, home), 3)
		f.answers()
		if again := f.greets(p.start(t, f.base, home), 1); again != id {
			t.Errorf("the second login came as client %q, the first as %q", again, id)
		}
		if other := f.greets(p.start(t, f.base, t.TempDir()), 1); other == id {
			t.Error("two installations have the same client id")
		}
		f.upstream.Say(http.NotFound) // a website that knows nothing of apps
		f.greets(p.start(t, f.base, home), 1)
	})
}

// greets has alice approve what r asks, and holds what happened against what the page promises.
func (f *forum) greets(r *run, calls int) string {
	f.t.Helper()
	f.approve(r, nil)
	if err := r.wait(); err != nil || !strings.HasSuffix(r.stdout(), "Hello alice\n") {
		f.t.Fatalf("%v\n%s", err, r.everything())
	}
	key := f.Keys()[0]
	if key.RevokedAt.IsZero() || key.Scopes.String() != "session_info" || key.ApplicationName != "Hello" {
		f.t.Errorf("the site has %+v", key)
	}
	got := f.upstream.Take()
	if r.file == "hello.go" {
		calls++ // client.Login asks for the name, too
	}
	if len(got) != calls {
		f.t.Errorf("%d calls came through, want %d", len(got), calls)
	}
	for _, c := range got {
		if c.Method != "GET" || c.Target != "/session/current.json" || c.Header.Get("X-Userkeys-Client-Id") != key.ClientID {
			f.t.Errorf("a call came through as %s %s of %q", c.Method, c.Target, c.Header.Get("X-Userkeys-Client-Id"))
		}
	}
	f.noSecrets(r)
	if kept := read(f.t, r.home+"/.hello-client-id"); string(kept) != key.ClientID {
		f.t.Errorf("client id %q, %q is kept", key.ClientID, kept)
	}
	return key.ClientID
}

func refusal(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"errors":["not now"]}`)
	}
}

// A Discourse from before the parameter padding seals with PKCS#1, whatever was asked for; it has no device flow.
func TestProgramsReadAnOlderAnswer(t *testing.T) {
	each(t, []flow{loopback, paste}, func(t *testing.T, p program, f *forum) {
		r := p.start(t, f.base, t.TempDir())
		f.approve(r, map[string]string{"padding": ""})
		if err := r.wait(); err != nil || !strings.HasSuffix(r.stdout(), "Hello alice\n") {
			t.Errorf("%v\n%s", err, r.everything())
		}
		if keys := f.Keys(); len(keys) != 1 || keys[0].RevokedAt.IsZero() {
			t.Errorf("the site has %+v", keys)
		}
	})
}

// An answer to somebody else's request would make the app act as somebody else.
func TestProgramsRefuseAnotherNonce(t *testing.T) {
	each(t, everyFlow, func(t *testing.T, p program, f *forum) {
		before := f.front(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.URL.Path == "/user-api-key/device.json" {
				var fields map[string]string
				if err := json.NewDecoder(r.Body).Decode(&fields); err != nil {
					t.Error(err)
				}
				fields["nonce"] = "another"
				body, _ := json.Marshal(fields) // strings
				r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
				r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			}
			next.ServeHTTP(w, r)
		})
		base := f.base
		if p.flow == device {
			base = before
		}
		r := p.start(t, base, t.TempDir())
		f.approve(r, map[string]string{"nonce": "another"})
		if p.file == "hello.go" && p.flow == loopback { // package client waits on, for whoever answered first may be anybody
			if got := f.upstream.Take(); len(got) != 0 {
				t.Errorf("the key of somebody else's request was used: %+v", got)
			}
			f.greets(r, 1)
			return
		}
		if err := r.wait(); err == nil || !strings.Contains(r.everything(), "this answers another request") {
			t.Errorf("%v\n%s", err, r.everything())
		}
		if got := f.upstream.Take(); len(got) != 0 {
			t.Errorf("the key of somebody else's request was used: %+v", got)
		}
	})
}

// A key that is revoked between two calls: the program ends and says so; it neither goes on nor asks anew by itself.
func TestProgramsStopAtADeadKey(t *testing.T) {
	each(t, everyFlow, func(t *testing.T, p program, f *forum) {
		f.answers(func(w http.ResponseWriter, r *http.Request) {
			f.revokeAll()
			refusal(http.StatusServiceUnavailable)(w, r)
		})
		r := p.start(t, f.base, t.TempDir())
		f.approve(r, nil)
		if err := r.wait(); err == nil || strings.Contains(r.stdout(), "Hello alice") || !strings.Contains(r.everything(), "403") {
			t.Errorf("%v\n%s", err, r.everything())
		}
		if n := len(f.upstream.Take()); n != 1 {
			t.Errorf("%d calls came through", n)
		}
		if n := len(f.Keys()); n != 1 {
			t.Errorf("it asked for %d keys", n)
		}
		f.noSecrets(r)
	})
}

// What may have happened is not sent again: the answer 503 to a POST does not say.
func TestProgramsSendNoWriteTwice(t *testing.T) {
	each(t, everyFlow, func(t *testing.T, p program, f *forum) {
		var writes atomic.Int32
		r := p.start(t, f.front(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if !strings.HasPrefix(r.URL.Path, "/user-api-key/revoke") {
				next.ServeHTTP(w, r)
				return
			}
			writes.Add(1)
			refusal(http.StatusServiceUnavailable)(w, r)
		}), t.TempDir())
		f.approve(r, nil)
		if err := r.wait(); err == nil {
			t.Errorf("it ends well although the key is not revoked\n%s", r.everything())
		}
		if n := writes.Load(); n != 1 {
			t.Errorf("the key was revoked by %d requests", n)
		}
		f.noSecrets(r)
	})
}

// A redirect must not take the key to another site.
func TestProgramsTakeTheKeyNowhereElse(t *testing.T) {
	each(t, everyFlow, func(t *testing.T, p program, f *forum) {
		elsewhere := testkit.NewUpstream(t)
		f.upstream.Say(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/session/current.json", http.StatusFound)
		})
		r := p.start(t, f.base, t.TempDir())
		f.approve(r, nil)
		if err := r.wait(); err == nil {
			t.Errorf("it ends well without an answer\n%s", r.everything())
		}
		for _, got := range elsewhere.Take() {
			if got.Header.Get("User-Api-Key") != "" || got.Header.Get("User-Api-Client-Id") != "" {
				t.Error("the key went elsewhere")
			}
		}
		if len(f.upstream.Take()) == 0 || f.Keys()[0].RevokedAt.IsZero() {
			t.Error("the key was not used and revoked")
		}
	})
}

// The answer to a poll is lost after the site has made the key. The program says to begin again, and
// then the new key replaces the one that nobody has. In the other flows the browser can send the answer again.
func TestProgramsSurviveALostAnswer(t *testing.T) {
	each(t, []flow{device}, func(t *testing.T, p program, f *forum) {
		var lost atomic.Bool
		before := f.front(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.URL.Path != "/user-api-key/device/poll.json" || lost.Load() {
				next.ServeHTTP(w, r)
				return
			}
			answer := httptest.NewRecorder()
			next.ServeHTTP(answer, r)
			if strings.Contains(answer.Body.String(), `"authorized"`) {
				lost.Store(true)
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(answer.Body.Bytes())
		})
		home := t.TempDir()
		r := p.start(t, before, home)
		f.approve(r, nil)
		if err := r.wait(); err == nil || !strings.Contains(r.everything(), "lost") {
			t.Errorf("%v\n%s", err, r.everything())
		}
		if keys := f.Keys(); !lost.Load() || len(keys) != 1 || !keys[0].RevokedAt.IsZero() {
			t.Errorf("the site has %+v", keys)
		}
		f.greets(p.start(t, before, home), 1)
		if n := len(f.Keys()); n != 1 {
			t.Errorf("the site has %d keys", n)
		}
	})
}
