package store_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
	"userkeys/store"
)

// bigLists are the lists of a user that apps and pages ask for.
func bigLists(user, middle int64) map[string]site.NotificationFilter {
	return map[string]site.NotificationFilter{
		"the first page":       {UserID: user, Limit: 60},
		"a page in the middle": {UserID: user, Limit: 60, Before: middle},
		"above an id":          {UserID: user, Limit: 60, After: middle},
		"unread":               {UserID: user, Limit: 60, Unread: true},
		"unread, urgent first": {UserID: user, Limit: 30, Unread: true, UrgentFirst: true},
		"read":                 {UserID: user, Limit: 60, Read: true},
		"of two types":         {UserID: user, Limit: 60, Types: []int{1, 6}},
		"of a type, unread":    {UserID: user, Limit: 60, Types: []int{3}, Unread: true},
		"of a type, urgent":    {UserID: user, Limit: 30, Types: []int{6}, Unread: true, UrgentFirst: true},
		"of a rare type, read": {UserID: user, Limit: 60, Types: []int{12}, Read: true, Before: middle},
	}
}

// bigTable writes n notifications of 1000 users, mixed as time mixes them: user 1 has a hundredth of them, user 2 has
// sixty, user 3 none, and each of the rest as many as the others. One in ten is unread.
func bigTable(t *testing.T, db *sql.DB, n int) {
	t.Helper()
	const perStatement = 500_000
	for from := 1; from <= n; from += perStatement {
		mustExec(t, db, fmt.Sprintf(`INSERT INTO userkeys_notifications (user_id, notification_type, is_read, high_priority, topic_id, post_number, slug, fancy_title, data, created_at)
			WITH RECURSIVE i(n) AS (SELECT %d UNION ALL SELECT n + 1 FROM i WHERE n < %d)
			SELECT CASE WHEN n %% 100 = 0 THEN 1 WHEN n %% %d = 1 THEN 2 ELSE n %% 997 * 7919 %% 997 + 4 END,
				CASE WHEN n %% 9973 = 0 THEN 12 WHEN n / 100 %% 5 = 0 THEN 6 ELSE n / 100 %% 5 END, CASE WHEN n / 100 %% 10 = 3 OR n / 100 %% 50 = 5 THEN 0 ELSE 1 END,
				CASE WHEN n %% 9973 <> 0 AND n / 100 %% 5 = 0 THEN 1 ELSE 0 END, n / 7, 1, 'a-slug-of-a-topic', 'The title of a topic', '{"topic_title":"The title of a topic","display_username":"somebody"}', n
			FROM i`, from, min(from+perStatement-1, n), n/60))
	}
	for _, q := range strings.Split(recount, ";") {
		mustExec(t, db, q)
	}
}

// withoutIndexes fills db by fill, faster than with them.
func withoutIndexes(t *testing.T, db *sql.DB, d store.Dialect, fill func()) {
	t.Helper()
	query := "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'userkeys_notifications' AND sql IS NOT NULL"
	if d == store.Postgres {
		query = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = 'userkeys_notifications' AND indexname NOT LIKE '%pkey'"
	}
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	indexes := map[string]string{}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			t.Fatal(err)
		}
		indexes[name] = text
	}
	if err := rows.Err(); err != nil || len(indexes) == 0 {
		t.Fatal(indexes, err)
	}
	for name := range indexes {
		mustExec(t, db, "DROP INDEX "+name)
	}
	fill()
	for _, text := range indexes {
		mustExec(t, db, text)
	}
}

// makeUsers writes n users at once: user1, user2 and so on, with the ids from 1 on.
func makeUsers(t *testing.T, db *sql.DB, n int) {
	t.Helper()
	mustExec(t, db, fmt.Sprintf(`INSERT INTO userkeys_users (username, username_key, name, email, email_key, trust_level,
			admin, moderator, active, group_names, password_hash, suspended_at, created_at, last_seen_at)
		WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < %d)
		SELECT 'user' || n, 'user' || n, '', '', '', 0, 0, 0, 1, '', '', 0, %d, 0 FROM i`, n, at.UnixMicro()))
}

// bigStore is a store with a thousand users and n notifications.
func bigStore(t *testing.T, db *sql.DB, d store.Dialect, n int) *store.Store {
	t.Helper()
	s := dbtest.Open(t, db, d)
	makeUsers(t, db, 1000)
	withoutIndexes(t, db, d, func() { bigTable(t, db, n) })
	if d == store.Postgres {
		mustExec(t, db, "VACUUM ANALYZE userkeys_notifications")
	}
	return s
}

// No list reads more of the table than it shows, whatever a user has: the plans
// of both databases say so, for a user with 1000 among 100 000. SQLite's plan depends on the schema alone.
func TestListsReadWhatTheyShow(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		n := 100_000
		if d == store.SQLite {
			n = 1000
		}
		bigStore(t, db, d, n)
		for name, f := range bigLists(1, int64(n)/2) {
			query, args := store.ListQuery(f)
			if d == store.SQLite {
				checkSQLitePlan(t, db, name, query, args)
			} else {
				checkPostgresPlan(t, db, name, query, args, f)
			}
		}
	})
}

// checkSQLitePlan wants each part to be the end of an index, and nothing sorted but such ends, which have a limit.
func checkSQLitePlan(t *testing.T, db *sql.DB, name, query string, args []any) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer rows.Close()
	searches, sorts, parts := 0, 0, map[int]bool{}
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		switch {
		case strings.HasPrefix(detail, "SEARCH userkeys_notifications USING INDEX userkeys_notifications_"):
			searches++
		case strings.Contains(detail, "userkeys_notifications"):
			t.Errorf("%s: %s", name, detail)
		case strings.Contains(detail, "CO-ROUTINE part"):
			parts[id] = true
		case strings.Contains(detail, "TEMP B-TREE"):
			sorts++
			if parts[parent] {
				t.Errorf("%s: a part is sorted as a whole", name)
			}
		}
	}
	if err := rows.Err(); err != nil || searches == 0 || searches == 1 && sorts > 0 || searches > 1 && len(parts) != searches {
		t.Errorf("%s: %d searches, %d sorts, %v", name, searches, sorts, err)
	}
}

// checkPostgresPlan wants no scan to have read more than a page, or than so little that it may be read as a whole and sorted.
func checkPostgresPlan(t *testing.T, db *sql.DB, name, query string, args []any, f site.NotificationFilter) {
	t.Helper()
	var text string
	if err := db.QueryRowContext(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+query, args...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	type node struct {
		Type    string  `json:"Node Type"`
		Rows    float64 `json:"Actual Rows"`
		Removed float64 `json:"Rows Removed by Filter"`
		Plans   []json.RawMessage
	}
	var top []struct{ Plan json.RawMessage }
	if err := json.Unmarshal([]byte(text), &top); err != nil {
		t.Fatal(err)
	}
	const little = 250 // of the user's 1000
	scans := 0
	var walk func(json.RawMessage)
	walk = func(raw json.RawMessage) {
		var n node
		if err := json.Unmarshal(raw, &n); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(n.Type, "Scan") && n.Type != "Subquery Scan" {
			scans++
			if n.Rows+n.Removed > max(float64(f.Limit), little) || n.Type == "Seq Scan" {
				t.Errorf("%s: %s reads %v and leaves out %v for a page of %d", name, n.Type, n.Rows, n.Removed, f.Limit)
			}
		}
		for _, p := range n.Plans {
			walk(p)
		}
	}
	walk(top[0].Plan)
	if scans == 0 {
		t.Errorf("%s: nothing is read: %s", name, text)
	}
}

// TestManyNotifications prints what an inbox costs that has a hundredth of ten million
// notifications (one million on Postgres; some thousands unless USERKEYS_LONG is set), next to one that has sixty and an empty one. The three take
// turns, so that a slow moment of the machine hits all of them; a line is the median of its turns.
func TestManyNotifications(t *testing.T) {
	sizes, turns := map[store.Dialect]int{store.SQLite: 20_000, store.Postgres: 20_000}, 3
	if os.Getenv("USERKEYS_LONG") != "" {
		sizes, turns = map[store.Dialect]int{store.SQLite: 10_000_000, store.Postgres: 1_000_000}, 201
	}
	for d, n := range sizes {
		t.Run(d.String(), func(t *testing.T) {
			open := dbtest.SQLiteDB
			if d == store.Postgres {
				open = dbtest.PostgresDB
			}
			db := open(t)
			began := time.Now()
			s := bigStore(t, db, d, n)
			t.Logf("%d notifications of 1000 users, written in %v", n, time.Since(began).Round(time.Second))
			compareInboxes(t, s, n, turns)
		})
	}
}

func compareInboxes(t *testing.T, s *store.Store, n, turns int) {
	t.Helper()
	people := []int64{1, 2, 3}
	for _, u := range people {
		total, err := s.CountNotifications(t.Context(), site.NotificationFilter{UserID: u})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("user %d has %d", u, total)
	}
	listed := map[int64]int{}
	ops := map[string]func(ctx context.Context, user int64) error{
		"state and counts": func(ctx context.Context, user int64) error { _, err := s.InboxState(ctx, user); return err },
		"count all": func(ctx context.Context, user int64) error {
			_, err := s.CountNotifications(ctx, site.NotificationFilter{UserID: user})
			return err
		},
	}
	for name := range bigLists(0, 0) {
		ops["list "+name] = func(ctx context.Context, user int64) error {
			list, err := s.Notifications(ctx, bigLists(user, int64(n/2))[name])
			listed[user] = len(list)
			return err
		}
	}
	compare := func(name string, turn func(user int64) (time.Duration, error)) {
		clear(listed)
		took := map[int64][]time.Duration{}
		for range turns {
			for _, u := range people {
				d, err := turn(u)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				took[u] = append(took[u], d)
			}
		}
		median := func(u int64) time.Duration { slices.Sort(took[u]); return took[u][turns/2] }
		many, sixty, none := median(1), median(2), median(3)
		t.Logf("%-26s %8v (%d rows); %.2f of sixty's (%d rows), %.2f of the empty one's (%d rows)", name, many.Round(time.Microsecond), listed[1],
			float64(many)/float64(sixty), listed[2], float64(many)/float64(none), listed[3])
	}
	timed := func(do func() error) (time.Duration, error) {
		began := time.Now()
		err := do()
		return time.Since(began), err
	}
	for _, name := range slices.Sorted(maps.Keys(ops)) {
		compare(name, func(u int64) (time.Duration, error) { return timed(func() error { return ops[name](t.Context(), u) }) })
	}
	compareWrites(t, s, compare, timed)
}

// compareWrites comes last: it makes the inboxes fuller.
func compareWrites(t *testing.T, s *store.Store, compare func(string, func(int64) (time.Duration, error)), timed func(func() error) (time.Duration, error)) {
	t.Helper()
	ctx := t.Context()
	add := func(u int64) (int64, error) {
		a, err := s.AddNotifications(ctx, told(fmt.Sprint("user", u)))
		if err != nil {
			return 0, err
		}
		return a.IDs[0], nil
	}
	compare("add", func(u int64) (time.Duration, error) { return timed(func() error { _, err := add(u); return err }) })
	compare("mark one", func(u int64) (time.Duration, error) {
		id, err := add(u)
		if err != nil {
			return 0, err
		}
		return timed(func() error {
			_, err := s.ReadNotifications(ctx, site.NotificationsToRead{UserID: u, ID: id})
			return err
		})
	})
	compare("see", func(u int64) (time.Duration, error) {
		id, err := add(u)
		if err != nil {
			return 0, err
		}
		return timed(func() error { return s.SeeNotifications(ctx, u, id) })
	})
}
