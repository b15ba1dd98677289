package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/testkit/fakesite"
	"userkeys/server"
	"userkeys/site"
)

func TestNoPushesNothingShown(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t, fakesite.WithoutPushes)
	f.Add(site.UserAPIKey{UserID: fakesite.Alice.ID, ApplicationName: "Pushed", Scopes: userkeys.Scopes{"push"}, PushURL: "https://push.example/x", CreatedAt: fakesite.Now, LastUsedAt: fakesite.Now})
	f.Do(fakesite.Call{Path: "/my/apps", As: "alice"}).Must(t, http.StatusOK, "push.example").MustNot(t, "Send a test", "nothing sent yet", "not allowed")
	f.Do(fakesite.Call{Path: "/user-api-key/settings", As: "root"}).Must(t, http.StatusOK, "API keys").MustNot(t, "Deliveries")
	f.AddAdminKey("root")
	f.Do(fakesite.Call{Path: "/user-api-key/admin/keys.json"}.By(fakesite.AdminText("root"), "")).Must(t, http.StatusOK, "push.example").MustNot(t, `"push":{`)
	for _, path := range []string{"/user-api-key/deliveries", "/user-api-key/admin/deliveries.json", "/user-api-key/admin/push-hosts.json"} {
		f.Do(fakesite.Call{Path: path, As: "root"}).Must(t, http.StatusNotFound)
	}
	f.Do(fakesite.Call{Path: "/user-api-key/push-secret.json", Key: "key-1"}).Must(t, http.StatusNotFound, "not_found")
	f.Do(fakesite.Call{Path: "/.well-known/user-api-key"}).Must(t, http.StatusOK, "renewal").MustNot(t, "push_secret")
	fakesite.New(t).Do(fakesite.Call{Path: "/.well-known/user-api-key"}).Must(t, http.StatusOK, `"push_secret":"https://site.example/user-api-key/push-secret.json"`)
}

func TestMountedBesideAnotherSite(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t, fakesite.NotStandalone)
	mux := http.NewServeMux()
	f.Handle(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the site") })
	f.Handler = mux
	for path, ours := range map[string]bool{
		"/": false, "/login": false, "/u/alice/preferences/apps": false, "/other": false, "/my/apps": true,
		"/user-api-key/nothing": true, "/user-api-key/login": true, "/session/current": false, "/session/current.json": false,
	} {
		if got := unchecked(f, path); (got != "the site") != ours {
			t.Errorf("%s answers %q", path, userkeys.Shorten(got, 100))
		}
	}
	f = fakesite.New(t, fakesite.NotStandalone, func(c *server.Config) { c.Endpoints = true })
	f.Do(fakesite.Call{Path: "/session/current.json", As: "alice"}).Must(t, http.StatusOK, `"username":"alice"`)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	if _, err := server.New(server.Config{Identity: fakesite.NewIdentity()}); err == nil {
		t.Error("a server without an authority")
	}
	if _, err := server.New(server.Config{Authority: &authority.Authority{}}); err == nil {
		t.Error("a server without an identity")
	}
	if _, err := server.New(server.Config{Authority: &authority.Authority{}, Identity: fakesite.OnlyVisitors{F: fakesite.NewIdentity()}, Standalone: true}); err == nil {
		t.Error("a standalone site without accounts")
	}
	for name, base := range map[string]*url.URL{
		"no address": nil, "no host": {Scheme: "https"}, "no scheme": {Host: "www.example"}, "another scheme": {Scheme: "ftp", Host: "www.example"},
		"a folder": {Scheme: "https", Host: "www.example", Path: "/forum"}, "a query": {Scheme: "https", Host: "www.example", RawQuery: "a"},
		"no name": {Scheme: "https", Host: "\u2028"},
	} {
		_, err := server.New(server.Config{Authority: &authority.Authority{}, Identity: fakesite.OnlyVisitors{F: fakesite.NewIdentity()}, BaseURL: base})
		if err == nil || !strings.Contains(err.Error(), "Config.BaseURL") {
			t.Errorf("a site with %s: %v", name, err)
		}
	}
}

// TestBaseURLIsSpelledOnce: what browsers send as their origin is known, however the operator wrote it.
func TestBaseURLIsSpelledOnce(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t, func(c *server.Config) {
		c.BaseURL = &url.URL{Scheme: "https", Host: "B\u00fccher.Example:443", Path: "/"}
	})
	f.Do(fakesite.Call{Path: "/.well-known/user-api-key"}).Must(t, http.StatusOK, `"https://xn--bcher-kva.example/user-api-key/new"`)
}

func TestEmbeddersSessions(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t, fakesite.NotStandalone, func(c *server.Config) { c.Identity = fakesite.OnlyVisitors{F: fakesite.NewIdentity()} })
	f.Do(fakesite.Call{Path: "/user-api-key/login"}).Must(t, http.StatusNotFound)
	a := f.Do(fakesite.Call{Path: fakesite.Ask(), As: "alice"})
	a.Must(t, http.StatusOK, "approve-form")
	a.MustNot(t, "logout", "Not you?")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	f := fakesite.New(t)
	f.Do(fakesite.Call{Path: "/healthz"}).Must(t, http.StatusOK, "ok")
	f.Do(fakesite.Call{Path: "/readyz"}).Must(t, http.StatusOK, "ready")
	f.Gone()
	f.Pass(2 * time.Second) // what is in memory counts no longer
	f.Do(fakesite.Call{Path: "/healthz"}).Must(t, http.StatusOK, "ok")
	a := f.Do(fakesite.Call{Path: "/readyz"})
	a.Must(t, http.StatusServiceUnavailable, `"error_type":"read_only"`)
	a.MustNot(t, "database is closed")
	if a.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
	}
	without := fakesite.New(t, func(c *server.Config) { c.Ready = nil })
	without.Do(fakesite.Call{Path: "/healthz"}).Must(t, http.StatusNotFound)
}

// unchecked is what a path answers to nobody.
func unchecked(f *fakesite.Site, path string) string {
	w := httptest.NewRecorder()
	f.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Body.String()
}
