package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/notify"
	"userkeys/store"
	"userkeys/store/storetest"
)

// withInbox gives the site a real store with the same four users, and an inbox over it.
func withInbox(t *testing.T) option {
	t.Helper()
	st := storetest.SQLite(t)
	for _, u := range []userkeys.User{alice, bob, root, mod} {
		made, err := st.CreateUser(t.Context(), userkeys.Account{User: u}, userkeys.Actor{Kind: userkeys.ActorCommand})
		if err != nil || made.ID != u.ID {
			t.Fatalf("%s has the id %d, want %d: %v", u.Username, made.ID, u.ID, err)
		}
	}
	return func(c *Config) { c.Users, c.Inbox = st, notify.New(st, c.Now) }
}

// inboxSite is a site where alice has keys 1 to 4, bob has 5 and root 6, with an inbox.
func inboxSite(t *testing.T) *fakeSite {
	t.Helper()
	f := withKeys(t)
	with := newSite(t, withInbox(t))
	with.authority.keys, with.authority.texts = f.authority.keys, f.authority.texts
	with.authority.add(userkeys.UserAPIKey{UserID: root.ID, ApplicationName: "Roots", Scopes: userkeys.Scopes{"read"}, CreatedAt: testNow, LastUsedAt: testNow})
	return with
}

func (f *fakeSite) store() *store.Store { return f.server.cfg.Users.(*store.Store) }

// tell adds a notification for somebody and returns its id.
func (f *fakeSite) tell(who string, n userkeys.Notification) int64 {
	f.t.Helper()
	ids, err := f.server.cfg.Inbox.Add(f.t.Context(), []string{who}, n, userkeys.Actor{Kind: userkeys.ActorSystem})
	if err != nil {
		f.t.Fatal(err)
	}
	return ids[0]
}

// decode reads an answer's JSON.
func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.text), &v); err != nil {
		t.Fatalf("%v: %s", err, a.text)
	}
	return v
}

var (
	_ = fmt.Sprint
	_ = http.StatusOK
	_ = strings.Repeat
	_ = time.Now
)
