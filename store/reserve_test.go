package store_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"userkeys"
	"userkeys/internal/testkit/dbtest"
	"userkeys/internal/testkit/nettest"
	"userkeys/site"
	"userkeys/store"
)

// fillUp grants keys until one is refused, which must say why.
func fillUp(t *testing.T, s *store.Store, userID int64) {
	t.Helper()
	for i := range 20_000 {
		_, err := s.Grant(t.Context(), grantOf(userID, fmt.Sprint("filler", i)))
		if err == nil {
			continue
		}
		if e := userkeys.AsError(err); e.Code != userkeys.Unavailable || e.Reason != store.ReasonDiskFull {
			t.Fatalf("a grant on a full disk: %v, reason %q", err, e.Reason)
		}
		return
	}
	t.Fatal("the disk does not fill up")
}

func wantFull(t *testing.T, what string, err error) {
	t.Helper()
	if e := userkeys.AsError(err); e == nil || e.Code != userkeys.Unavailable || e.Reason != store.ReasonDiskFull {
		t.Errorf("%s: %v, want unavailable because the disk is full", what, err)
	}
}

// On a disk without room nothing is granted, and what takes access away still goes through.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=24m", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a small disk: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	path := filepath.Join(dir, "userkeys.db")
	s := dbtest.Open(t, openSQLite(t, store.SQLiteDSN(path)), store.SQLite)
	if err := s.KeepReserve(4 << 20); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Agree(t.Context(), "agreed", []byte("on this")); err != nil {
		t.Fatal(err)
	}
	ada, eve := makeUser(t, s, "ada"), makeUser(t, s, "eve")
	var keys []int64
	for i := range 200 {
		keys = append(keys, makeKey(t, s, ada.ID, fmt.Sprint("app", i)).ID)
	}
	if err := s.HasRoom(t.Context()); err != nil {
		t.Fatalf("before it is full: %v", err)
	}

	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(filler, zeros{}); err == nil { // until there is no room
		t.Fatal("the small disk has no end")
	}
	fillUp(t, s, eve.ID)
	wantFull(t, "HasRoom", s.HasRoom(t.Context()))

	for _, id := range keys {
		if _, err := s.Revoke(t.Context(), revocation(id)); err != nil {
			t.Fatalf("revoking key %d: %v", id, err)
		}
	}
	if _, err := os.Stat(path + "-reserve"); err == nil {
		t.Error("the reserve was not used, so the disk was not full")
	}
	eve.SuspendedAt = at
	if err := s.UpdateUser(t.Context(), eve, site.Caller{As: "command"}.At(at)); err != nil {
		t.Errorf("suspending: %v", err)
	}
	if err := s.SetSetting(t.Context(), "allow_user_api_keys", "false", site.Caller{As: "command"}.At(at)); err != nil {
		t.Errorf("closing the site: %v", err)
	}
	_, err = s.Grant(t.Context(), grantOf(ada.ID, "late"))
	wantFull(t, "a grant out of what is kept for revocations", err)
	wantFull(t, "HasRoom while the reserve is used", s.HasRoom(t.Context()))
	if have, err := s.Agree(t.Context(), "agreed", []byte("other")); err != nil || string(have) != "on this" {
		t.Errorf("what a server asks when it starts: %q, %v", have, err)
	}

	if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
		t.Fatal(err)
	}
	if err := s.HasRoom(t.Context()); err != nil {
		t.Errorf("with room again: %v", err)
	}
	makeKey(t, s, ada.ID, "again")
	if info, err := os.Stat(path + "-reserve"); err != nil || info.Size() != 4<<20 {
		t.Errorf("the reserve is not there again: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A database that may not grow is as good as a full disk, and can be had without one.
func TestDatabaseThatMayNotGrow(t *testing.T) {
	t.Parallel()
	db := openSQLite(t, store.SQLiteDSN(filepath.Join(t.TempDir(), "a.db")))
	db.SetMaxOpenConns(1)
	s := dbtest.Open(t, db, store.SQLite)
	ada := makeUser(t, s, "ada")
	if err := s.HasRoom(t.Context()); err != nil {
		t.Fatal(err)
	}
	pages := func(pragma string) (n int) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	pages(fmt.Sprintf("max_page_count = %d", pages("page_count")))
	fillUp(t, s, ada.ID)
	wantFull(t, "HasRoom", s.HasRoom(t.Context()))
	pages("max_page_count = 1000000")
	if err := s.HasRoom(t.Context()); err != nil {
		t.Errorf("with room again: %v", err)
	}
	makeKey(t, s, ada.ID, "again")
}

// Requests that meet a database which another program has locked are answered within two seconds, also those that
// queue behind one another.
func TestLockedSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	s := dbtest.Open(t, openSQLite(t, store.SQLiteDSN(path)), store.SQLite)
	key := makeKey(t, s, makeUser(t, s, "ada").ID, "app")
	other, err := openSQLite(t, store.SQLiteDSN(path)).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	errs := make([]error, 4)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { _, errs[i] = s.Revoke(t.Context(), revocation(key.ID)) })
	}
	all.Wait()
	// Twice what is meant, for a slow machine; less than SQLite's own five seconds.
	if took := time.Since(began); took > nettest.Bound(4*time.Second) {
		t.Errorf("refused after %v, want 2s", took)
	}
	for _, err := range errs {
		if !errors.Is(err, userkeys.Unavailable) {
			t.Errorf("error %v", err)
		}
	}
	if _, err := other.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Revoke(t.Context(), revocation(key.ID)); err != nil {
		t.Errorf("with the lock gone: %v", err)
	}
}
