package store_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"userkeys"
	"userkeys/authority"
	"userkeys/internal/accounts"
	"userkeys/internal/password"
	"userkeys/internal/testkit/dbtest"
	"userkeys/site"
	"userkeys/store"
)

// The rooms above name what they need remembered; the store has all of it.
var (
	_ authority.CheckStore   = (*store.Store)(nil)
	_ authority.GrantStore   = (*store.Store)(nil)
	_ authority.DeviceStore  = (*store.Store)(nil)
	_ authority.OneTimeStore = (*store.Store)(nil)
	_ authority.KeyStore     = (*store.Store)(nil)
	_ authority.AdminStore   = (*store.Store)(nil)
	_ authority.SettingStore = (*store.Store)(nil)
	_ authority.CleanUpStore = (*store.Store)(nil)
	_ authority.QuotaStore   = (*store.Store)(nil)
	_ accounts.UserStore     = (*store.Store)(nil)
	_ accounts.SessionStore  = (*store.Store)(nil)
	_ password.GuessStore    = (*store.Store)(nil)
)

// What is written into a file that was taken away is not acknowledged: it
// would be lost when the program starts again on the file that is there.
func TestWriteIntoAFileThatIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "userkeys.db")
	db, err := sql.Open("sqlite", store.SQLiteDSN(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := dbtest.Open(t, db, store.SQLite)
	by := site.Caller{As: "command", User: site.User{Admin: true}}
	if err := s.SetSetting(t.Context(), "title", "before", by.At(time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSetting(t.Context(), "title", "after", by.At(time.Now())); !errors.Is(err, userkeys.Unavailable) {
		t.Errorf("a write into a file that is gone: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	if got, err := s.SettingValues(t.Context()); err != nil || got["title"] != "before" {
		t.Errorf("the refused write happened: %v, %v", got, err)
	}
}
