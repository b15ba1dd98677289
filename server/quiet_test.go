package server

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/notify"
	"userkeys/site"
)

// pushWatch notes of each announcement whether it is to be pushed.
type pushWatch struct {
	notify.Store
	pushed *[]bool
}

func (s pushWatch) AddNotifications(ctx context.Context, a site.Announcement) (site.Announced, error) {
	*s.pushed = append(*s.pushed, a.Pushes != nil)
	return s.Store.AddNotifications(ctx, a)
}

func TestDoNotDisturb(t *testing.T) {
	t.Parallel()
	f := inboxSite(t)
	send := func(method, path, as, key, body, kind string) answer {
		t.Helper()
		h := map[string]string{"Content-Type": kind}
		if key == "" {
			h["Origin"], h["Sec-Fetch-Site"], h["X-CSRF-Token"] = "https://site.example", "same-origin", "token-of-"+as
		}
		return f.do(call{method: method, path: path, as: as, key: key, body: body, header: h})
	}
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	until := func(want string) {
		t.Helper()
		a := f.do(call{path: "/session/current.json", as: "alice"})
		a.must(t, http.StatusOK)
		u := decode[struct {
			User struct {
				Until *string `json:"do_not_disturb_until"`
			} `json:"current_user"`
		}](t, a).User
		if got := u.Until; want == "" && got != nil || want != "" && (got == nil || *got != want) {
			t.Errorf("the session says %s, want %q", a.text, want)
		}
	}
	until("")
	for _, tt := range []struct{ name, body, kind, ends string }{
		{"an hour", `{"duration":60}`, asJSON, "2026-11-22T13:00:00.000Z"},
		{"as a text", `{"duration":"90"}`, asJSON, "2026-11-22T13:30:00.000Z"},
		{"as a form", `duration=30`, asForm, "2026-11-22T12:30:00.000Z"},
		{"a week", `{"duration":10080}`, asJSON, "2026-11-29T12:00:00.000Z"},
		{"tomorrow", `{"duration":"tomorrow"}`, asJSON, "2026-11-23T08:00:00.000Z"},
	} {
		a := send(http.MethodPost, "/do-not-disturb.json", "alice", "", tt.body, tt.kind)
		a.must(t, http.StatusOK)
		if got := strings.TrimSpace(a.text); got != `{"ends_at":"`+tt.ends+`"}` {
			t.Errorf("%s: %s", tt.name, got)
		}
		until(tt.ends)
	}
	for _, body := range []string{
		``, `{}`, `{"duration":0}`, `{"duration":-1}`, `{"duration":10081}`, `{"duration":1.5}`, `{"duration":"01"}`, `{"duration":" 5"}`, `{"duration":null}`,
		`{"duration":"Tomorrow"}`, `{"duration":"forever"}`, `{"duration":[60]}`, `{"duration":99999999999999999999}`, `{"duration":60`,
	} {
		send(http.MethodPost, "/do-not-disturb", "alice", "", body, asJSON).must(t, http.StatusBadRequest)
	}
	until("2026-11-23T08:00:00.000Z")
	send(http.MethodDelete, "/do-not-disturb.json", "alice", "", "", asJSON).must(t, http.StatusOK, `{"success":"OK"}`)
	until("")
	send(http.MethodDelete, "/do-not-disturb", "alice", "", "", asJSON).must(t, http.StatusOK)

	// A key's scopes are the guard's business, see the scenarios in test; nobody and no other page may.
	f.authority.add(site.UserAPIKey{UserID: alice.ID, Scopes: userkeys.Scopes{"write"}, CreatedAt: testNow})
	send(http.MethodPost, "/do-not-disturb.json", "", "key-6", `{"duration":60}`, asJSON).must(t, http.StatusOK)
	until("2026-11-22T13:00:00.000Z")
	f.do(call{method: http.MethodPost, path: "/do-not-disturb.json", body: `{"duration":60}`}).must(t, http.StatusForbidden)
	f.do(call{method: http.MethodPost, path: "/do-not-disturb.json", as: "alice", body: `{"duration":5}`, header: map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "X-CSRF-Token": "token-of-alice"}}).must(t, http.StatusForbidden)
	f.do(call{method: http.MethodDelete, path: "/do-not-disturb.json", as: "alice"}).must(t, http.StatusForbidden)
	until("2026-11-22T13:00:00.000Z")

	// It is over by itself.
	if err := f.server.cfg.Users.(notify.Store).SetQuiet(t.Context(), alice.ID, testNow.Add(-time.Second), testNow); err != nil {
		t.Fatal(err)
	}
	until("")
}
