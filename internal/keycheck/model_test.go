package keycheck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"userkeys"
	"userkeys/internal/limit"
	"userkeys/site"
)

// world is a site with a few keys: the store that a checker asks, and what the checker has to answer. It keeps every
// request that passed, and counts anew each time.
type world struct {
	Store
	now      time.Time
	keys     []*worldKey
	users    [2]worldUser
	settings map[string]string
	changes  site.Changes
	tell     func(site.Changes)
	down     bool
	written  map[int64]site.KeyUse
}

type worldKey struct {
	site.UserAPIKey
	text     userkeys.Key
	before   []userkeys.Key // the keys before each renewal, the last one at the end
	passed   []time.Time
	lastUsed time.Time
}

type worldUser struct {
	name   string
	passed []time.Time
}

var errDown = errors.New("the database is down")

func (w *world) KeyByHash(_ context.Context, h userkeys.KeyHash) (site.StoredKey, error) {
	if w.down {
		return site.StoredKey{}, errDown
	}
	for _, k := range w.keys {
		if h == k.Hash || h == k.OldHash {
			u := w.users[k.UserID]
			return site.StoredKey{
				UserAPIKey: k.UserAPIKey, Day: w.written[k.ID].Day,
				Owner: site.User{ID: k.UserID, Username: u.name, ExternalID: "x" + u.name, Active: true},
			}, nil
		}
	}
	return site.StoredKey{}, userkeys.Errorf(userkeys.NotFound, "no such key")
}

func (w *world) Changes(context.Context, site.Mark) (site.Changes, error) {
	c := w.changes
	w.changes = site.Changes{}
	return c, nil
}

func (w *world) OnChange(f func(site.Changes))                            { w.tell = f }
func (w *world) SettingValues(context.Context) (map[string]string, error) { return w.settings, nil }
func (w *world) RecordSeen(context.Context, []site.UserSeen) error        { return nil }
func (w *world) RecordUses(_ context.Context, uses []site.KeyUse) error {
	if w.down {
		return errDown
	}
	for _, u := range uses {
		u.Day = slices.Clone(u.Day)
		w.written[u.KeyID] = u
	}
	return nil
}

// change tells of a change, at once or with the next reading of the epoch, as other nodes do.
func (w *world) change(c site.Changes) {
	if w.changes.All = w.changes.All || c.All; c.All {
		w.tell(c)
	}
	w.changes.Hashes = append(w.changes.Hashes, c.Hashes...)
	w.tell(c)
}

const dayStep = 864 * time.Second

func leaves(window limit.Window, passed time.Time) time.Time {
	if window == limit.Minute {
		return passed.Add(time.Minute)
	}
	return passed.Truncate(dayStep).Add(dayStep + 24*time.Hour)
}

// wait returns how long a window refuses one more request.
func (w *world) wait(window limit.Window, passed []time.Time, most int) time.Duration {
	var still []time.Time
	for _, p := range passed {
		if end := leaves(window, p); end.After(w.now) {
			still = append(still, end)
		}
	}
	if len(still) < most {
		return 0
	}
	slices.SortFunc(still, time.Time.Compare)
	return still[len(still)-most].Sub(w.now)
}

func (w *world) limit(name string) int {
	n, _ := strconv.Atoi(w.settings[name])
	return n
}

// refuses returns what the limits have to answer: the code and the wait of the window that refuses longest.
func (w *world) refuses(k *worldKey) (code string, wait time.Duration) {
	for _, window := range []struct {
		code   string
		window limit.Window
		passed []time.Time
		most   string
	}{
		{"user_api_key_limiter_60_secs", limit.Minute, k.passed, "max_user_api_reqs_per_minute"},
		{"user_api_key_limiter_1_day", limit.Day, k.passed, "max_user_api_reqs_per_day"},
		{"user_api_user_limiter_60_secs", limit.Minute, w.users[k.UserID].passed, "max_user_api_reqs_per_user_per_minute"},
		{"user_api_user_limiter_1_day", limit.Day, w.users[k.UserID].passed, "max_user_api_reqs_per_user_per_day"},
	} {
		if d := w.wait(window.window, window.passed, w.limit(window.most)); d > wait {
			code, wait = window.code, min(d, window.window.Length())
			if d > window.window.Length() {
				wait = d // to compare with the others
			}
		}
	}
	return code, wait
}

// good reports whether a text is that of a key that may be used now.
func (w *world) good(k *worldKey, text userkeys.Key) bool {
	return k.Live(w.now) && (text == k.text || text.Hash() == k.OldHash && w.now.Before(k.OldUntil))
}

func (w *world) check(t *rapid.T, ck *Checker, k *worldKey, text userkeys.Key) bool {
	acc, err := ck.Check(t.Context(), site.Call{Key: text.Reveal(), Method: "GET", Path: "/latest.json"})
	if !w.good(k, text) {
		if !errors.Is(err, userkeys.ErrInvalidKey) {
			t.Fatalf("a dead key: %v, %v", acc, err)
		}
		return false
	}
	if code, wait := w.refuses(k); wait > 0 {
		e := userkeys.AsError(err)
		if err == nil || e.LimitCode != code || e.RetryAfter != min(wait, e.RetryAfter) || wait <= 24*time.Hour && e.RetryAfter != wait {
			t.Fatalf("key %d is to be refused by %s for %v: %v, %+v", k.ID, code, wait, acc, err)
		}
		return false
	}
	if err != nil {
		t.Fatalf("key %d: %v", k.ID, err)
	}
	name := w.users[k.UserID].name
	want := userkeys.Access{
		KeyID: k.ID, KeyHash: text.Hash(), ClientID: k.ClientID, UserID: k.UserID, Username: name, ExternalID: "x" + name,
		Standing: &userkeys.Standing{Scopes: userkeys.Scopes{"read"}},
	}
	if diff := cmp.Diff(want, acc); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	k.passed, k.lastUsed = append(k.passed, w.now), w.now
	u := &w.users[k.UserID]
	u.passed = append(u.passed, w.now)
	return true
}

func (w *world) newKey() {
	id := int64(len(w.keys) + 1)
	k := &worldKey{text: userkeys.NewKey("")}
	k.UserAPIKey = site.UserAPIKey{
		ID: id, UserID: id % int64(len(w.users)), ClientID: fmt.Sprint("client-", id), Hash: k.text.Hash(), CreatedAt: w.now,
		Scopes: userkeys.Scopes{"read"},
	}
	w.keys = append(w.keys, k)
}

// TestTableIsTheWorld: what one table holds of keys, their owners and their windows is what a site says and what an
// exact count of every request says, through renewals, revocations, changed settings and names, and whatever the order.
func TestTableIsTheWorld(t *testing.T) {
	t.Parallel()
	catalog, err := userkeys.NewCatalog()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		w := &world{now: time.Unix(0, 0).Add(2_000_000 * dayStep), written: map[int64]site.KeyUse{}}
		w.draw(t)
		for i := range w.users {
			w.users[i].name = fmt.Sprint("user", i)
		}
		for range 3 {
			w.newKey()
		}
		ck, err := New(t.Context(), Config{
			Store: w, Catalog: catalog, Now: func() time.Time { return w.now }, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		key := rapid.Custom(func(t *rapid.T) *worldKey { return rapid.SampledFrom(w.keys).Draw(t, "key") })
		t.Repeat(map[string]func(*rapid.T){
			"check": func(t *rapid.T) {
				k := key.Draw(t, "k")
				for range rapid.IntRange(1, 25).Draw(t, "times") {
					w.check(t, ck, k, k.text)
				}
			},
			"check a key before its renewal": func(t *rapid.T) {
				if k := key.Draw(t, "k"); len(k.before) > 0 {
					w.check(t, ck, k, rapid.SampledFrom(k.before).Draw(t, "before"))
				}
			},
			"wait": func(t *rapid.T) {
				w.now = w.now.Add(time.Duration(rapid.SampledFrom([]int{1, 400, 20_000, 60_000, 864_000, 50_000_000}).Draw(t, "ms")) *
					time.Millisecond)
			},
			"renew": func(t *rapid.T) {
				if k := key.Draw(t, "k"); w.check(t, ck, k, k.text) { // who renews a key uses it
					w.renew(t, k)
					if rapid.Bool().Draw(t, "answer lost") {
						w.check(t, ck, k, k.before[len(k.before)-1])
					}
				}
			},
			"the key before a renewal until its end": func(t *rapid.T) {
				k := key.Draw(t, "k")
				if len(k.before) == 0 || !w.now.Add(time.Second).Before(k.OldUntil) {
					return
				}
				old := k.before[len(k.before)-1]
				for _, until := range []time.Duration{-time.Second, -time.Millisecond, 0} {
					w.now = k.OldUntil.Add(until)
					w.check(t, ck, k, old)
				}
			},
			"renew twice": func(t *rapid.T) {
				k := key.Draw(t, "k")
				for range 2 {
					if w.check(t, ck, k, k.text) {
						w.renew(t, k)
						w.check(t, ck, k, k.before[len(k.before)-1])
					}
				}
			},
			"renew again with the key before": func(t *rapid.T) {
				k := key.Draw(t, "k")
				if len(k.before) > 0 && w.check(t, ck, k, k.before[len(k.before)-1]) {
					w.renewAgain(k)
				}
			},
			"revoke or undo": func(t *rapid.T) {
				k := key.Draw(t, "k")
				if k.RevokedAt.IsZero() {
					k.RevokedAt = w.now
				} else {
					k.RevokedAt = time.Time{}
				}
				w.change(site.Changes{Hashes: []userkeys.KeyHash{k.Hash, k.OldHash}})
			},
			"rename": func(t *rapid.T) {
				id := rapid.IntRange(0, 1).Draw(t, "user")
				w.users[id].name = rapid.SampledFrom([]string{"a", "user-with-a-much-longer-name", "\u00f6\u00e4\u00fc"}).Draw(t, "name")
				for _, k := range w.keys {
					if k.UserID == int64(id) {
						w.change(site.Changes{Hashes: []userkeys.KeyHash{k.Hash}})
					}
				}
			},
			"settings": func(t *rapid.T) {
				w.draw(t)
				w.change(site.Changes{All: true})
			},
			"write": func(t *rapid.T) { w.flush(t, ck) },
			"write in vain": func(t *rapid.T) {
				w.down = true
				_ = ck.Flush(t.Context())
				w.down = false
			},
		})
		w.flush(t, ck)
	})
}

func (w *world) draw(t *rapid.T) {
	number := func(name string, most int) string { return strconv.Itoa(rapid.IntRange(1, most).Draw(t, name)) }
	w.settings = map[string]string{
		"max_user_api_reqs_per_minute": number("minute", 30), "max_user_api_reqs_per_day": number("day", 60),
		"max_user_api_reqs_per_user_per_minute": number("user minute", 50), "max_user_api_reqs_per_user_per_day": number("user day", 90),
	}
}

func (w *world) renew(t *rapid.T, k *worldKey) {
	k.before = append(k.before, k.text)
	k.OldHash, k.OldUntil = k.Hash, w.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "s"))*time.Second)
	k.text = userkeys.NewKey("")
	k.Hash = k.text.Hash()
	w.change(site.Changes{Hashes: []userkeys.KeyHash{k.OldHash}})
}

// renewAgain puts another key in the place of the one that went astray. The key before that keeps its end.
func (w *world) renewAgain(k *worldKey) {
	k.before = append([]userkeys.Key{k.text}, k.before...)
	astray := k.Hash
	k.text = userkeys.NewKey("")
	k.Hash = k.text.Hash()
	w.change(site.Changes{Hashes: []userkeys.KeyHash{astray, k.OldHash}})
}

func (w *world) flush(t *rapid.T, ck *Checker) {
	if err := ck.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, k := range w.keys {
		if u := w.written[k.ID]; !u.LastUsedAt.Equal(k.lastUsed) && !k.lastUsed.IsZero() {
			t.Fatalf("key %d was used at %v, written %v", k.ID, k.lastUsed, u.LastUsedAt)
		}
	}
}
