package notify_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
	"userkeys/notify"
	"userkeys/site"
	"userkeys/store"
)

var (
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	system = site.Caller{As: site.CallerSystem}
)

// inbox is one over a store with the users ada (1) and bob (2).
func inbox(t *testing.T) (*notify.Inbox, *store.Store) {
	t.Helper()
	st := dbtest.SQLite(t)
	for _, name := range []string{"ada", "bob"} {
		if _, err := st.CreateUser(t.Context(), site.Account{User: site.User{Username: name, Active: true}}, system); err != nil {
			t.Fatal(err)
		}
	}
	return notify.Open(notify.Config{Store: st, Now: func() time.Time { return noon }}), st
}

func TestAdd(t *testing.T) {
	t.Parallel()
	in, _ := inbox(t)
	// What a caller says of these does not count.
	n := site.Notification{Type: 6, ID: 99, UserID: 2, Read: true, CreatedAt: noon.Add(time.Hour), Data: json.RawMessage("{ \"a\":\n1 }")}
	told, err := in.Add(t.Context(), site.Announcement{Usernames: []string{"ada"}, Notification: n, Caller: system})
	if err != nil || len(told.IDs) != 1 {
		t.Fatal(told, err)
	}
	l, err := in.Page(t.Context(), site.NotificationFilter{UserID: 1, Limit: 1})
	if err != nil || l.Total != 1 || len(l.Notifications) != 1 {
		t.Fatal(l, err)
	}
	if got := l.Notifications[0]; got.ID != told.IDs[0] || got.UserID != 1 || got.Read || !got.CreatedAt.Equal(noon) || string(got.Data) != `{"a":1}` || !got.HighPriority {
		t.Errorf("it is kept as %+v", got)
	}
	for name, c := range map[string]struct {
		to   []string
		n    site.Notification
		code userkeys.Code
	}{
		"nobody":         {nil, site.Notification{Type: 1}, userkeys.InvalidParameters},
		"a thousand one": {make([]string, 1001), site.Notification{Type: 1}, userkeys.InvalidParameters},
		"no type":        {[]string{"ada"}, site.Notification{}, userkeys.InvalidParameters},
		"data cut off":   {[]string{"ada"}, site.Notification{Type: 1, Data: json.RawMessage("{")}, userkeys.InvalidParameters},
		"data is a list": {[]string{"ada"}, site.Notification{Type: 1, Data: json.RawMessage(" []")}, userkeys.InvalidParameters},
		"too much":       {[]string{"ada"}, site.Notification{Type: 1, Data: json.RawMessage(`{"a":"` + strings.Repeat("x", 9000) + `"}`)}, userkeys.InvalidParameters},
		"unknown":        {[]string{"ada", "carol"}, site.Notification{Type: 1}, userkeys.Unprocessable},
	} {
		if _, err := in.Add(t.Context(), site.Announcement{Usernames: c.to, Notification: c.n, Caller: system}); !errors.Is(err, c.code) {
			t.Errorf("%s: %v, want %v", name, err, c.code)
		}
	}
	if l, err := in.Page(t.Context(), site.NotificationFilter{UserID: 1, Limit: 60}); err != nil || l.Total != 1 {
		t.Errorf("something was written: %+v, %v", l, err)
	}
}

// TestPages: a page has bounds whoever asks for it.
func TestPages(t *testing.T) {
	t.Parallel()
	in, _ := inbox(t)
	for _, f := range []site.NotificationFilter{{Limit: 0}, {Limit: -1}, {Limit: 61}, {Limit: 1, Offset: -1}, {Limit: 1, Offset: 10_001}} {
		f.UserID = 1
		if _, err := in.Page(t.Context(), f); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("page %+v: %v", f, err)
		}
		if _, err := in.Recent(t.Context(), f, false); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("recent %+v: %v", f, err)
		}
	}
	if _, err := in.Page(t.Context(), site.NotificationFilter{UserID: 3, Limit: 1}); !errors.Is(err, userkeys.NotFound) {
		t.Errorf("nobody's page: %v", err)
	}
}

// TestRecentWritesOnlyWhatIsNew: reading again and again writes nothing.
func TestRecentWritesOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	in, st := inbox(t)
	if _, err := in.Add(t.Context(), site.Announcement{Usernames: []string{"ada"}, Notification: site.Notification{Type: 1}, Caller: system}); err != nil {
		t.Fatal(err)
	}
	recent := func(silent bool) int64 {
		t.Helper()
		before := st.Statements()
		if _, err := in.Recent(t.Context(), site.NotificationFilter{UserID: 1, Limit: 15}, silent); err != nil {
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

// heard is an inbox over users ada and bob that remembers whose change was told.
func heard(t *testing.T, edit func(*site.Settings)) (*notify.Inbox, *store.Store, *[]int64) {
	t.Helper()
	_, st := inbox(t)
	var who []int64
	return notify.Open(notify.Config{
		Store: st, Now: func() time.Time { return noon }, Origin: "https://site.example", Changed: func(ids ...int64) { who = append(who, ids...) },
		Settings: func() site.Settings {
			s := site.DefaultSettings()
			if edit != nil {
				edit(&s)
			}
			return s
		},
	}), st, &who
}

func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	in, _, who := heard(t, nil)
	told := func(what string, want ...int64) {
		t.Helper()
		if !slices.Equal(*who, want) {
			t.Errorf("after %s %v were told, want %v", what, *who, want)
		}
		*who = nil
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	call := site.Announcement{Usernames: []string{"bob", "ada"}, Message: site.Message{Title: "Hello"}, Caller: system, IdempotencyKey: "k"}
	first, err := in.Add(t.Context(), call)
	ok(err)
	told("a call", 2, 1)
	again, err := in.Add(t.Context(), call)
	ok(err)
	if !again.Repeated || !slices.Equal(again.IDs, first.IDs) {
		t.Errorf("repeated: %+v, first %+v", again, first)
	}
	told("a repeated call")
	_, err = in.Recent(t.Context(), site.NotificationFilter{UserID: 1, Limit: 15}, true)
	ok(err)
	told("a silent look")
	_, err = in.Recent(t.Context(), site.NotificationFilter{UserID: 1, Limit: 15}, false)
	ok(err)
	told("a look", 1)
	ok(in.MarkRead(t.Context(), site.NotificationsToRead{UserID: 1, ID: first.IDs[0]})) // bob's
	told("a mark of nothing")
	ok(in.MarkRead(t.Context(), site.NotificationsToRead{UserID: 1, ID: first.IDs[1]}))
	told("a mark", 1)
	ok(in.MarkRead(t.Context(), site.NotificationsToRead{UserID: 2}))
	told("marking all", 2)
}

func TestAddMessage(t *testing.T) {
	t.Parallel()
	in, _, _ := heard(t, nil)
	ctx := t.Context()
	add := func(a site.Announcement) error {
		a.Usernames, a.Caller = []string{"ada"}, system
		_, err := in.Add(ctx, a)
		return err
	}
	if err := add(site.Announcement{Message: site.Message{Title: "A & B", Excerpt: "two\nlines", Link: "https://site.example/t/1", From: "carol"}}); err != nil {
		t.Fatal(err)
	}
	l, err := in.Page(ctx, site.NotificationFilter{UserID: 1, Limit: 1})
	if err != nil || len(l.Notifications) != 1 {
		t.Fatal(l, err)
	}
	if n := l.Notifications[0]; n.Type != 14 || n.FancyTitle != "A &amp; B" || string(n.Data) != `{"topic_title":"A & B","excerpt":"two lines","url":"https://site.example/t/1","display_username":"carol"}` {
		t.Errorf("it is kept as %+v", n)
	}
	for name, a := range map[string]site.Announcement{
		"a link elsewhere":       {Message: site.Message{Title: "t", Link: "https://evil.example/"}},
		"an address elsewhere":   {Notification: site.Notification{Type: 1, Data: json.RawMessage(`{"url":"https://evil.example/"}`)}},
		"neither type nor title": {Message: site.Message{Excerpt: "e"}},
		"a long key":             {Message: site.Message{Title: "t"}, IdempotencyKey: strings.Repeat("k", 256)},
		"a key of two lines":     {Message: site.Message{Title: "t"}, IdempotencyKey: "a\nb"},
	} {
		if err := add(a); !errors.Is(err, userkeys.InvalidParameters) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l, err := in.Page(ctx, site.NotificationFilter{UserID: 1, Limit: 60}); err != nil || l.Total != 1 {
		t.Errorf("something was written: %+v, %v", l, err)
	}
}

// TestWhoIsNamed: apps show display_username without a look whether it is there.
func TestWhoIsNamed(t *testing.T) {
	t.Parallel()
	title := "Birdwatchers"
	in, _, _ := heard(t, func(s *site.Settings) { s.Title = title })
	for _, tt := range []struct{ name, title, data, want string }{
		{"nobody", "Birdwatchers", `{}`, `{"display_username":"Birdwatchers"}`},
		{"a title beside it", "Birdwatchers", `{"topic_title":"T"}`, `{"topic_title":"T","display_username":"Birdwatchers"}`},
		{"a user", "Birdwatchers", `{"original_username":"bob"}`, `{"original_username":"bob"}`},
		{"who mentioned", "Birdwatchers", `{"mentioned_by_username":"bob"}`, `{"mentioned_by_username":"bob"}`},
		{"a group", "Birdwatchers", `{"group_name":"staff"}`, `{"group_name":"staff"}`},
		{"a site without a title", "", `{}`, `{}`},
		{"a site with a long title", strings.Repeat("x", 255), `{}`, `{"display_username":"` + strings.Repeat("x", 99) + "\u2026" + `"}`},
	} {
		title = tt.title
		_, err := in.Add(t.Context(), site.Announcement{Usernames: []string{"ada"}, Caller: system, Notification: site.Notification{Type: 1, Data: json.RawMessage(tt.data)}})
		if err != nil {
			t.Fatal(tt.name, err)
		}
		l, err := in.Page(t.Context(), site.NotificationFilter{UserID: 1, Limit: 1})
		if err != nil || string(l.Notifications[0].Data) != tt.want {
			t.Errorf("%s: %s, want %s, %v", tt.name, l.Notifications[0].Data, tt.want, err)
		}
	}
}

// asked is a store that tells whether pushes were asked for.
type asked struct {
	notify.Store
	pushes, calls int
}

func (s *asked) AddNotifications(_ context.Context, a site.Announcement) (site.Announced, error) {
	s.calls++
	if a.PushBy != nil {
		s.pushes++
	}
	return site.Announced{}, nil
}

func TestWhatIsPushed(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, c := range map[string]struct {
		kind int
		push *bool
		want int
	}{
		"a mention": {1, nil, 1}, "a like": {5, nil, 0}, "a like that shall be": {5, &yes, 1}, "a mention that shall not": {1, &no, 0},
	} {
		st := &asked{}
		in := notify.Open(notify.Config{Store: st, Settings: site.DefaultSettings})
		a := site.Announcement{Usernames: []string{"ada"}, Notification: site.Notification{Type: c.kind}, Push: c.push, PushBy: &site.Settings{}}
		if _, err := in.Add(t.Context(), a); err != nil || st.calls != 1 || st.pushes != c.want {
			t.Errorf("%s: %d pushed of %d, %v", name, st.pushes, st.calls, err)
		}
	}
}

func TestQuiet(t *testing.T) {
	t.Parallel()
	in, st, who := heard(t, nil)
	for _, c := range []struct {
		name        string
		until, want time.Time
	}{
		{"an hour", noon.Add(time.Hour), noon.Add(time.Hour)},
		{"a week", noon.Add(7 * 24 * time.Hour), noon.Add(7 * 24 * time.Hour)},
		{"what is over", noon, time.Time{}},
		{"an hour again", noon.Add(time.Hour), noon.Add(time.Hour)},
		{"the end", time.Time{}, time.Time{}},
	} {
		if err := in.Quiet(t.Context(), 1, c.until); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got, err := in.State(t.Context(), 1); err != nil || !got.QuietUntil.Equal(c.want) {
			t.Errorf("%s: until %v, want %v: %v", c.name, got.QuietUntil, c.want, err)
		}
	}
	if err := in.Quiet(t.Context(), 1, noon.Add(7*24*time.Hour+time.Second)); !errors.Is(err, userkeys.InvalidParameters) {
		t.Errorf("more than a week: %v", err)
	}
	if err := in.Quiet(t.Context(), 99, noon.Add(time.Hour)); !errors.Is(err, userkeys.NotFound) {
		t.Errorf("nobody: %v", err)
	}
	if state, err := st.InboxState(t.Context(), 1); err != nil || state.Version != 0 || len(*who) != 0 {
		t.Errorf("it counts as a change: %+v, %v, %v", state, *who, err)
	}
}

func TestPurgeBySetting(t *testing.T) {
	t.Parallel()
	days := 0
	in, st, _ := heard(t, func(s *site.Settings) { s.NotificationRetentionDays = days })
	for _, age := range []int{0, 29, 31} {
		n := site.Notification{Type: 1, Data: json.RawMessage("{}"), CreatedAt: noon.AddDate(0, 0, -age)}
		if _, err := st.AddNotifications(t.Context(), site.Announcement{Usernames: []string{"ada"}, Notification: n, Caller: system}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ days, gone int }{{0, 0}, {365, 0}, {30, 1}, {30, 0}, {1, 1}} {
		days = c.days
		if n, err := in.Purge(t.Context()); err != nil || n != c.gone {
			t.Errorf("at %d days %d went, want %d: %v", c.days, n, c.gone, err)
		}
	}
	if n, err := notify.Open(notify.Config{Store: st}).Purge(t.Context()); err != nil || n != 0 {
		t.Errorf("without settings %d went: %v", n, err)
	}
}

// TestOldNotificationsAreForgotten: once a day, by one node of several.
func TestOldNotificationsAreForgotten(t *testing.T) {
	t.Parallel()
	st := dbtest.SQLite(t)
	if _, err := st.CreateUser(t.Context(), site.Account{User: site.User{Username: "ada", Active: true}}, system); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		settings := site.DefaultSettings()
		if err := settings.Set("notification_retention_days", "2"); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		in := notify.Open(notify.Config{Store: st, Settings: func() site.Settings { return settings }})
		for range 3 {
			node := notify.Open(notify.Config{Store: st, Jobs: st, Settings: func() site.Settings { return settings }})
			go func() { _ = node.Run(ctx) }()
		}
		synctest.Wait()
		left := func() int {
			l, err := in.Page(ctx, site.NotificationFilter{UserID: 1, Limit: 60})
			if err != nil {
				t.Fatal(err)
			}
			return l.Total
		}
		for range 3 { // a day apart: the first is two days old when the third comes
			if _, err := in.Add(ctx, site.Announcement{Usernames: []string{"ada"}, Notification: site.Notification{Type: 1}, Caller: system}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24*time.Hour + 15*time.Minute)
		}
		if n := left(); n != 2 {
			t.Errorf("%d are left of three, want 2", n)
		}
		time.Sleep(10 * 24 * time.Hour)
		if n := left(); n != 0 {
			t.Errorf("%d are left after ten days", n)
		}
		stop()
		synctest.Wait()
	})
}
