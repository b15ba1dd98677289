package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/testkit/nettest"
	"userkeys/site"
	"userkeys/store"
)

// onlyMark asks for the newest mark alone.
var onlyMark = site.Mark{N: -1}

var at = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func makeUser(t testing.TB, s *store.Store, name string) site.User {
	t.Helper()
	u, err := s.CreateUser(t.Context(), site.Account{User: site.User{Username: name, Active: true, CreatedAt: at}}, site.Caller{As: "command"})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func grantOf(userID int64, client string) site.Grant {
	return site.Grant{Key: site.UserAPIKey{
		UserID: userID, ClientID: client, ApplicationName: "app", Hash: userkeys.NewKey("").Hash(),
		Scopes: userkeys.Scopes{"read"}, CreatedAt: at,
	}}
}

func makeKey(t testing.TB, s *store.Store, userID int64, client string) site.UserAPIKey {
	t.Helper()
	k, err := s.Grant(t.Context(), grantOf(userID, client))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func revocation(ids ...int64) site.Revocation {
	return site.Revocation{IDs: ids, By: site.RevokedByOwner, At: at.Add(time.Minute)}
}

// undo takes back the revocation that a key has now.
func undo(t testing.TB, s *store.Store, id int64) site.Undo {
	t.Helper()
	k, err := s.Key(t.Context(), id)
	if err != nil {
		t.Error(err)
	}
	return site.Undo{Key: k, At: at}
}

func TestID2RegisteredClientKeepsItsName(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		s := dbtest.Open(t, db, d)
		mustExec(t, db, `INSERT INTO userkeys_clients (client_id, application_name, public_key, auth_redirect, scopes, created_at)
			VALUES ('c', 'Registered', 'pem', 'https://app.example/', 'read,push', 1)`)
		if k := makeKey(t, s, makeUser(t, s, "ada").ID, "c"); k.ApplicationName != "Registered" {
			t.Errorf("the key's application is %q", k.ApplicationName)
		}
		c, err := s.Client(t.Context(), "c")
		if err != nil || c.ApplicationName != "Registered" || !c.Registered() || c.PublicKey != "pem" || c.Scopes.String() != "read,push" {
			t.Errorf("client %+v, error %v", c, err)
		}
		if _, err := s.Revoke(t.Context(), revocation(1)); err != nil {
			t.Fatal(err)
		}
		if err := s.Purge(t.Context(), at.Add(1000*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Client(t.Context(), "c"); err != nil {
			t.Errorf("a registered client went with its last key: %v", err)
		}
	})
}

func TestAuditLogIsAppendOnly(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		s := dbtest.Open(t, db, d)
		makeUser(t, s, "ada")
		for _, q := range []string{"UPDATE userkeys_audit_events SET action = 'x'", "DELETE FROM userkeys_audit_events"} {
			if _, err := db.ExecContext(t.Context(), q); err == nil {
				t.Errorf("%s succeeded", q)
			}
		}
		if events, err := s.AuditEvents(t.Context(), site.AuditFilter{}); len(events) != 1 || err != nil {
			t.Errorf("%d events, error %v", len(events), err)
		}
	})
}

// TestF9AuditLogThatCannotBeWritten tests F9 (Vault refuses where no audit device can be written): a grant without
// its line does not happen; a revocation does, and its line follows.
func TestF9AuditLogThatCannotBeWritten(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		ctx := t.Context()
		s := dbtest.Open(t, db, d)
		u := makeUser(t, s, "ada")
		k := makeKey(t, s, u.ID, "c")
		block, unblock := "CREATE TRIGGER full_up BEFORE INSERT ON userkeys_audit_events BEGIN SELECT RAISE(ABORT, 'no'); END", "DROP TRIGGER full_up"
		if d == store.Postgres {
			mustExec(t, db, "CREATE FUNCTION full_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$")
			block = "CREATE TRIGGER full_up BEFORE INSERT ON userkeys_audit_events FOR EACH ROW EXECUTE FUNCTION full_up()"
			unblock += " ON userkeys_audit_events"
		}
		mustExec(t, db, block)

		before, _ := s.Changes(ctx, onlyMark)
		if _, err := s.Grant(ctx, grantOf(u.ID, "c")); err == nil {
			t.Error("a grant without a line in the log")
		}
		if err := s.SetSetting(ctx, "title", "x", site.Caller{}.At(at)); err == nil {
			t.Error("a setting without a line in the log")
		}
		if err := s.UndoRevoke(ctx, undo(t, s, k.ID)); err != nil {
			t.Errorf("undoing nothing needs no line: %v", err)
		}
		if got, err := s.Key(ctx, k.ID); err != nil || got.RevokedBy != "" {
			t.Fatalf("after the refusals: %+v, error %v", got, err)
		}
		n, err := s.Revoke(ctx, revocation(k.ID))
		if err != nil || n != 1 || s.UnwrittenEvents() != 1 {
			t.Fatalf("revoke: %d keys, %d events wait, error %v", n, s.UnwrittenEvents(), err)
		}
		if c, err := s.Changes(ctx, before.Mark); len(c.Hashes) != 1 || err != nil {
			t.Errorf("changes %+v, error %v", c, err)
		}
		if err := s.UndoRevoke(ctx, undo(t, s, k.ID)); err == nil {
			t.Error("an undo without a line in the log")
		}
		if err := s.Purge(ctx, at); !errors.Is(err, userkeys.Unavailable) || !strings.Contains(err.Error(), "1 revocations hold but are not in the audit log") {
			t.Errorf("Purge keeps quiet about what the log lacks: %v", err)
		}

		mustExec(t, db, unblock)
		if err := s.TouchUser(ctx, u.ID, at); err != nil { // any write brings the line along
			t.Fatal(err)
		}
		if err := s.Purge(ctx, at); err != nil {
			t.Errorf("Purge once the log is whole: %v", err)
		}
		events, err := s.AuditEvents(ctx, site.AuditFilter{Limit: 1})
		if err != nil || s.UnwrittenEvents() != 0 || events[0].Action != "key revoked" || events[0].KeyID != k.ID {
			t.Errorf("%d events wait, the last is %+v, error %v", s.UnwrittenEvents(), events, err)
		}
	})
}

// TestF7DiskFull tests F7: the disk is full, and then has room again.
func TestF7DiskFull(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLiteDB(t)
	db.SetMaxOpenConns(1) // the bound below is the connection's
	s := dbtest.Open(t, db, store.SQLite)
	u := makeUser(t, s, "ada")
	k := makeKey(t, s, u.ID, "c")
	mustExec(t, db, "PRAGMA max_page_count = 80")
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		err = s.SetSetting(t.Context(), fmt.Sprintf("s%d", i), strings.Repeat("x", 4000), site.Caller{}.At(at))
	}
	if !errors.Is(err, userkeys.Unavailable) {
		t.Fatalf("error %v", err)
	}
	if _, err := s.KeyByHash(t.Context(), k.Hash); err != nil {
		t.Errorf("a look-up on a full disk: %v", err)
	}
	if _, err := s.Changes(t.Context(), onlyMark); err != nil {
		t.Errorf("the epoch on a full disk: %v", err)
	}
	mustExec(t, db, "PRAGMA max_page_count = 100000")
	if _, err := s.Revoke(t.Context(), revocation(k.ID)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// TestF11DatabaseFileGone tests F11: a server notices that its database file was replaced. Otherwise it would never
// see a revocation.
func TestF11DatabaseFileGone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	s := dbtest.Open(t, openSQLite(t, store.SQLiteDSN(path)), store.SQLite)
	if _, err := s.Changes(t.Context(), onlyMark); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Changes(t.Context(), onlyMark); !errors.Is(err, userkeys.Unavailable) {
		t.Errorf("without the file: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Changes(t.Context(), onlyMark); !errors.Is(err, userkeys.Unavailable) {
		t.Errorf("with another file: %v", err)
	}
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Changes(t.Context(), onlyMark); err != nil {
		t.Errorf("with the file back: %v", err)
	}
}

// TestF13TwoStoresOnOneSQLiteFile tests F13: two stores on one file both decide rightly.
func TestF13TwoStoresOnOneSQLiteFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	// The second one lacks _txlock: its transactions must take the lock by themselves.
	a := dbtest.Open(t, openSQLite(t, store.SQLiteDSN(path)), store.SQLite)
	b := dbtest.Open(t, openSQLite(t, strings.Replace(store.SQLiteDSN(path), "&_txlock=immediate", "", 1)), store.SQLite)
	u := makeUser(t, a, "ada")
	const n = 20
	// SQLite's waiting is not fair: with a deadline of the caller's own, how long one waits is not the store's to bound.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for i, s := range []*store.Store{a, b, a, b} {
		wg.Go(func() {
			for j := range n {
				if _, err := s.Grant(ctx, grantOf(u.ID, fmt.Sprintf("%d.%d", i%2, j))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	keys, err := b.Keys(t.Context(), site.KeyFilter{})
	if err != nil || len(keys) != 2*n {
		t.Fatalf("%d keys, error %v", len(keys), err)
	}
	before, _ := b.Changes(t.Context(), onlyMark)
	if _, err := a.Revoke(t.Context(), revocation(keys[0].ID)); err != nil {
		t.Fatal(err)
	}
	if c, err := b.Changes(t.Context(), before.Mark); err != nil || len(c.Hashes) != 1 || c.Hashes[0] != keys[0].Hash {
		t.Errorf("the other store's revocation: %+v, error %v", c, err)
	}
}

// TestF14BackupUnderLoad tests F14: a copy taken under load opens and is whole.
func TestF14BackupUnderLoad(t *testing.T) {
	t.Parallel()
	db := dbtest.SQLiteDB(t)
	s := dbtest.Open(t, db, store.SQLite)
	u := makeUser(t, s, "ada")
	stop := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := s.Grant(context.Background(), grantOf(u.ID, fmt.Sprint(i%7))); err != nil {
				t.Error(err)
				return
			}
		}
	})
	copied := filepath.Join(t.TempDir(), "copy.db")
	time.Sleep(50 * time.Millisecond)
	_, err := db.ExecContext(t.Context(), "VACUUM INTO $1", copied)
	close(stop)
	load.Wait()
	if err != nil {
		t.Fatal(err)
	}
	restored := openSQLite(t, store.SQLiteDSN(copied))
	if err := dbtest.Open(t, restored, store.SQLite).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantWhole(t, restored)
}

// wantWhole looks for half-states: every key has its grant in the log, every
// grant in the log its key or the line that replaced it, every change its epoch.
func wantWhole(t *testing.T, db *sql.DB) {
	t.Helper()
	for what, query := range map[string]string{
		"keys without a grant in the log": `SELECT COUNT(*) FROM userkeys_keys k WHERE NOT EXISTS
			(SELECT 1 FROM userkeys_audit_events e WHERE e.key_id = k.id AND e.action = 'key granted')`,
		"grants without a key": `SELECT COUNT(*) FROM userkeys_audit_events e WHERE e.action = 'key granted' AND NOT EXISTS
			(SELECT 1 FROM userkeys_keys k WHERE k.id = e.key_id) AND NOT EXISTS
			(SELECT 1 FROM userkeys_audit_events r WHERE r.key_id = e.key_id AND r.action = 'key replaced')`,
		"revocations without a line": `SELECT COUNT(*) FROM userkeys_keys k WHERE k.revoked_at <> 0 AND NOT EXISTS
			(SELECT 1 FROM userkeys_audit_events e WHERE e.key_id = k.id AND e.action = 'key revoked')`,
		"revocations without a change": `SELECT COUNT(*) FROM userkeys_keys k WHERE k.revoked_at <> 0 AND NOT EXISTS
			(SELECT 1 FROM userkeys_changes c WHERE c.key_hash = k.hash)`,
		"changes after the epoch": `SELECT COUNT(*) FROM userkeys_changes WHERE n > (SELECT n FROM userkeys_epoch)`,
		"epochs without a change": `SELECT n - (SELECT COUNT(DISTINCT c.n) FROM userkeys_changes c) FROM userkeys_epoch`,
	} {
		var n int
		if err := db.QueryRow(query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d, error %v", what, n, err)
		}
	}
}

// TestDB11RowHeldBySomebodyElse tests DB11: a row that another transaction holds is answered with "try
// again", and soon.
func TestDB11RowHeldBySomebodyElse(t *testing.T) {
	t.Parallel()
	db := dbtest.PostgresDB(t)
	s := dbtest.Open(t, db, store.Postgres)
	u := makeUser(t, s, "ada")
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec("UPDATE userkeys_users SET name = 'x' WHERE id = $1", u.ID); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	for name, ctx := range map[string]context.Context{"with a deadline": soon, "without": t.Context()} {
		start := time.Now()
		_, err := s.Grant(ctx, grantOf(u.ID, "c"))
		if took := time.Since(start); !errors.Is(err, userkeys.Unavailable) || took > nettest.Bound(4*time.Second) {
			t.Errorf("%s: after %v: %v", name, took, err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	makeKey(t, s, u.ID, "c")
}

// TestDB11Deadlocks tests DB11: transactions that wait for each other are all committed in the end.
func TestDB11Deadlocks(t *testing.T) {
	t.Parallel()
	s := dbtest.Postgres(t)
	var ids []int64
	for i := range 6 {
		ids = append(ids, makeKey(t, s, makeUser(t, s, fmt.Sprint("u", i)).ID, "c").ID)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				by := []site.RevokedBy{site.RevokedByOwner, site.RevokedByAdmin}[j%2]
				if _, err := s.Revoke(ctx, site.Revocation{IDs: ids, By: by, At: at}); err != nil {
					t.Error(err)
				}
				if err := s.UndoRevoke(ctx, undo(t, s, ids[(5*i+j)%len(ids)])); err != nil && !errors.Is(err, userkeys.Conflict) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestClosedDatabaseCannotTell(t *testing.T) {
	eachDB(t, func(t *testing.T, db *sql.DB, d store.Dialect) {
		s := dbtest.Open(t, db, d)
		k := makeKey(t, s, makeUser(t, s, "ada").ID, "c")
		_ = db.Close()
		_, readErr := s.KeyByHash(t.Context(), k.Hash)
		_, writeErr := s.Revoke(t.Context(), revocation(k.ID))
		for what, err := range map[string]error{"read": readErr, "write": writeErr} {
			e := userkeys.AsError(err)
			if !errors.Is(err, userkeys.Unavailable) || e.RetryAfter != time.Second || e.Public == "" || strings.Contains(e.Public, "sql") {
				t.Errorf("%s: %#v", what, e)
			}
		}
	})
}

func TestStatementsAreCounted(t *testing.T) {
	t.Parallel()
	s := dbtest.SQLite(t)
	before := s.Statements()
	if _, err := s.Changes(t.Context(), onlyMark); err != nil {
		t.Fatal(err)
	}
	if n := s.Statements() - before; n != 1 {
		t.Errorf("a look at the epoch is %d statements", n)
	}
}

// Two undos count the owner's live keys one after the other, not both before either writes.
func TestUndosAtOnceCountInTurn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	db := dbtest.PostgresDB(t)
	s := dbtest.Open(t, db, store.Postgres)
	u := makeUser(t, s, "ada")
	keys := []site.UserAPIKey{makeKey(t, s, u.ID, "a"), makeKey(t, s, u.ID, "b")}
	if _, err := s.Revoke(ctx, revocation(keys[0].ID, keys[1].ID)); err != nil {
		t.Fatal(err)
	}
	// Whoever undoes goes no further than to the epoch while it is held.
	hold, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hold.Rollback() }()
	if _, err := hold.ExecContext(ctx, "UPDATE userkeys_epoch SET n = n"); err != nil {
		t.Fatal(err)
	}
	results := make(chan error, len(keys))
	for _, k := range keys {
		wanted := undo(t, s, k.ID)
		wanted.MaxKeys = 1
		go func() {
			err := s.UndoRevoke(ctx, wanted)
			results <- err
		}()
	}
	for waiting := 0; waiting < len(keys); {
		err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid IN
			(SELECT pid FROM pg_locks WHERE relation IN ('userkeys_epoch'::regclass, 'userkeys_users'::regclass))`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := hold.Rollback(); err != nil {
		t.Fatal(err)
	}
	undone := 0
	for range keys {
		if err := <-results; err == nil {
			undone++
		} else if !errors.Is(err, userkeys.Conflict) {
			t.Error(err)
		}
	}
	if undone != 1 {
		t.Errorf("%d undone where one live key is allowed", undone)
	}
}

// A call whose context has ended says that it cannot tell, and never that there is nothing.
func TestCancelledContextIsUnavailable(t *testing.T) {
	each(t, func(w *world) {
		k := w.key(w.user("ada"), "c")
		ctx, cancel := context.WithCancel(w.ctx)
		cancel()
		_, err := w.KeyByHash(ctx, k.Hash)
		w.refused(err, userkeys.Unavailable)
		if userkeys.AsError(err).RetryAfter <= 0 {
			w.Error("it does not say when to ask again")
		}
		_, err = w.Store.Revoke(ctx, site.Revocation{IDs: []int64{k.ID}, By: site.RevokedByOwner, At: noon})
		w.refused(err, userkeys.Unavailable)
		if w.stored(k.ID).RevokedBy != "" {
			w.Error("a revocation that was refused happened")
		}
	})
}
