package demo_test

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	_ "modernc.org/sqlite"

	"userkeys"
	"userkeys/internal/demo"
	"userkeys/internal/identity"
	"userkeys/internal/site"
	"userkeys/store"
)

const password = "correct horse battery"

// startSite runs a whole userkeys site with The Noticeboard behind it, and the
// user alice. Every answer passes tamper, if it is given, so that a test can make the site lie.
func startSite(t *testing.T, tamper func(http.Handler) http.Handler) string {
	t.Helper()
	upstream := httptest.NewServer(newSite())
	t.Cleanup(upstream.Close)
	db, err := sql.Open("sqlite", store.SQLiteDSN(filepath.Join(t.TempDir(), "userkeys.db")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })

	var handler http.Handler
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	remembered, err := site.OpenStore(t.Context(), db, store.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	s, err := site.Open(t.Context(), site.Config{
		Store: remembered, BaseURL: mustParse(t, front.URL), Upstream: mustParse(t, upstream.URL),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Identity.Create(t.Context(), identity.NewUser{Username: "alice", TrustLevel: 1, Password: password}, userkeys.Actor{Kind: "test", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	handler = s.Handler()
	if tamper != nil {
		handler = tamper(handler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return front.URL
}

func mustParse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// startNotifier runs the sample app for a site.
func startNotifier(t *testing.T, siteURL string) string {
	t.Helper()
	var handler http.Handler
	ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(ts.Close)
	handler = demo.NewNotifier(demo.NotifierConfig{SiteURL: siteURL, URL: ts.URL, KeyBits: 2048})
	return ts.URL
}
