package wire_test

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/testkit"
	"userkeys/internal/testkit/fakesite"
	"userkeys/server"
	"userkeys/site"
)

const introspectPath = "/user-api-key/introspect"

// introspect asks with an admin API key of root that may do nothing else.
func introspect(f *fakesite.Site, key string, more ...string) fakesite.Call {
	form := map[string]string{"token": fakesite.KeyText(key)}
	for i := 0; i < len(more); i += 2 {
		form[more[i]] = more[i+1]
	}
	return fakesite.Call{
		Method: http.MethodPost, Path: introspectPath, Form: form, AdminKey: fakesite.AdminText("root introspect"),
	}
}

func newIntrospected(t *testing.T) *fakesite.Site {
	t.Helper()
	f := fakesite.NewWithKeys(t)
	f.Set("allow_user_api_key_scopes", "read|write|push")
	f.AddAdminKey("root", site.AdminIntrospect)
	return f
}

const inactive = `{"active":false}` + "\n"

func TestIntrospectionOfAKey(t *testing.T) {
	t.Parallel()
	f := newIntrospected(t)
	a := f.Do(introspect(f, "key-1")).Must(t, 200, `"active":true`, `"scope":"read"`, `"username":"alice"`, `"token_type":"User-Api-Key"`, `"sub":"1"`, `"iss":"https://site.example"`)
	a.MustNot(t, `"exp"`, "allowed", "reason", "retry_after")
	if c := a.Header.Get("Cache-Control"); !strings.Contains(c, "no-store") {
		t.Errorf("it may be kept: %s", c)
	}
	f.Do(introspect(f, "key-3", "token_type_hint", "access_token")).Must(t, 200, `"scope":"read write"`, `"exp":1795953600`)
	f.Set("max_user_api_reqs_per_minute", "1")
	for range 3 { // nothing is charged
		f.Do(introspect(f, "key-1")).Must(t, 200, `"active":true`)
	}
	f.Do(introspect(f, "key-1", "method", "GET", "uri", "/t/1.json")).Must(t, 200, `"allowed":true`)
	f.Do(introspect(f, "key-1", "method", "GET", "uri", "/t/1.json")).Must(t, 200, `"allowed":false`, `"reason":"limit: 1 per 60 s"`, `"retry_after":60`)
}

// IN1: of a key that is not good nothing is said but that, in the same bytes for each.
func TestIntrospectionOfWhatIsNoKey(t *testing.T) {
	t.Parallel()
	f := newIntrospected(t)
	bob, err := f.User(t.Context(), fakesite.Bob.ID)
	if err != nil {
		t.Fatal(err)
	}
	f.Do(introspect(f, "key-5")).Must(t, 200, `"active":true`)
	bob.SuspendedAt = fakesite.Now
	if err := f.UpdateUser(t.Context(), bob, testkit.Command.At(fakesite.Now)); err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{
		"unknown": strings.Repeat("0", 32), "revoked": fakesite.KeyText("key-4"), "malformed": "zzz", "of a suspended user": fakesite.KeyText("key-5"), "empty": "", "two": fakesite.KeyText("key-1") + ", " + fakesite.KeyText("key-2"),
		"an admin API key": fakesite.AdminText("root introspect"),
	} {
		for _, more := range []map[string]string{{}, {"method": "GET", "uri": "/t/1.json"}, {"method": "GET", "uri": "/a//b"}} {
			c := introspect(f, "")
			c.Form = map[string]string{"token": key}
			maps.Copy(c.Form, more)
			if a := f.Do(c); a.StatusCode != 200 || strings.TrimSpace(a.Text) != strings.TrimSpace(inactive) {
				t.Errorf("%s, %v: %d %q", name, more, a.StatusCode, a.Text)
			}
		}
	}
	f.Pass(8 * 24 * time.Hour)
	if a := f.Do(introspect(f, "key-3")); strings.TrimSpace(a.Text) != strings.TrimSpace(inactive) {
		t.Errorf("expired: %d %q", a.StatusCode, a.Text)
	}
}

// IN2: who may not ask learns nothing about keys.
func TestIntrospectionIsForTheSite(t *testing.T) {
	t.Parallel()
	f := newIntrospected(t)
	f.AddAdminKey("root", site.AdminKeys)
	f.AddAdminKey("")
	asks := func(key string, change func(*fakesite.Call)) fakesite.Answer {
		c := introspect(f, key)
		c.AdminKey = ""
		change(&c)
		return f.Do(c)
	}
	auth := func(value string) func(*fakesite.Call) {
		return func(c *fakesite.Call) { c.Header = map[string]string{"Authorization": value} }
	}
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	good := fakesite.AdminText("root introspect")
	for _, tt := range []struct {
		name   string
		change func(*fakesite.Call)
		want   int
	}{
		{"nobody", func(*fakesite.Call) {}, 401},
		{"somebody at a browser", func(c *fakesite.Call) { c.As = "root" }, 401},
		{"a user's key", func(c *fakesite.Call) { c.Key = "key-1" }, 403},
		{"a user's key as token", auth("Bearer " + fakesite.KeyText("key-1")), 403},
		{"an unknown admin API key", func(c *fakesite.Call) { c.AdminKey = fakesite.AdminText("x") }, 403},
		{"another permission", func(c *fakesite.Call) { c.AdminKey = fakesite.AdminText("root keys") }, 403},
		{"a key of nobody who names nobody", func(c *fakesite.Call) { c.AdminKey = fakesite.AdminText("") }, 403},
		{"another scheme", auth("Digest " + good), 401},
		{"no token", auth("Bearer"), 403},
		{"Api-Key", func(c *fakesite.Call) { c.AdminKey = good }, 200},
		{"Bearer", auth("Bearer " + good), 200},
		{"Basic", auth(basic("any%3Aclient", good)), 200},
		{"Basic without a name", auth(basic("", good)), 200},
		{"Basic of a page of another site", func(c *fakesite.Call) {
			c.Header = map[string]string{"Authorization": basic("", good), "Sec-Fetch-Site": "cross-site"}
		}, 403},
		{"Basic of a page of another origin", func(c *fakesite.Call) {
			c.Header = map[string]string{"Authorization": basic("", good), "Sec-Fetch-Site": "", "Origin": "https://evil.example"}
		}, 403},
		{"Api-Key and Bearer", func(c *fakesite.Call) {
			c.AdminKey, c.Header = good, map[string]string{"Authorization": "Bearer " + fakesite.AdminText("root keys")}
		}, 400},
		{"Bearer twice", func(c *fakesite.Call) {
			c.Header, c.Twice = map[string]string{"Authorization": "Bearer " + good}, "Authorization"
		}, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var texts []string
			for _, key := range []string{"key-1", "key-4"} {
				a := asks(key, tt.change)
				a.Must(t, tt.want)
				if kind := a.Header.Get("Content-Type"); kind != "application/json; charset=utf-8" {
					t.Errorf("the answer is %s", kind)
				}
				texts = append(texts, a.Text)
				if (tt.want == 401) != strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
					t.Errorf("challenge %q", a.Header.Get("WWW-Authenticate"))
				}
			}
			if (texts[0] == texts[1]) != (tt.want != 200) {
				t.Errorf("a good key and a revoked one: %q", texts)
			}
		})
	}
}

// IN3: a request with a good key that may not be served says why.
func TestIntrospectionOfARequest(t *testing.T) {
	t.Parallel()
	f := newIntrospected(t)
	for _, tt := range []struct{ method, uri, says string }{
		{"GET", "/t/1.json?x=1", `"allowed":true`},
		{"POST", "/posts.json", `"allowed":false,"reason":"missing scope: write"`},
		{"GET", "/a//b", `"allowed":false,"reason":"ambiguous path"`},
		{"GET", "/a?x=1;y", `"allowed":false,"reason":"ambiguous query"`},
		{"GET", "t", `"allowed":false,"reason":"ambiguous path"`},
		{"GET", "http://x/t", `"allowed":false,"reason":"ambiguous path"`},
		{"GET", "/a b", `"allowed":false,"reason":"ambiguous path"`},
		{"GET", "", `"allowed":false,"reason":"incomplete question"`},
		{"", "/t/1.json", `"allowed":false,"reason":"incomplete question"`},
		{"FOO", "/t/1.json", `"allowed":false,"reason":"method not allowed"`},
		{"OPTIONS", "/t/1.json", `"allowed":false,"reason":"method not allowed"`},
		{"TRACE", "/t/1.json", `"allowed":false,"reason":"method not allowed"`},
		{"POST", "/user-api-key/revoke", `"allowed":false,"reason":"`},
		{"GET", "/feeds/a?user_api_key=" + fakesite.KeyText("key-2"), `"allowed":false,"reason":"key in the query"`},
	} {
		f.Do(introspect(f, "key-1", "method", tt.method, "uri", tt.uri)).Must(t, 200, `"active":true`, tt.says)
	}
	for _, more := range [][]string{{"uri", "/t"}, {"method", "GET"}, {"method", "GET", "url", "/t"}, {"path", "/t"}} {
		f.Do(introspect(f, "key-1", more...)).Must(t, 400)
	}
	c := introspect(f, "key-1")
	delete(c.Form, "token")
	f.Do(c).Must(t, 400, "token")
}

// IN6: the user of a provider is told as the proxy tells them: users choose their names here themselves.
func TestIntrospectionTellsTheExternalID(t *testing.T) {
	t.Parallel()
	f := newIntrospected(t)
	f.Do(introspect(f, "key-1")).Must(t, 200).MustNot(t, "external_id", "login")
	id := site.Identity{UserID: fakesite.Alice.ID, Login: "forum", Issuer: "https://id.example", Subject: "17", CreatedAt: fakesite.Now}
	if err := f.LinkIdentity(t.Context(), id, testkit.Command.At(fakesite.Now)); err != nil {
		t.Fatal(err)
	}
	in := site.SignIn{Identity: id}
	in.SignedInAt = fakesite.Now
	if err := f.NoteSignIn(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	f.Do(introspect(f, "key-1")).Must(t, 200, `"external_id":"17"`, `"login":"forum"`)
}

// IN7: strangers who send a website what are no keys do not keep it from asking.
func TestIntrospectionIsNotSpentByStrangers(t *testing.T) {
	t.Parallel()
	f := newIntrospected(t)
	wider := f.AddAdminKey("root", site.AdminIntrospect, site.AdminKeys)
	f.Set("max_admin_api_reqs_per_minute", "3")
	for range 5 {
		f.Do(introspect(f, "garbage")).Must(t, 200, `"active":false`)
	}
	f.Do(introspect(f, "key-1")).Must(t, 200, `"active":true`)
	c := introspect(f, "key-1")
	c.AdminKey = wider
	for range 3 {
		f.Do(c).Must(t, 200)
	}
	f.Do(c).Must(t, 429)
}

// hangs is a database of which one reader waits until its context ends.
type hangs struct {
	authority.Store
	wait func(ctx context.Context, what string)
}

func (s hangs) AdminKeyByHash(ctx context.Context, h userkeys.KeyHash) (site.AdminAPIKey, error) {
	if s.wait(ctx, "admin key"); ctx.Err() != nil {
		return site.AdminAPIKey{}, ctx.Err()
	}
	return s.Store.AdminKeyByHash(ctx, h)
}

func (s hangs) KeyByHash(ctx context.Context, h userkeys.KeyHash) (site.StoredKey, error) {
	if s.wait(ctx, "key"); ctx.Err() != nil {
		return site.StoredKey{}, ctx.Err()
	}
	return s.Store.KeyByHash(ctx, h)
}

// IN5: the answer does not wait for the database, whichever read hangs.
func TestIntrospectionIsInTime(t *testing.T) {
	t.Parallel()
	for _, hanging := range []string{"admin key", "key"} {
		t.Run(hanging, func(t *testing.T) {
			t.Parallel()
			f := newIntrospected(t)
			ctx, over := context.WithCancel(t.Context())
			asked := false
			began := time.Now()
			store := hangs{f.Store, func(ctx context.Context, what string) {
				if what != hanging {
					return
				}
				asked = true
				// A key is read for whoever waits for it, in a context of its own.
				if end, ok := ctx.Deadline(); what == "admin key" && (!ok || end.Before(began) || time.Until(end) > 900*time.Millisecond) {
					t.Errorf("the database may take until %v", end)
				}
				over() // stands for the end of the time
				if what == "key" {
					<-t.Context().Done()
				}
			}}
			decides := authority.Config{Store: store}
			decides.Now = f.Config.Now
			var err error
			if f.Config.Authority, err = authority.New(t.Context(), decides); err != nil {
				t.Fatal(err)
			}
			s, err := server.New(f.Config)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(ctx, "POST", introspectPath, strings.NewReader("token="+fakesite.KeyText("key-1")))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Api-Key", fakesite.AdminText("root introspect"))
			w := httptest.NewRecorder()
			s.Introspection().ServeHTTP(w, r)
			if !asked || w.Code != 503 || w.Header().Get("Retry-After") != "1" || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
		})
	}
}

// Programs get JSON, also from refusals before anybody is known.
func TestIntrospectionRefusesInJSON(t *testing.T) {
	t.Parallel()
	f := newIntrospected(t)
	for name, tt := range map[string]struct {
		kind, body string
		status     int
	}{
		"a field twice":     {"application/x-www-form-urlencoded", "token=a&token=b", 400},
		"multipart":         {"multipart/form-data; boundary=x", "--x--", 415},
		"too large":         {"application/x-www-form-urlencoded", "token=" + strings.Repeat("x", 70<<10), 413},
		"an unknown field":  {"application/x-www-form-urlencoded", "token=a&x=b", 400},
		"without any field": {"application/x-www-form-urlencoded", "", 400},
	} {
		ask := func(h http.Handler) {
			r := httptest.NewRequest("POST", introspectPath, strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.kind)
			r.RemoteAddr = "@"
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if kind := w.Header().Get("Content-Type"); kind != "application/json; charset=utf-8" || w.Code != tt.status && w.Code != 401 {
				t.Errorf("%s: %d, %s", name, w.Code, kind)
			}
		}
		ask(f.Introspection())
		ask(f.Handler)
	}
}

// The server for web servers trusts who connects to its Unix socket, and nobody else.
func TestIntrospectionOverAUnixSocket(t *testing.T) {
	t.Parallel()
	f := newIntrospected(t)
	ask := func(method, remote string, header ...string) *httptest.ResponseRecorder {
		form := url.Values{"token": {fakesite.KeyText("key-1")}}
		r := httptest.NewRequest(method, introspectPath, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if r.RemoteAddr = remote; header != nil {
			r.Header.Set(header[0], header[1])
		}
		w := httptest.NewRecorder()
		f.Introspection().ServeHTTP(w, r)
		return w
	}
	for _, tt := range []struct {
		name string
		got  *httptest.ResponseRecorder
		want int
	}{
		{"a socket", ask("POST", "@"), 200},
		{"a socket, and a bad key", ask("POST", "@", "Api-Key", "x"), 403},
		{"a socket, and a user's key", ask("POST", "@", "User-Api-Key", fakesite.KeyText("key-1")), 403},
		{"a socket, by GET", ask("GET", "@"), 405},
		{"a network", ask("POST", "127.0.0.1:80"), 401},
		{"a network, and a good key", ask("POST", "127.0.0.1:80", "Api-Key", fakesite.AdminText("root introspect")), 200},
	} {
		if tt.got.Code != tt.want || (tt.want == 200) != strings.Contains(tt.got.Body.String(), `"username":"alice"`) {
			t.Errorf("%s: %d %s", tt.name, tt.got.Code, tt.got.Body)
		}
	}
}

// IN4: without the database nothing is said about the key.
func TestIntrospectionWithoutADatabase(t *testing.T) {
	t.Parallel()
	f := newIntrospected(t)
	open := f.Introspection()
	f.Pass(time.Minute)
	f.Gone()
	r := httptest.NewRequest("POST", introspectPath, strings.NewReader("token="+fakesite.KeyText("key-1")))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = "@"
	w := httptest.NewRecorder()
	open.ServeHTTP(w, r)
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "active") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
