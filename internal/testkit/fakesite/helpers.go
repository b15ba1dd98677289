package fakesite

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
	"userkeys/notify"
	"userkeys/outbox"
	"userkeys/server"
	"userkeys/server/page"
	"userkeys/site"
	"userkeys/store"
)

// NewWithAdminKeys is a site with users' keys, and admin API keys of root, alice, the moderator and anybody.
func NewWithAdminKeys(t *testing.T) *Site {
	t.Helper()
	f := NewWithKeys(t)
	f.Authority.Add(site.UserAPIKey{
		UserID: Root.ID, ApplicationName: "Roots", Scopes: userkeys.Scopes{"read", "write"},
		CreatedAt: Now, LastUsedAt: Now,
	})
	for _, name := range []string{"root", "alice", "mod", ""} {
		f.Authority.AddAdminKey(name)
	}
	return f
}

// JSONCall is a call with a JSON body.
func JSONCall(method, path, body string) Call {
	return Call{Method: method, Path: path, Body: body, Header: map[string]string{"Content-Type": "application/json"}}
}

// By is c with an admin API key that acts as acts.
func (c Call) By(adminKey, acts string) Call {
	c.AdminKey, c.Acts = adminKey, acts
	return c
}

// NewWithKeys is a site where alice has keys 1 to 4 and bob has 5.
func NewWithKeys(t *testing.T) *Site {
	f := New(t)
	ago := func(days int) time.Time { return Now.Add(-time.Duration(days) * page.Day) }
	for _, k := range []site.UserAPIKey{
		{UserID: 1, ApplicationName: "Old", Scopes: userkeys.Scopes{"read"}, CreatedAt: ago(100), LastUsedAt: ago(40)},
		{
			UserID: 1, ApplicationName: "Never", Scopes: userkeys.Scopes{"read", "push"}, PushURL: "https://push.example/x",
			CreatedAt: ago(50), LastUsedAt: ago(50),
		},
		{
			UserID: 1, ApplicationName: "Fresh<script>\u202e", Scopes: userkeys.Scopes{"read", "write"}, CreatedAt: ago(5),
			LastUsedAt: ago(1), ExpiresAt: ago(-7),
		},
		{
			UserID: 1, ApplicationName: "Gone", Scopes: userkeys.Scopes{"read"}, CreatedAt: ago(3), LastUsedAt: ago(3),
			RevokedAt: ago(0), RevokedBy: site.RevokedByOwner,
		},
		{UserID: 2, ApplicationName: "Bobs", Scopes: userkeys.Scopes{"read"}, CreatedAt: ago(3), LastUsedAt: ago(3)},
	} {
		f.Authority.Add(k)
	}
	return f
}

// Listening serves f's site over real HTTP, with alice signed in.
func (f *Site) Listening(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "session", Value: "alice"})
		f.Handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// NewWithBus is an inboxSite with a message bus.
func NewWithBus(t *testing.T, options ...Option) *Site {
	t.Helper()
	return NewWithInbox(t, append([]Option{WithBus}, options...)...)
}

// WithBus gives a site a bus over its inbox's store: it is made when that is known.
func WithBus(c *server.Config) {
	c.Bus = notify.NewBus(notify.BusConfig{Store: LateStore{c}})
}

// LateStore is the store of a Config that is not whole yet.
type LateStore struct{ Config *server.Config }

func (s LateStore) store() *store.Store { return s.Config.Users.(*store.Store) }

// InboxState is that of the store.
func (s LateStore) InboxState(ctx context.Context, id int64) (site.Inbox, error) {
	return s.store().InboxState(ctx, id)
}

// InboxVersions is that of the store.
func (s LateStore) InboxVersions(ctx context.Context, ids []int64) (map[int64]int64, error) {
	return s.store().InboxVersions(ctx, ids)
}

// Notifications is that of the store.
func (s LateStore) Notifications(ctx context.Context, f site.NotificationFilter) ([]site.Notification, error) {
	return s.store().Notifications(ctx, f)
}

// WithInbox gives the site a real store with the same four users, and an inbox over it.
func WithInbox(t *testing.T) Option {
	t.Helper()
	st := dbtest.SQLite(t)
	for _, u := range []site.User{Alice, Bob, Root, Mod} {
		made, err := st.CreateUser(t.Context(), site.Account{User: u}, site.Caller{As: site.CallerCommand})
		if err != nil || made.ID != u.ID {
			t.Fatalf("%s has the id %d, want %d: %v", u.Username, made.ID, u.ID, err)
		}
	}
	return func(c *server.Config) { c.Users, c.Inbox = st, notify.Open(notify.Config{Store: st, Now: c.Now}) }
}

// NewWithInbox is a site where alice has keys 1 to 4 and bob has 5, with an inbox.
func NewWithInbox(t *testing.T, options ...Option) *Site {
	t.Helper()
	with := New(t, append(options, WithInbox(t))...)
	for _, k := range NewWithKeys(t).Authority.UserKeys {
		with.Authority.Add(k)
	}
	return with
}

// Tell adds a notification for somebody and returns its id.
func (f *Site) Tell(who string, n site.Notification) int64 {
	f.T.Helper()
	told, err := f.Config.Inbox.Add(f.T.Context(),
		site.Announcement{Usernames: []string{who}, Notification: n, Caller: site.Caller{As: site.CallerSystem}})
	if err != nil {
		f.T.Fatal(err)
	}
	return told.IDs[0]
}

// Put sends a PUT as a script of the site itself does for a user, or an app with a key. The body is a form if it begins
// as one, and else JSON.
func (f *Site) Put(path, as, key, body string) Answer {
	f.T.Helper()
	h := map[string]string{"Content-Type": "application/json"}
	if formBody.MatchString(body) {
		h["Content-Type"] = "application/x-www-form-urlencoded"
	}
	if key == "" {
		h["Origin"], h["Sec-Fetch-Site"], h["X-CSRF-Token"] = "https://site.example", "same-origin", "token-of-"+as
	}
	return f.Do(Call{Method: http.MethodPut, Path: path, As: as, Key: key, Body: body, Header: h})
}

var formBody = regexp.MustCompile(`^[a-z_]+=`)

// Decode reads an answer's JSON.
func Decode[T any](t *testing.T, a Answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.Text), &v); err != nil {
		t.Fatalf("%v: %s", err, a.Text)
	}
	return v
}

// Listed is what a list answers, as an app reads it.
type Listed struct {
	Notifications []struct {
		ID   int64
		Read bool
	}
	Total int    `json:"total_rows_notifications"`
	Seen  *int64 `json:"seen_notification_id"`
	More  string `json:"load_more_notifications"`
}

// IDs are the ids of the notifications.
func (l Listed) IDs() []int64 {
	var out []int64
	for _, n := range l.Notifications {
		out = append(out, n.ID)
	}
	return out
}

// NotifyAs posts to the admin API as a page of the site does.
func (f *Site) NotifyAs(as, body string, header ...string) Answer {
	f.T.Helper()
	h := map[string]string{"Content-Type": "application/json", "X-CSRF-Token": "token-of-" + as}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return f.Do(Call{Method: http.MethodPost, Path: "/admin/notifications.json", As: as, Body: body, Header: h})
}

// pushedAt is the push URL of the keys that [NewWithPushed] adds.
const pushedAt = "https://push.example/hook"

// NewWithPushed is [NewWithKeys] where alice has more keys, 6 to 14, that notifications are pushed to.
func NewWithPushed(t *testing.T) *Site {
	t.Helper()
	f := NewWithKeys(t)
	f.Authority.Set("allowed_user_api_push_urls", pushedAt)
	for _, k := range pushedKeys() {
		made := f.Authority.Add(site.UserAPIKey{
			UserID: Alice.ID, ApplicationName: k.name, Scopes: k.scopes, PushURL: k.url, CreatedAt: ago(page.Day),
			LastUsedAt: ago(page.Day), RevokedAt: k.revoked,
		})
		if k.state != (outbox.KeyState{}) {
			f.Pushes.States[made.ID] = k.state
		}
	}
	return f
}

func ago(d time.Duration) time.Time { return Now.Add(-d) }

// pushedKey is a key, and how pushing to it goes.
type pushedKey struct {
	name, url string
	scopes    userkeys.Scopes
	state     outbox.KeyState
	revoked   time.Time
}

// pushedKeys are keys in all states that the pages show.
func pushedKeys() []pushedKey {
	const at = pushedAt
	both := userkeys.Scopes{"notifications", "push"}
	return []pushedKey{
		{name: "Untold", url: at, scopes: both},
		{name: "Works", url: at, scopes: both, state: outbox.KeyState{
			DeliveredAt: ago(2 * time.Minute),
			FailedAt:    ago(page.Day), Problem: outbox.ProblemTimeout,
		}},
		{name: "Fails", url: at, scopes: both, state: outbox.KeyState{
			DeliveredAt: ago(2 * page.Day),
			FailedAt:    ago(time.Minute), FailingSince: ago(3 * time.Hour), Problem: "status 503",
		}},
		{name: "Off", url: at, scopes: both, state: outbox.KeyState{
			FailedAt:     ago(5 * time.Hour),
			FailingSince: ago(29 * time.Hour), OffAt: ago(5 * time.Hour), Problem: outbox.ProblemGone,
		}},
		{
			name: "Barred", url: "https://elsewhere.example/hook", scopes: both,
			state: outbox.KeyState{DeliveredAt: ago(40 * page.Day)},
		},
		{name: "Unasked", url: at, scopes: userkeys.Scopes{"read"}},
		{name: "Busy", url: at, scopes: both, state: outbox.KeyState{
			DeliveredAt: ago(2 * page.Day),
			FailedAt:    ago(time.Minute), FailingSince: ago(3 * time.Hour), Problem: outbox.ProblemBusy,
		}},
		{name: "Hiccup", url: at, scopes: both, state: outbox.KeyState{
			FailedAt:     ago(time.Minute),
			FailingSince: ago(time.Minute), Problem: "status 503",
		}},
		{
			name: "Ended", url: at, scopes: both, state: outbox.KeyState{OffAt: ago(time.Hour), Problem: outbox.ProblemGone},
			revoked: ago(time.Minute),
		},
	}
}

// With is c with headers, without is c without its token.
func With(c Call, nameValues ...string) Call {
	c.Header = map[string]string{}
	for i := 0; i+1 < len(nameValues); i += 2 {
		c.Header[nameValues[i]] = nameValues[i+1]
	}
	return c
}

// Without is c without its form.
func Without(c Call) Call {
	c.NoToken = true
	return c
}

// ManyDeliveries gives n given-up deliveries and n that wait, newest last.
func (f *fakePushes) ManyDeliveries(n int, host string) {
	for i := range 2 * n {
		d := outbox.Delivery{
			ID: int64(i + 1), UserID: 1, NotificationID: int64(i + 1),
			PushURL: host + "/" + strings.Repeat("p", 100), Host: host, CreatedAt: Now, QueuedAt: Now,
			NextAt: Now.Add(time.Hour),
		}
		if i%2 == 0 {
			d.DeadAt, d.Problem, d.Attempt = Now, outbox.ProblemTLS, 9
		}
		f.Queue = append(f.Queue, d)
	}
}

// PushWatch notes of each announcement whether it is to be pushed.
type PushWatch struct {
	notify.Store
	Pushed *[]bool
}

// AddNotifications is that of the store.
func (s PushWatch) AddNotifications(ctx context.Context, a site.Announcement) (site.Announced, error) {
	*s.Pushed = append(*s.Pushed, a.PushBy != nil)
	return s.Store.AddNotifications(ctx, a)
}

// Concrete is a request that a route's pattern stands for.
func Concrete(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.NewReplacer("{$}", "", "{username}", "alice", "{name}", "style.css", "{id}", "1").Replace(path)
}

// FormFor is the form that a request by a method has.
func FormFor(method string) map[string]string {
	if method == http.MethodPost {
		return map[string]string{}
	}
	return nil
}

// Do2 is what a path answers to nobody, unchecked.
func (f *Site) Do2(path string) string {
	w := httptest.NewRecorder()
	f.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Body.String()
}

// OnlyVisitors is an embedder's identity: it has no accounts.
type OnlyVisitors struct{ F *fakeIdentity }

// Visitor is that of F.
func (o OnlyVisitors) Visitor(r *http.Request) (site.Caller, error) {
	return o.F.Visitor(r)
}

// LoginURL is at the website.
func (o OnlyVisitors) LoginURL(back string) string {
	return "https://site.example/in?to=" + back
}
