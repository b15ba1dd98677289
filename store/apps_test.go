package store_test

import (
	"database/sql"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
	"userkeys/store"
)

// The apps of a user come in pages, in an order in which none is twice or missing.
func TestAppsAreListedInPages(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		named := func(id, name string, more ...func(*site.Grant)) site.UserAPIKey {
			return w.key(ada, id, append(more, func(g *site.Grant) { g.Key.ApplicationName = name })...)
		}
		k1 := named("a", "Bird notifier", func(g *site.Grant) {
			g.Destination, g.Caller.Device = "https://birds.example", "Firefox on Android"
		})
		k2, k3 := named("b", "\u00dcbersicht 100%"), named("c", "read_later")
		k4 := named("d", "Ending", func(g *site.Grant) { g.Key.ExpiresAt = noon.Add(time.Hour) })
		k5 := named("e", "Gone")
		w.key(bob, "a")
		w.revoke(site.RevokedByOwner, k5.ID)
		w.ok(w.RecordUses(w.ctx, []site.KeyUse{
			{KeyID: k1.ID, LastUsedAt: noon.Add(3 * time.Minute)}, {KeyID: k3.ID, LastUsedAt: noon.Add(2 * time.Minute)},
		}))
		late := noon.Add(2 * time.Hour) // k4 is over
		for _, test := range []struct {
			name   string
			filter site.AppFilter
			want   []int64
			found  int64
			page   int
		}{
			{"live, newest first", site.AppFilter{Now: noon}, []int64{k4.ID, k3.ID, k2.ID, k1.ID}, 4, 1},
			{"first page", site.AppFilter{Now: noon, Limit: 3}, []int64{k4.ID, k3.ID, k2.ID}, 4, 1},
			{"second page", site.AppFilter{Now: noon, Limit: 3, Page: 2}, []int64{k1.ID}, 4, 2},
			{"past the end", site.AppFilter{Now: noon, Limit: 3, Page: 99}, []int64{k1.ID}, 4, 2},
			{"longest unused first", site.AppFilter{Now: noon, LongestFirst: true}, []int64{k2.ID, k4.ID, k3.ID, k1.ID}, 4, 1},
			{"its second page", site.AppFilter{Now: noon, LongestFirst: true, Limit: 2, Page: 2}, []int64{k3.ID, k1.ID}, 4, 2},
			{"not used lately", site.AppFilter{Now: noon, UnusedSince: noon.Add(150 * time.Second)}, []int64{k4.ID, k3.ID, k2.ID}, 3, 1},
			{"ended", site.AppFilter{Now: noon, Ended: true}, []int64{k5.ID}, 1, 1},
			{"ended, the last first", site.AppFilter{Now: late, Ended: true}, []int64{k4.ID, k5.ID}, 2, 1},
			{"one of them", site.AppFilter{Now: late, Ended: true, KeyID: k5.ID}, []int64{k5.ID}, 1, 1},
			{"a live one is not among them", site.AppFilter{Now: late, Ended: true, KeyID: k1.ID}, nil, 0, 1},
			{"by name", site.AppFilter{Now: noon, Text: "BIRD"}, []int64{k1.ID}, 1, 1},
			{"by browser", site.AppFilter{Now: noon, Text: "android"}, []int64{k1.ID}, 1, 1},
			{"by destination", site.AppFilter{Now: noon, Text: "birds.example"}, []int64{k1.ID}, 1, 1},
			{"letters beyond ASCII", site.AppFilter{Now: noon, Text: "\u00fcBERsicht"}, []int64{k2.ID}, 1, 1},
			{"a percent sign is one", site.AppFilter{Now: noon, Text: "0%"}, []int64{k2.ID}, 1, 1},
			{"a line below is one", site.AppFilter{Now: noon, Text: "d_l"}, []int64{k3.ID}, 1, 1},
			{"nothing", site.AppFilter{Now: noon, Text: "%"}, []int64{k2.ID}, 1, 1},
			{"an apostrophe", site.AppFilter{Now: noon, Text: "' OR 1=1 --~"}, nil, 0, 1},
		} {
			test.filter.UserID = ada.ID
			l := must[site.AppList](w)(w.Apps(w.ctx, test.filter))
			var got []int64
			for _, k := range l.Apps {
				got = append(got, k.ID)
			}
			ended := int64(1)
			if test.filter.Now.Equal(late) {
				ended = 2
			}
			if !slices.Equal(got, test.want) || l.Found != test.found || l.Page != test.page || l.Live+l.Ended != 5 || l.Ended != ended {
				w.Errorf("%s: apps %v, want %v; %d found, page %d of %d, %d live, %d ended", test.name, got, test.want, l.Found, l.Page, l.Pages, l.Live, l.Ended)
			}
		}
		l := must[site.AppList](w)(w.Apps(w.ctx, site.AppFilter{UserID: ada.ID, Now: noon, Text: "bird"}))
		if a := l.Apps[0]; a.Destination != "https://birds.example" || a.ApprovedWith != "Firefox on Android" || a.ClientID != "a" || !a.Used() {
			w.Errorf("kept as %+v", a)
		}
	})
}

// A user with many keys reads any page of them in a moment. The times are promised with USERKEYS_LONG, and printed else.
func TestManyApps(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		const many = 10_001
		s := dbtest.Open(t, db, d)
		u := makeUser(t, s, "ada")
		hash := "CAST(CAST(n AS TEXT) AS BLOB)"
		if d == store.Postgres {
			hash = "CAST(CAST(n AS TEXT) AS BYTEA)"
		}
		const numbers = "WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < %d) "
		mustExec(t, db, fmt.Sprintf("INSERT INTO userkeys_clients (client_id, application_name, public_key, auth_redirect, scopes, created_at) "+
			numbers+"SELECT 'c' || n, '', '', '', '', 0 FROM t", 2*many))
		// Every second one is ended.
		mustExec(t, db, fmt.Sprintf("INSERT INTO userkeys_keys (user_id, client, hash, hash_kind, application_name, scopes, push_url, created_at, expires_at, revoked_at, revoked_by) "+
			numbers+"SELECT %d, n, "+hash+", 1, 'App ' || n, 'read', '', n, 0, CASE WHEN n %% 2 = 0 THEN n ELSE 0 END, CASE WHEN n %% 2 = 0 THEN 'owner' ELSE '' END FROM t", 2*many, u.ID))
		mustExec(t, db, "INSERT INTO userkeys_key_uses (key_id, last_used_at) SELECT id, created_at + 5000000 - created_at * 2 FROM userkeys_keys")
		last := (many + site.AppsPerPage - 1) / site.AppsPerPage
		for _, test := range []struct {
			name   string
			filter site.AppFilter
			first  string
		}{
			{"first page", site.AppFilter{}, "App 20001"},
			{"a page in the middle", site.AppFilter{Page: 100}, "App 10101"},
			{"last page", site.AppFilter{Page: last}, "App 1"},
			{"longest unused first", site.AppFilter{LongestFirst: true}, "App 20001"},
			{"longest unused first, last page", site.AppFilter{LongestFirst: true, Page: last}, "App 1"},
			{"search", site.AppFilter{Text: "app 100"}, "App 10099"},
			{"search in vain", site.AppFilter{Text: "no such app"}, ""},
			{"ended", site.AppFilter{Ended: true, Page: 3}, "App 19802"},
		} {
			test.filter.UserID, test.filter.Now = u.ID, at
			began := time.Now()
			l, err := s.Apps(t.Context(), test.filter)
			took := time.Since(began)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if len(l.Apps) > 0 {
				got = l.Apps[0].ApplicationName
			}
			if got != test.first || l.Live != many || len(l.Apps) > site.AppsPerPage {
				t.Errorf("%s: begins with %q, want %q; %d live, %d shown", test.name, got, test.first, l.Live, len(l.Apps))
			}
			t.Logf("%-32s %v", test.name, took.Round(100*time.Microsecond))
			if took > 100*time.Millisecond && os.Getenv("USERKEYS_LONG") != "" {
				t.Errorf("%s: took %v", test.name, took)
			}
		}
	})
}

// A visit ends after half an hour, and what the user did not see before it is new until then.
func TestVisitApps(t *testing.T) {
	each(t, func(w *world) {
		ada, bob := w.user("ada"), w.user("bob")
		visit := func(id int64, after time.Duration, want time.Duration) {
			w.Helper()
			got := must[time.Time](w)(w.VisitApps(w.ctx, id, noon.Add(after)))
			if want < 0 && !got.IsZero() || want >= 0 && !got.Equal(micro(noon.Add(want))) {
				w.Errorf("a visit after %s: the one before ended at %v", after, got)
			}
		}
		never := time.Duration(-1)
		visit(ada.ID, 0, never)
		visit(ada.ID, 10*time.Second, never) // too soon to be written
		visit(ada.ID, 20*time.Minute, never)
		visit(ada.ID, 40*time.Minute, never) // one long visit
		visit(ada.ID, 100*time.Minute, 40*time.Minute)
		visit(ada.ID, 101*time.Minute, 40*time.Minute)
		visit(ada.ID, 99*time.Minute, 40*time.Minute) // another node's clock is behind
		visit(bob.ID, 99*time.Minute, never)
		visit(777, 0, never) // no user of the store
		visit(777, 100*time.Minute, never)
		for range 3 {
			w.together(4, func(int) error { _, err := w.VisitApps(w.ctx, bob.ID, noon.Add(200*time.Minute)); return err })
		}
		visit(bob.ID, 201*time.Minute, 99*time.Minute)
	})
}
