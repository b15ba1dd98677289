package authority_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
	"userkeys/store"
)

var administrator = site.Caller{User: site.User{ID: 99, Admin: true}}

func (d *testSite) adminKey(username string) (string, site.AdminAPIKey) {
	d.t.Helper()
	text, k, err := d.CreateAdminKey(d.t.Context(), site.NewAdminAPIKey{Description: "for a test", Username: username}, administrator)
	if err != nil {
		d.t.Fatal(err)
	}
	return text.Reveal(), k
}

func TestCheckAdminKey(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	d.Authority = newQuickAdmin(t, d) // the table is longer than a minute allows
	d.user("gone", func(u *site.User) { u.SuspendedAt = d.clock.now() })
	d.user("asleep", func(u *site.User) { u.Active = false })
	d.user("mail", func(u *site.User) { u.Email = "mail@example.org" })
	any, anyKey := d.adminKey("")
	one, oneKey := d.adminKey(" ALICE ")
	gone, _ := d.adminKey("gone")
	revoked, revokedKey := d.adminKey("")
	if err := d.RevokeAdminKey(t.Context(), revokedKey.ID, administrator); err != nil {
		t.Fatal(err)
	}
	hash := userkeys.Key(any).Hash()
	userKey, _ := d.grant(d.alice, request())
	const invalid, named = "invalid admin API key", "invalid Api-Username"
	for _, tt := range []struct {
		name, key, username string
		reason              string // empty: it is good
		as                  string
		id                  int64
	}{
		{name: "as anybody", key: any, username: "alice", as: "alice", id: anyKey.ID},
		{name: "W11 names are compared without case", key: any, username: "aLiCe", as: "alice", id: anyKey.ID},
		{name: "as the one user, not named", key: one, as: "alice", id: oneKey.ID},
		{name: "as the one user, named", key: one, username: "Alice", as: "alice", id: oneKey.ID},
		{name: "as another than the one user", key: one, username: "mail", reason: named},
		{name: "as anybody, without a name", key: any, reason: named},
		{name: "an unknown user", key: any, username: "nobody", reason: named},
		{name: "an address is no name", key: any, username: "mail@example.org", reason: named},
		{name: "a name that is no text", key: any, username: "a\x00b", reason: named},
		{name: "a name of 10 KB", key: any, username: strings.Repeat("a", 10_000), reason: named},
		{name: "KU9 a suspended user", key: any, username: "gone", reason: named},
		{name: "KU9 an inactive user", key: any, username: "asleep", reason: named},
		{name: "KU9 a suspended user's own", key: gone, reason: named},
		{name: "revoked", key: revoked, username: "alice", reason: invalid},
		{name: "unknown", key: strings.Repeat("0", 64), username: "alice", reason: invalid},
		{name: "empty", reason: invalid},
		{name: "KU1 upper case", key: strings.ToUpper(any), username: "alice", reason: invalid},
		{name: "KU1 63 digits", key: any[1:], username: "alice", reason: invalid},
		{name: "KU1 65 digits", key: any + "0", username: "alice", reason: invalid},
		{name: "KU1 no digits", key: strings.Repeat("g", 64), username: "alice", reason: invalid},
		{name: "KU1 10 KB", key: strings.Repeat("0", 10_000), username: "alice", reason: invalid},
		{name: "KU13 the stored hash", key: hexOf(hash), username: "alice", reason: invalid},
		{name: "a user's key", key: userKey.Reveal(), username: "alice", reason: invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u, k, err := d.CheckAdminKey(t.Context(), tt.key, tt.username)
			id := k.ID
			if tt.reason == "" {
				if err != nil || u.Username != tt.as || id != tt.id {
					t.Errorf("%s, %d, %v", u.Username, id, err)
				}
				return
			}
			e := userkeys.AsError(err)
			if e.Code != userkeys.InvalidAccess || e.Reason != tt.reason || u.ID != 0 || id != 0 {
				t.Errorf("%+v, %d, %v", u, id, err)
			}
			if tt.reason == invalid && err != error(site.ErrInvalidAdminKey) {
				t.Errorf("the refusal of a key that is no key can be told apart: %v", err)
			}
			if !strings.HasPrefix(e.Public, userkeys.NotPermitted) || e.Public == userkeys.ErrInvalidKey.Public {
				t.Errorf("W11 the text is %q", e.Public)
			}
		})
	}
	// No key for users' requests.
	if _, err := d.Check(t.Context(), site.Call{Key: any, Method: "GET", Path: "/x"}); !errors.Is(err, userkeys.ErrInvalidKey) {
		t.Errorf("an admin API key as a user's: %v", err)
	}
}

// newQuickAdmin is d's authority with a high limit.
func newQuickAdmin(t *testing.T, d *testSite) *authority.Authority {
	t.Helper()
	a, err := authority.New(t.Context(), authority.ConfigOf(d.store, func(c *authority.Config) {
		c.Now, c.Pinned = d.clock.now, map[string]string{"max_admin_api_reqs_per_minute": "60000"}
	}))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func hexOf(h userkeys.KeyHash) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range h {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func TestAdminKeyCountsAtOnce(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	text, k := d.adminKey("")
	check := func() error { _, _, err := d.CheckAdminKey(t.Context(), text, "alice"); return err }
	if err := check(); err != nil {
		t.Fatal(err)
	}
	// What another process does is seen by the next request, without Run.
	u := d.alice
	u.SuspendedAt = d.clock.now()
	root := d.user("root", func(u *site.User) { u.Admin = true })
	if err := d.store.UpdateUser(t.Context(), u, site.Caller{User: root}.At(d.clock.now())); err != nil {
		t.Fatal(err)
	}
	if err := check(); !errors.Is(err, userkeys.InvalidAccess) {
		t.Errorf("KU9 suspended: %v", err)
	}
	if err := d.store.UpdateUser(t.Context(), d.alice, site.Caller{User: root}.At(d.clock.now())); err != nil {
		t.Fatal(err)
	}
	if err := check(); err != nil {
		t.Errorf("no longer suspended: %v", err)
	}
	if err := d.store.RevokeAdminKey(t.Context(), k.ID, site.Caller{User: root}.At(d.clock.now())); err != nil {
		t.Fatal(err)
	}
	if err := check(); err != error(site.ErrInvalidAdminKey) {
		t.Errorf("revoked: %v", err)
	}
}

func TestAdminKeyLimit(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	if err := d.ChangeSetting(t.Context(), "max_admin_api_reqs_per_minute", "3", administrator); err != nil {
		t.Fatal(err)
	}
	text, _ := d.adminKey("")
	other, _ := d.adminKey("")
	refused, revoked := d.adminKey("")
	if err := d.RevokeAdminKey(t.Context(), revoked.ID, administrator); err != nil {
		t.Fatal(err)
	}
	check := func(key, name string) error { _, _, err := d.CheckAdminKey(t.Context(), key, name); return err }
	for i := range 3 {
		name := "alice"
		if i == 1 {
			name = "nobody" // a wrong name counts: else names could be tried without end
		}
		if err := check(text, name); errors.Is(err, userkeys.RateLimited) {
			t.Fatal(err)
		}
	}
	err := check(text, "alice")
	e := userkeys.AsError(err)
	if e.Code != userkeys.RateLimited || e.LimitCode != "admin_api_key_rate_limit" || e.RetryAfter != time.Minute || e.Reason != "limit: 3 per 60 s" {
		t.Errorf("the fourth request: %+v", e)
	}
	if err := check(other, "alice"); err != nil {
		t.Errorf("another key counts apart: %v", err)
	}
	for range 10 {
		if err := check(refused, "alice"); err != error(site.ErrInvalidAdminKey) {
			t.Fatalf("a revoked key is charged: %v", err)
		}
	}
	// Neither the user's keys nor their undoing share the count, whatever the ids.
	key, granted := d.grant(d.alice, request())
	if _, err := d.Check(t.Context(), site.Call{Key: key.Reveal(), Method: "GET", Path: "/latest.json"}); err != nil {
		t.Errorf("a user's key: %v", err)
	}
	if err := d.Revoke(t.Context(), granted.Key.ID, site.Caller{User: d.alice}); err != nil {
		t.Fatal(err)
	}
	if err := d.UndoRevoke(t.Context(), granted.Key.ID, site.Caller{User: d.alice}); err != nil {
		t.Errorf("undoing: %v", err)
	}
	d.clock.pass(time.Minute)
	if err := check(text, "alice"); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// failingStore fails where it is told to.
type failingStore struct {
	*store.Store
	find, touch error
	locked      bool // writes wait until their context ends
	endless     bool // one had no end
}

func (s *failingStore) AdminKeyByHash(ctx context.Context, h userkeys.KeyHash) (site.AdminAPIKey, error) {
	if s.find != nil {
		return site.AdminAPIKey{}, s.find
	}
	return s.Store.AdminKeyByHash(ctx, h)
}

func (s *failingStore) TouchAdminKey(ctx context.Context, id int64, at time.Time) error {
	if _, ends := ctx.Deadline(); s.locked && ends {
		<-ctx.Done()
		return ctx.Err()
	} else if s.locked {
		s.endless = true
	}
	if s.touch != nil {
		return s.touch
	}
	return s.Store.TouchAdminKey(ctx, id, at)
}

func TestAdminKeyUses(t *testing.T) {
	t.Parallel()
	st := &failingStore{Store: dbtest.SQLite(t)}
	d := newTestSite(t, st.Store, func(cfg *authority.Config) { cfg.Store = st })
	text, k := d.adminKey("alice")
	used := func() time.Duration {
		t.Helper()
		if _, _, err := d.CheckAdminKey(t.Context(), text, ""); err != nil {
			t.Fatal(err)
		}
		keys, err := d.AdminKeys(t.Context(), 0, 0)
		if err != nil || len(keys) != 1 {
			t.Fatal(keys, err)
		}
		return keys[0].LastUsedAt.Sub(k.CreatedAt)
	}
	for _, tt := range []struct {
		pass, want time.Duration
		fail       error
	}{
		{pass: time.Second, want: time.Second},
		{pass: 59 * time.Second, want: time.Second}, // at most once a minute
		{pass: time.Second, want: 61 * time.Second},
		{pass: time.Hour, want: 61 * time.Second, fail: errors.New("disk full")}, // KU18
	} {
		d.clock.pass(tt.pass)
		st.touch = tt.fail
		if got := used(); got != tt.want {
			t.Errorf("used after %v, want %v", got, tt.want)
		}
	}
	// A locked database does not hold the request up.
	d.clock.pass(time.Hour)
	st.touch, st.locked = nil, true
	if got := used(); got != 61*time.Second || st.endless {
		t.Errorf("used after %v; waited without an end: %v", got, st.endless)
	}
	st.find = &userkeys.Error{Code: userkeys.Unavailable, Public: "the site cannot answer right now"}
	if _, _, err := d.CheckAdminKey(t.Context(), text, ""); !errors.Is(err, userkeys.Unavailable) {
		t.Errorf("a database that cannot tell: %v", err)
	}
}

func TestAdminKeyEnds(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	may := site.AdminPermissions{site.AdminAudit, site.AdminUsers} // in another order than the list
	text, made, err := d.CreateAdminKey(t.Context(), site.NewAdminAPIKey{
		Description: "for an hour", Username: "alice", Permissions: may, ExpiresAt: d.clock.now().Add(time.Hour),
	}, administrator)
	if err != nil || made.Permissions.String() != "users,audit" || !made.Narrow() {
		t.Fatalf("%+v, %v", made, err)
	}
	d.clock.pass(time.Hour - time.Microsecond)
	if _, k, err := d.CheckAdminKey(t.Context(), text.Reveal(), ""); err != nil || k.Permissions.String() != "users,audit" || !k.ExpiresAt.Equal(made.ExpiresAt) {
		t.Errorf("before its end: %+v, %v", k, err)
	}
	d.clock.pass(time.Microsecond)
	if _, _, err := d.CheckAdminKey(t.Context(), text.Reveal(), ""); err != error(site.ErrInvalidAdminKey) {
		t.Errorf("at its end: %v", err)
	}
}

func TestIsAdminKey(t *testing.T) {
	t.Parallel()
	st := &failingStore{Store: dbtest.SQLite(t)}
	d := newTestSite(t, st.Store, func(cfg *authority.Config) { cfg.Store = st })
	ours, k := d.adminKey("alice")
	for text, want := range map[string]bool{
		ours: true, " " + ours + "\t": true, site.NewAdminKey().Reveal(): false, strings.ToUpper(ours): false, "": false, ours[1:]: false,
	} {
		if got := d.IsAdminKey(t.Context(), text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	if err := d.RevokeAdminKey(t.Context(), k.ID, administrator); err != nil {
		t.Fatal(err)
	}
	if !d.IsAdminKey(t.Context(), ours) {
		t.Error("it is no key of ours after it was revoked")
	}
	st.find = &userkeys.Error{Code: userkeys.Unavailable, Public: "the site cannot answer right now"}
	if !d.IsAdminKey(t.Context(), site.NewAdminKey().Reveal()) {
		t.Error("what nobody can tell may be a key")
	}
}

func TestCreateAdminKeyRefuses(t *testing.T) {
	t.Parallel()
	d := newTestSite(t, dbtest.SQLite(t))
	for _, tt := range []struct {
		name, description, username string
		by                          site.Caller
		code                        userkeys.Code
		may                         site.AdminPermissions
		ends                        time.Time
	}{
		{name: "no administrator", description: "x", by: site.Caller{User: d.alice}, code: userkeys.InvalidAccess},
		{name: "no description", description: " \n", by: administrator, code: userkeys.MissingParameter},
		{name: "256 bytes", description: strings.Repeat("x", 256), by: administrator, code: userkeys.InvalidParameters},
		{name: "a line end", description: "a\nb", by: administrator, code: userkeys.InvalidParameters},
		{name: "NUL", description: "a\x00b", by: administrator, code: userkeys.InvalidParameters},
		{name: "no UTF-8", description: "a\xffb", by: administrator, code: userkeys.InvalidParameters},
		{name: "an unknown user", description: "x", username: "nobody", by: administrator, code: userkeys.NotFound},
		{name: "an address", description: "x", username: "a@example.org", by: administrator, code: userkeys.NotFound},
		{name: "an unknown permission", description: "x", by: administrator, code: userkeys.InvalidParameters, may: site.AdminPermissions{"everything"}},
		{name: "an end that has passed", description: "x", by: administrator, code: userkeys.InvalidParameters, ends: d.clock.now()},
		{name: "an admin API key", description: "x", by: site.Caller{As: site.CallerAdminKey, User: site.User{ID: 1, Admin: true}, AdminKey: 1}, code: userkeys.InvalidAccess},
		{name: "a user's key", description: "x", by: site.Caller{As: site.CallerKey, User: site.User{ID: 1, Admin: true}}, code: userkeys.InvalidAccess},
	} {
		if _, _, err := d.CreateAdminKey(t.Context(), site.NewAdminAPIKey{Description: tt.description, Username: tt.username, Permissions: tt.may, ExpiresAt: tt.ends}, tt.by); !errors.Is(err, tt.code) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.code)
		}
	}
	if keys, err := d.AdminKeys(t.Context(), 0, 0); err != nil || len(keys) != 0 {
		t.Errorf("%v, %v", keys, err)
	}
	if err := d.RevokeAdminKey(t.Context(), 1, site.Caller{User: d.alice}); !errors.Is(err, userkeys.InvalidAccess) {
		t.Errorf("a user revokes: %v", err)
	}
}
