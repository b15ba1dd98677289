package wire_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/fakesite"
	"userkeys/notify"
	"userkeys/site"
)

func TestDoNotDisturb(t *testing.T) {
	t.Parallel()
	f := fakesite.NewWithInbox(t)
	send := func(method, path, as, key, body, kind string) fakesite.Answer {
		t.Helper()
		h := map[string]string{"Content-Type": kind}
		if key == "" {
			h["Origin"], h["Sec-Fetch-Site"], h["X-CSRF-Token"] = "https://site.example", "same-origin", "token-of-"+as
		}
		return f.Do(fakesite.Call{Method: method, Path: path, As: as, Key: key, Body: body, Header: h})
	}
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	until := func(want string) {
		t.Helper()
		a := f.Do(fakesite.Call{Path: "/session/current.json", As: "alice"})
		a.Must(t, http.StatusOK)
		u := fakesite.Decode[struct {
			User struct {
				Until *string `json:"do_not_disturb_until"`
			} `json:"current_user"`
		}](t, a).User
		if got := u.Until; want == "" && got != nil || want != "" && (got == nil || *got != want) {
			t.Errorf("the session says %s, want %q", a.Text, want)
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
		a.Must(t, http.StatusOK)
		if got := strings.TrimSpace(a.Text); got != `{"ends_at":"`+tt.ends+`"}` {
			t.Errorf("%s: %s", tt.name, got)
		}
		until(tt.ends)
	}
	for _, body := range []string{
		``, `{}`, `{"duration":0}`, `{"duration":-1}`, `{"duration":10081}`, `{"duration":1.5}`, `{"duration":"01"}`, `{"duration":" 5"}`, `{"duration":null}`,
		`{"duration":"Tomorrow"}`, `{"duration":"forever"}`, `{"duration":[60]}`, `{"duration":99999999999999999999}`, `{"duration":60`,
	} {
		send(http.MethodPost, "/do-not-disturb", "alice", "", body, asJSON).Must(t, http.StatusBadRequest)
	}
	until("2026-11-23T08:00:00.000Z")
	send(http.MethodDelete, "/do-not-disturb.json", "alice", "", "", asJSON).Must(t, http.StatusOK, `{"success":"OK"}`)
	until("")
	send(http.MethodDelete, "/do-not-disturb", "alice", "", "", asJSON).Must(t, http.StatusOK)

	// A key's scopes are the guard's business, see the scenarios in test; nobody and no other page may.
	f.Add(site.UserAPIKey{UserID: fakesite.Alice.ID, Scopes: userkeys.Scopes{"write"}, CreatedAt: fakesite.Now})
	send(http.MethodPost, "/do-not-disturb.json", "", "key-6", `{"duration":60}`, asJSON).Must(t, http.StatusOK)
	until("2026-11-22T13:00:00.000Z")
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/do-not-disturb.json", Body: `{"duration":60}`}).Must(t, http.StatusForbidden)
	f.Do(fakesite.Call{Method: http.MethodPost, Path: "/do-not-disturb.json", As: "alice", Body: `{"duration":5}`, Header: map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site", "X-CSRF-Token": "token-of-alice"}}).Must(t, http.StatusForbidden)
	f.Do(fakesite.Call{Method: http.MethodDelete, Path: "/do-not-disturb.json", As: "alice"}).Must(t, http.StatusForbidden)
	until("2026-11-22T13:00:00.000Z")

	// It is over by itself.
	if err := f.Config.Users.(notify.Store).SetQuiet(t.Context(), fakesite.Alice.ID, fakesite.Now.Add(-time.Second), fakesite.Now); err != nil {
		t.Fatal(err)
	}
	until("")
}
