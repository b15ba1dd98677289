package demo_test

import (
	"bytes"
	"context"
	"database/sql"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "modernc.org/sqlite"

	"userkeys/internal/demo"
	"userkeys/internal/sso"
	"userkeys/internal/wiring"
	"userkeys/site"
	"userkeys/store"
)

const (
	rightPassword  = "correct horse battery"
	handOverSecret = "a secret of the website and its userkeys"
)

var people = []demo.Person{{Username: "alice", Password: rightPassword}, {Username: "bob"}, {Username: "rosa"}}

// startSite runs a whole userkeys site with The Noticeboard behind it, and the
// user alice. Every answer passes tamper, if it is given, so that a test can make the site lie.
func startSite(t *testing.T, tamper func(http.Handler) http.Handler) string {
	t.Helper()
	url, _ := startPushingSite(t, tamper)
	return url
}

// startPushingSite is startSite with a place that the site pushes to.
func startPushingSite(t *testing.T, tamper func(http.Handler) http.Handler, pushURLs ...string) (string, net.Listener) {
	t.Helper()
	push, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = push.Close() })
	pushURLs = append(pushURLs, "http://"+push.Addr().String()+"/push")
	var notify func(context.Context, demo.News) error
	upstream := httptest.NewServer(demo.NewSite(demo.SiteConfig{
		Readers: []string{"alice", "rosa"}, People: people, Secret: handOverSecret,
		Notify: func(ctx context.Context, n demo.News) error { return notify(ctx, n) },
	}))
	t.Cleanup(upstream.Close)
	db, err := sql.Open("sqlite", store.SQLiteDSN(filepath.Join(t.TempDir(), "userkeys.db")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })

	var handler http.Handler
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	remembered, err := wiring.OpenStore(t.Context(), db, store.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	s, err := wiring.Open(t.Context(), wiring.Config{
		NoPasswords: true, Logins: []sso.Login{{
			Name: "noticeboard", Issuer: front.URL,
			Rules:     sso.Rules{TrustLevel: 1, Rules: []sso.Rule{{User: "rosa", Admin: true}}},
			Kind:      sso.KindDiscourse,
			Discourse: sso.ConnectConfig{URL: mustParse(t, front.URL+demo.HandOverPath), Secret: handOverSecret},
		}},
		Store: remembered, BaseURL: mustParse(t, front.URL), Upstream: mustParse(t, upstream.URL), Secret: bytes.Repeat([]byte{1}, 32),
		OwnPaths: []string{"/notifications*"},
		Pinned:   map[string]string{"allowed_user_api_push_urls": strings.Join(pushURLs, "|"), "push_notification_time_window_mins": "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	by := site.Caller{As: "test", User: site.User{Admin: true}}
	users := site.Sync{}
	for _, p := range people {
		users.Users = append(users.Users, site.SyncedUser{ExternalID: p.Username, Username: p.Username})
	}
	outcomes, err := s.Logins.Sync(t.Context(), users, by)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Error != "" {
			t.Fatal(o)
		}
	}
	key, _, err := s.Authority.CreateAdminKey(t.Context(), site.NewAdminAPIKey{Description: "the website"}, by)
	if err != nil {
		t.Fatal(err)
	}
	notify = demo.NewNotify(front.URL, key.Reveal(), "rosa")
	handler = s.Handler()
	honest := httptest.NewServer(handler)
	defer honest.Close()
	if err := demo.Greet(t.Context(), demo.NewNotify(honest.URL, key.Reveal(), "rosa"), "alice"); err != nil {
		t.Fatal(err)
	}
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
	return front.URL, push
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
