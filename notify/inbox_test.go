package notify_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/notify"
	"userkeys/store"
	"userkeys/store/storetest"
)

var (
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	system = userkeys.Actor{Kind: userkeys.ActorSystem}
)

// inbox is one over a store with the users ada (1) and bob (2).
func inbox(t *testing.T) (*notify.Inbox, *store.Store) {
	t.Helper()
	st := storetest.SQLite(t)
	for _, name := range []string{"ada", "bob"} {
		if _, err := st.CreateUser(t.Context(), userkeys.Account{User: userkeys.User{Username: name, Active: true}}, system); err != nil {
			t.Fatal(err)
		}
	}
	return notify.New(notify.Config{Store: st, Now: func() time.Time { return noon }}), st
}

func TestAdd(t *testing.T) {
	t.Parallel()
	in, _ := inbox(t)
	// What a caller says of these does not count.
	n := userkeys.Notification{Type: 6, ID: 99, UserID: 2, Read: true, CreatedAt: noon.Add(time.Hour), Data: json.RawMessage("{ \"a\":\n1 }")}
	told, err := in.Add(t.Context(), userkeys.Announcement{Usernames: []string{"ada"}, Notification: n, Actor: system})
	if err != nil || len(told.IDs) != 1 {
		t.Fatal(told, err)
	}
	l, err := in.Page(t.Context(), userkeys.NotificationFilter{UserID: 1, Limit: 1})
	if err != nil || l.Total != 1 || len(l.Notifications) != 1 {
		t.Fatal(l, err)
	}
	if got := l.Notifications[0]; got.ID != told.IDs[0] || got.UserID != 1 || got.Read || !got.CreatedAt.Equal(noon) || string(got.Data) != `{"a":1}` || !got.HighPriority {
		t.Errorf("it is kept as %+v", got)
	}
	for name, c := range map[string]struct {
		to   []string
		n    userkeys.Notification
		code userkeys.Code
	}{
		"nobody":         {nil, userkeys.Notification{Type: 1}, userkeys.InvalidParameters},
		"a thousand one": {make([]string, 1001), userkeys.Notification{Type: 1}, userkeys.InvalidParameters},
		"no type":        {[]string{"ada"}, userkeys.Notification{}, userkeys.InvalidParameters},
		"data cut off":   {[]string{"ada"}, userkeys.Notification{Type: 1, Data: json.RawMessage("{")}, userkeys.InvalidParameters},
		"data is a list": {[]string{"ada"}, userkeys.Notification{Type: 1, Data: json.RawMessage(" []")}, userkeys.InvalidParameters},
		"too much":       {[]string{"ada"}, userkeys.Notification{Type: 1, Data: json.RawMessage(`{"a":"` + strings.Repeat("x", 9000) + `"}`)}, userkeys.InvalidParameters},
		"unknown":        {[]string{"ada", "carol"}, userkeys.Notification{Type: 1}, userkeys.Unprocessable},
	} {
		if _, err := in.Add(t.Context(), userkeys.Announcement{Usernames: c.to, Notification: c.n, Actor: system}); !errors.Is(err, c.code) {
			t.Errorf("%s: %v, want %v", name, err, c.code)
		}
	}
	if l, err := in.Page(t.Context(), userkeys.NotificationFilter{UserID: 1, Limit: 60}); err != nil || l.Total != 1 {
		t.Errorf("something was written: %+v, %v", l, err)
	}
}

// TestPages: a page has bounds whoever asks for it.
func TestPages(t *testing.T) {
	t.Parallel()
	in, _ := inbox(t)
	for _, f := range []userkeys.NotificationFilter{{Limit: 0}, {Limit: -1}, {Limit: 61}, {Limit: 1, Offset: -1}, {Limit: 1, Offset: 10_001}} {
		f.UserID = 1
		if _, err := in.Page(t.Context(), f); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("page %+v: %v", f, err)
		}
		if _, err := in.Recent(t.Context(), f, false); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("recent %+v: %v", f, err)
		}
	}
	if _, err := in.Page(t.Context(), userkeys.NotificationFilter{UserID: 3, Limit: 1}); !errors.Is(err, userkeys.NotFound) {
		t.Errorf("nobody's page: %v", err)
	}
}

// TestRecentWritesOnlyWhatIsNew: reading again and again writes nothing.
func TestRecentWritesOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	in, st := inbox(t)
	if _, err := in.Add(t.Context(), userkeys.Announcement{Usernames: []string{"ada"}, Notification: userkeys.Notification{Type: 1}, Actor: system}); err != nil {
		t.Fatal(err)
	}
	recent := func(silent bool) int64 {
		t.Helper()
		before := st.Statements()
		if _, err := in.Recent(t.Context(), userkeys.NotificationFilter{UserID: 1, Limit: 15}, silent); err != nil {
			t.Fatal(err)
		}
		return st.Statements() - before
	}
	quiet, first, again := recent(true), recent(false), recent(false)
	if first <= quiet || again != quiet {
		t.Errorf("statements: %d silently, %d at first, %d again", quiet, first, again)
	}
	counts, err := in.Counts(t.Context(), 1)
	if err != nil || counts.New != 0 || counts.SeenID == 0 {
		t.Errorf("%+v, %v", counts, err)
	}
}
